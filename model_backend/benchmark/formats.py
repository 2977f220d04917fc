"""What number formats cost in pictures: the UNet in 16 bits, and decoding in 16 bits or TF32.

Weights are random, drawn in float16, so that every format computes with the same numbers; pictures are
compared in levels of 255. Knows models and the stock pipeline; tells, and judges nothing.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any, cast, get_args

import torch
from torch import Tensor

from model_backend.benchmark import random_weights, stock
from model_backend.benchmark.meter import timed
from model_backend.benchmark.speed import PROMPT
from model_backend.benchmark.stock import StockPipeline, WindowRequest
from model_backend.engine.diffusion.leveled_noise import leveled_noise
from model_backend.engine.diffusion.noise import Noise
from model_backend.engine.progress import SilentListener
from model_backend.engine.scene import Scene
from model_backend.evaluation.reports import circumstances, table
from model_backend.models import profile
from model_backend.models.card import DecodeFormat
from model_backend.models.decoder import Decoder, levels_off
from model_backend.models.loader import Model, Networks
from model_backend.schemas import Box, Recipe

_FORMATS = (torch.float32, torch.float16, torch.bfloat16)
_REPEATS = 3


def formats(given: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of all formats on a device."""
    stock.quiet()
    device = profile.choose_device(given.device)
    exact: Tensor | None = None
    rows = []
    for dtype in _FORMATS:
        profile.make_deterministic(device)
        model, networks = random_weights.build(given.random_weights, device, dtype, drawn=torch.float16)
        made = _window(model, given.steps)
        exact = made if exact is None else exact
        rows.append(_unet_row(model, networks, dtype, given.steps, made, exact))
        if dtype == _FORMATS[-1]:
            decoding = _decoding(model, networks)
        del model, networks
    return {"about": circumstances(), "unet": rows, "decode": decoding}


def tables(report: dict[str, Any]) -> str:
    """Return a report as text; differences are in levels of 255."""
    titles = ("unet", "decode")
    return "\n\n".join(
        f"{title}: one window\n" + table([[*report[title][0]], *([*row.values()] for row in report[title])])
        for title in titles
    )


def _unet_row(
    model: Model, networks: Networks, dtype: torch.dtype, steps: int, made: Tensor, exact: Tensor
) -> dict[str, Any]:
    """Compare a window of ours with float32's, with itself made again, and with the stock pipeline's."""
    recipe = _recipe(model, steps)
    request = WindowRequest(PROMPT, cast(int, recipe.level), recipe.guidance)
    pipeline = StockPipeline(stock.from_networks(networks, dtype), model.card, model.device, request)
    side = range(model.card.engine.window)
    start = torch.from_numpy(leveled_noise(Noise.of(recipe), side, side))[None]
    theirs = model.decode(pipeline.latents(recipe.sampler, recipe.steps, start)).cpu()
    return {
        "format": str(dtype).removeprefix("torch."),
        "off_float32": float(levels_off(made, exact).max()),
        "mean_off_float32": float(levels_off(made, exact).mean()),
        "off_stock": float(levels_off(made, theirs).max()),
        "mean_off_stock": float(levels_off(made, theirs).mean()),
        "repeats": bool(torch.equal(made, _window(model, steps))),
        "slots_agree": not model.profile.approximate,
        "layout": model.profile.layout,
        "seconds_per_evaluation": model.profile.seconds_per_evaluation,
    }


def _decoding(model: Model, networks: Networks) -> list[dict[str, Any]]:
    """Decode one tile of the card's lattice in every format."""
    card, side = model.card, model.card.engine.decode_window
    latents = torch.randn(1, card.latent_channels, side, side, generator=torch.Generator().manual_seed(0))
    latents = latents.to(model.device)
    exact = Decoder(networks.vae)(latents)
    rows = []
    for name in cast(tuple[DecodeFormat, ...], get_args(DecodeFormat)):
        decoder = Decoder(networks.vae, name)
        off = levels_off(decoder(latents), exact)
        work = partial(decoder, latents)
        seconds = min(timed(model.device, work).seconds for _ in range(_REPEATS))
        rows.append(
            {
                "format": name,
                "off_float32": float(off.max()),
                "mean_off_float32": float(off.mean()),
                "finite": bool(off.isfinite().all()),
                "mpx_per_second": (side * card.vae_factor) ** 2 / 1e6 / seconds,
            }
        )
    return rows


def _recipe(model: Model, steps: int) -> Recipe:
    """Return the recipe of one window in one phase, guided throughout, as the stock pipeline makes it."""
    side = model.card.engine.window * model.card.vae_factor
    box = Box(col=0, row=0, width=side, height=side)
    recipe = model.card.recipe(PROMPT, max(model.card.levels or (0,)), 1, box)
    return recipe.model_copy(update={"sampler": "euler", "steps": steps})


def _window(model: Model, steps: int) -> Tensor:
    """Return one window of ours, (1, 3, h, w) in [-1, 1] on the CPU."""
    recipe = _recipe(model, steps)
    pixels = Scene(model, recipe).pixels(recipe.grid, SilentListener())
    return torch.from_numpy(pixels)[None].float() / 127.5 - 1
