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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model_backend.arrays import RgbImage, UInt8Array
from model_backend.benchmark.meter import Clock, Memory, Meter, matmul_peak, timed
from model_backend.benchmark.stock import Stock, as_shipped
from model_backend.engine.diffusion.sampler import Lengths, trajectory_of
from model_backend.engine.lattice import Layout, canvas_box
from model_backend.engine.scene import Request, Scene
from model_backend.models.card import ModelCard
from model_backend.models.loader import Model
from model_backend.schemas import Box, Sampler

Writer = Callable[[Request, Box, RgbImage], None]

PROMPT = "a residential area with houses, roads and trees"
_OFFICIAL: tuple[Sampler, int] = ("euler", 50)  # what Text2Earth's authors use
_WARM_UP_STEPS = 2


@dataclass(frozen=True)
class Settings:
    """What is measured: square scenes of these sides in pixels, and in how many rounds.

    Scenes are made with guidance throughout; if there is a ``cutoff``, a training timestep, also with none
    below it.
    """

    sizes: tuple[int, ...]
    sampler: Sampler
    steps: int
    guidance: float
    rounds: int
    cutoff: float = 0.0

    @property
    def cases(self) -> list[Case]:
        """The scenes to be made in every round."""
        cutoffs = sorted({0.0, self.cutoff})
        return [Case(size, cutoff) for size in self.sizes for cutoff in cutoffs]


@dataclass(frozen=True)
class Case:
    """One of our scenes: its side in pixels, and the training timestep below which guidance stops."""

    size: int
    cutoff: float


@dataclass(frozen=True)
class Rivals:
    """The stock pipelines of a model: to make windows side by side, and to outpaint, if it can."""

    side_by_side: Stock
    outpainting: Stock | None


Made = TypeVar("Made")


@dataclass
class Runs:
    """What one thing took in every round."""

    clocks: list[Clock] = field(default_factory=list)
    meters: list[Meter] = field(default_factory=list)
    writing: list[Clock] = field(default_factory=list)

    def add(self, device: torch.device, work: Callable[[Meter], Made]) -> Made:
        """Run work once, with a meter that it tells of its parts; return what it made."""
        meter, made = Meter(device), []
        self.clocks.append(timed(device, lambda: made.append(work(meter))))
        self.meters.append(meter)
        return made[0]

    @property
    def seconds(self) -> list[float]:
        """Wall seconds of every round."""
        return [clock.seconds for clock in self.clocks]

    def figures(self) -> dict[str, Any]:
        """Return seconds, and the shares of the work in them, ready for JSON."""
        shares = {part: self._share(part) for part in ("unet", "decode", "encode")}
        unet = self.meters[0].spent("unet")
        return {
            "seconds": statistics.median(self.seconds),
            "rounds": self.seconds,
            "cpu_seconds": statistics.median(clock.cpu_seconds for clock in self.clocks),
            "unet_calls": unet.calls,
            "evaluations": unet.samples,
            "shares": shares | {"other": 1 - sum(shares.values())},
        }

    def written(self) -> dict[str, Any]:
        """Return the seconds of writing and their share of those of making and writing, None if unwritten."""
        if not self.writing:
            return {"write_seconds": None, "write_share": None}
        pairs = [(write.seconds, made.seconds) for write, made in zip(self.writing, self.clocks, strict=True)]
        return {
            "write_seconds": statistics.median(write for write, _ in pairs),
            "write_share": statistics.median(write / (write + made) for write, made in pairs),
        }

    def unet_rate(self) -> float:
        """Return UNet evaluations per second of UNet time, median over the rounds."""
        spent = [meter.spent("unet") for meter in self.meters]
        return statistics.median(one.samples / one.seconds for one in spent)

    def _share(self, part: str) -> float:
        pairs = zip(self.meters, self.seconds, strict=True)
        return statistics.median(meter.spent(part).seconds / seconds for meter, seconds in pairs)


@dataclass
class _Way:
    """A stock way to make scenes: how it is called, and the next window of it."""

    name: str
    stock: Stock
    sampler: Sampler
    steps: int
    outpainting: bool = False
    runs: Runs = field(default_factory=Runs)
    _scene: Iterator[UInt8Array] = field(default_factory=lambda: iter(()))

    def window(self, meter: Meter) -> None:
        """Make one window; outpainting goes on where it was, or begins a scene of three by three."""
        with meter.watching(self.stock.networks()):
            if not self.outpainting:
                self.stock.window(self.sampler, self.steps)
            elif next(self._scene, None) is None:
                self._scene = self.stock.outpaint(self.sampler, self.steps, 2 * self.stock.side)
                next(self._scene)

    def figures(self, scenes: dict[Case, Runs], rate: float) -> dict[str, Any]:
        """Return the figures of a window, and of whole scenes beside ours."""
        window = self.runs.figures()
        beside = []
        for case, ours in scenes.items():
            size, needed = case.size, self.stock.windows_needed(case.size, self.outpainting)
            rounds = list(zip(self.runs.clocks, ours.clocks, strict=True))
            by_wall = [needed * theirs.seconds / mine.seconds for theirs, mine in rounds]
            by_cpu = [needed * theirs.cpu_seconds / mine.cpu_seconds for theirs, mine in rounds]
            beside.append(
                {
                    "size": size,
                    "our_guidance_cutoff": case.cutoff,
                    "windows": needed,
                    "unet_calls": needed * window["unet_calls"],
                    "evaluations": needed * window["evaluations"],
                    "seconds": needed * window["seconds"],
                    "mpx_per_second": size * size / 1e6 / (needed * window["seconds"]),
                    "ours_is_faster": statistics.median(by_wall),
                    "by_cpu_time": statistics.median(by_cpu),
                }
            )
        return {
            "name": self.name,
            "sampler": self.sampler,
            "steps": self.steps,
            "window": window | {"unet_tflops": rate * self.runs.unet_rate()},
            "scenes": beside,
        }


class _Metered:
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


class Nobody:
    """Watches a scene, and has no opinion."""

    def step(self, done: int, total: int) -> None:
        """Hear of a UNet call."""

    def preview(self, rgb: UInt8Array) -> None:
        """Look away."""


def measure(
    model: Model, settings: Settings, rivals: Callable[[], Rivals] | None, write: Writer | None
) -> dict[str, Any]:
    """Return the figures of a loaded model, ready for JSON.

    ``rivals`` loads the stock pipelines, once our own memory is measured; None: only we are measured.
    ``write`` puts a scene into a file; None: that is not measured.
    """
    peak = matmul_peak(model.device, model.dtype)
    tflop = _flops(model) / 1e12
    memories = {}
    for case in settings.cases:
        memory = Memory(model.device)
        _make(model, settings, case, Meter(model.device))
        memories[case] = memory.peak()
    ways = _ways(settings, rivals()) if rivals else []
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


def _rounds(model: Model, settings: Settings, ways: Sequence[_Way], write: Writer | None) -> dict[Case, Runs]:
    scenes = {case: Runs() for case in settings.cases}
    with as_shipped():
        for way in ways:
            way.stock.window(way.sampler, _WARM_UP_STEPS)
    for _ in range(settings.rounds):
        for case, runs in scenes.items():
            pixels = runs.add(model.device, partial(_make, model, settings, case))
            if write is not None:
                asked = _request(model, settings, case.size)
                runs.writing.append(timed(model.device, partial(write, *asked, pixels)))
        with as_shipped():
            for way in ways:
                way.runs.add(model.device, way.window)
    return scenes


def _ways(settings: Settings, rivals: Rivals) -> list[_Way]:
    ours = (settings.sampler, settings.steps)
    ways = [_Way("(a) side by side, same steps", rivals.side_by_side, *ours)]
    if ours != _OFFICIAL:
        ways.append(_Way("(a) side by side, official steps", rivals.side_by_side, *_OFFICIAL))
    if rivals.outpainting:
        ways.append(_Way("(b) sequential outpainting", rivals.outpainting, *_OFFICIAL, outpainting=True))
    return ways


def _request(model: Model, settings: Settings, size: int) -> tuple[Request, Box]:
    card = model.card
    box = Box(col=0, row=0, width=size, height=size)
    request = Request(
        seed=1,
        level=max(card.levels) if card.levels else None,
        frame_hash=0,
        prompt=PROMPT,
        negative_prompt="",
        sampler=settings.sampler,
        steps=settings.steps,
        guidance=settings.guidance,
        canvas=canvas_box(box, card.engine, card.vae_factor),
    )
    return request, box


def _make(model: Model, settings: Settings, case: Case, meter: Meter) -> RgbImage:
    request, box = _request(model, settings, case.size)
    return Scene(cast(Model, _Metered(model, meter, case.cutoff)), request).pixels(box, Nobody())


def _with(card: ModelCard, cutoff: float) -> ModelCard:
    return card.model_copy(update={"engine": card.engine.model_copy(update={"guidance_cutoff": cutoff})})


def _about(model: Model, settings: Settings, case: Case) -> dict[str, Any]:
    """Return what a scene consists of; windows are those of one phase."""
    request, box = _request(model, settings, case.size)
    card, canvas = _with(model.card, case.cutoff), cast(Box, request.canvas)
    layout = Layout.of(card.engine, card.vae_factor, canvas)
    phases = trajectory_of(request, model.schedule, card.engine).lengths
    guided, plain = Lengths(*map(sum, zip(*phases, strict=True)))
    rows, cols = layout.windows(box, len(phases))[-1]
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
