"""How fast our engine makes a scene, and the stock pipelines beside it: same machine, weights and run.

A scene is made once to warm up, alone, which also tells its memory. Then come rounds: in each, every scene
and one window of every stock way, so that a busy or throttled machine slows all of them alike. Figures are
medians over rounds, and ratios medians of the rounds' own ratios: of wall time, and of this process's CPU
time, which other processes hardly change (and which means nothing where a GPU does the work). What a stock
way would take for a whole scene is a window's time by the number of windows, which is how it works: one after
another. Stock pipelines guide every step; our scenes do so too, and beside that stop where their card says.
Writing a scene to its file comes after it, and is timed apart.

Needs torch; no files, no rasterio, no HTTP.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model_backend.arrays import RgbImage
from model_backend.benchmark.meter import Memory, Meter, matmul_peak, timed
from model_backend.benchmark.rounds import Case, Runs, Settings
from model_backend.benchmark.stock import as_shipped
from model_backend.benchmark.stock_scenes import StockMethod, StockPipelines, stock_methods
from model_backend.engine.diffusion.sampler import Lengths, trajectory_of
from model_backend.engine.lattice import Layout, canvas_box
from model_backend.engine.progress import SilentListener
from model_backend.engine.scene import Scene
from model_backend.models.card import ModelCard
from model_backend.models.loader import Model
from model_backend.schemas import Box, Recipe

Writer = Callable[[Recipe, RgbImage], None]

PROMPT = "a residential area with houses, roads and trees"
_WARM_UP_STEPS = 2


class _MeteredModel:
    """A model whose calls are timed, with a guidance cut-off; everything else is the model's own."""

    def __init__(self, model: Model, meter: Meter, cutoff: float) -> None:
        self._model, self._meter = model, meter
        self.card = _with(model.card, cutoff)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def denoise(self, x: Tensor, *arguments: Any, **named: Any) -> Tensor:
        with self._meter.span("unet", len(x)):
            return self._model.denoise(x, *arguments, **named)

    def decode(self, latents: Tensor) -> Tensor:
        with self._meter.span("decode", len(latents)):
            return self._model.decode(latents)

    def encode(self, pixels: Tensor) -> Tensor:
        with self._meter.span("encode", len(pixels)):
            return self._model.encode(pixels)


def measure(
    model: Model, settings: Settings, load_stock: Callable[[], StockPipelines] | None, write: Writer | None
) -> dict[str, Any]:
    """Return the figures of a loaded model, ready for JSON.

    ``load_stock`` loads the stock pipelines, once our own memory is measured; None: only we are measured.
    ``write`` puts a scene into a file; None: that is not measured.
    """
    peak = matmul_peak(model.device, model.dtype)
    tflop = _flops(model) / 1e12
    memories = {}
    for case in settings.cases:
        memory = Memory(model.device)
        _make(model, settings, case, Meter(model.device))
        memories[case] = memory.peak()
    ways = stock_methods(settings, load_stock()) if load_stock else []
    scenes = _rounds(model, settings, ways, write)
    # Twice, because a busy machine may have had no time for the first one.
    peak = max(peak, matmul_peak(model.device, model.dtype), key=lambda one: one["tflops"])
    outpaints = any(way.outpainting for way in ways)
    return {
        "settings": {"sampler": settings.sampler, "steps": settings.steps, "guidance": settings.guidance},
        "matmul": peak,
        "unet_tflop_per_evaluation": tflop,
        "scenes": [
            _about(model, settings, case)
            | runs.figures()
            | runs.written()
            | {
                "mpx_per_second": case.size**2 / 1e6 / statistics.median(runs.seconds),
                "unet_tflops": tflop * runs.unet_rate(),
                "share_of_matmul": tflop * runs.unet_rate() / peak["tflops"],
                "peak_memory_bytes": memories[case],
            }
            for case, runs in scenes.items()
        ],
        "stock": [way.figures(scenes, tflop) for way in ways],
        "skipped": None if outpaints or not ways else "the model is not an inpainting model",
    }


def _rounds(
    model: Model, settings: Settings, ways: Sequence[StockMethod], write: Writer | None
) -> dict[Case, Runs]:
    scenes = {case: Runs() for case in settings.cases}
    with as_shipped():
        for way in ways:
            way.stock.window(way.sampler, _WARM_UP_STEPS)
    for _ in range(settings.rounds):
        for case, runs in scenes.items():
            pixels = runs.add(model.device, partial(_make, model, settings, case))
            if write is not None:
                recipe = _recipe(model, settings, case.size)
                runs.writing.append(timed(model.device, partial(write, recipe, pixels)))
        with as_shipped():
            for way in ways:
                way.runs.add(model.device, way.window)
    return scenes


def _recipe(model: Model, settings: Settings, size: int) -> Recipe:
    card = model.card
    box = Box(col=0, row=0, width=size, height=size)
    canvas = canvas_box(box, card.engine, card.vae_factor)
    recipe = card.recipe(PROMPT, max(card.levels) if card.levels else None, 1, canvas)
    sampling = {"sampler": settings.sampler, "steps": settings.steps, "guidance": settings.guidance}
    return recipe.model_copy(update={"grid": box, **sampling})


def _make(model: Model, settings: Settings, case: Case, meter: Meter) -> RgbImage:
    recipe = _recipe(model, settings, case.size)
    scene = Scene(cast(Model, _MeteredModel(model, meter, case.cutoff)), recipe)
    return scene.pixels(recipe.grid, SilentListener())


def _with(card: ModelCard, cutoff: float) -> ModelCard:
    return card.model_copy(update={"engine": card.engine.model_copy(update={"guidance_cutoff": cutoff})})


def _about(model: Model, settings: Settings, case: Case) -> dict[str, Any]:
    """Describe a scene: its canvas, steps, phases, and the windows of one phase."""
    recipe, card = _recipe(model, settings, case.size), _with(model.card, case.cutoff)
    canvas = cast(Box, recipe.canvas)
    layout = Layout.of(card.engine, card.vae_factor, canvas)
    phases = trajectory_of(recipe, model.schedule, card.engine).lengths
    guided, plain = Lengths(*map(sum, zip(*phases, strict=True)))
    rows, cols = layout.windows(recipe.grid, len(phases))[-1]
    return {
        "size": case.size,
        "guidance_cutoff": case.cutoff,
        "guided_steps": guided,
        "steps": guided + plain,
        "canvas": [canvas.width, canvas.height],
        "windows": len(rows) * len(cols),
        "phases": len(phases),
        "batch": layout.batch(model.profile.batch),
    }


def _flops(model: Model) -> int:
    """Count the operations of one evaluation: two for a multiply-add, of products and convolutions only."""
    card = model.card
    x = torch.zeros(1, card.latent_channels, card.engine.window, card.engine.window)
    level = torch.tensor([float(max(card.levels))]) if card.levels else None
    embeds = model.embed([""])
    model.denoise(x, 500.0, embeds, level)  # an inpainting model encodes its blank surroundings once
    # Fused attention kernels of a CPU are not in the counter's list; the plain form is, and counts the same.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model.denoise(x, 500.0, embeds, level)
    return int(counter.get_total_flops())
