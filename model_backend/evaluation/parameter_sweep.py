"""The table behind the card's engine parameters: phases, boundaries, stride and sampler, measured on scenes.

For each setting the same prompts are drawn on a canvas of several windows and compared with windows drawn
alone. Neighbouring windows that disagree where they are blended leave ghosts, which no seam metric sees, so
their disagreement is measured itself, against the noise that could still heal it. Knows the engine; knows no
training.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_backend.arrays import Float64Array
from model_backend.engine.progress import SilentListener
from model_backend.engine.scene import Scene
from model_backend.evaluation.metrics.lines import Lines, seam_ratio
from model_backend.evaluation.phase_recorder import PhaseRecorder
from model_backend.models.card import EngineParameters, read_card
from model_backend.models.loader import Model, load
from model_backend.schemas import Box, Recipe, Sampler

PROMPTS = (("a residential area", 17), ("annual crops", 14))
_ALONE = 6
Grey = Float64Array


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    boundaries: tuple[float, ...]
    stride: int
    sampler: Sampler = "dpm++2m"
    steps: int = 20


SETTINGS = (
    Setting((), 12),
    Setting((480,), 12),
    Setting((680, 400), 12),
    Setting((840, 680, 480), 12),
    Setting((480,), 8),
    Setting((680, 400), 8),
    Setting((680, 400), 12, steps=16),
    Setting((680, 400), 12, steps=12),
    Setting((680, 400), 12, "euler", 50),
)


def _recipe(model: Model, setting: Setting, prompt: str, level: int, size: int, seed: int = 3) -> Recipe:
    canvas = Box(col=0, row=0, width=size, height=size)
    recipe = model.card.recipe(prompt, level, seed, canvas)
    return recipe.model_copy(update={"sampler": setting.sampler, "steps": setting.steps})


def _use(model: Model, setting: Setting) -> None:
    values = model.card.engine.model_dump() | {"stride": setting.stride, "boundaries": setting.boundaries}
    model.card = model.card.model_copy(update={"engine": EngineParameters(**values)})


def _energy(grey: Float64Array) -> float:
    return float(np.square(np.diff(grey, axis=-1)).mean() + np.square(np.diff(grey, axis=-2)).mean())


def measure(model: Model, setting: Setting, alone: dict[str, Grey], size: int) -> dict[str, Any]:
    """Return one row of the table, means over the prompts; ``alone`` are windows drawn alone, by prompt."""
    _use(model, setting)
    card, window = model.card, model.card.engine.window * model.card.vae_factor
    rows: list[dict[str, float]] = []
    gaps: list[list[tuple[float, float]]] = []
    for prompt, level in PROMPTS:
        begun = time.process_time()
        recipe, recorder = _recipe(model, setting, prompt, level, size), PhaseRecorder()
        grey = _grey(Scene(model, recipe, recorder), size)
        spent = time.process_time() - begun
        gaps.append(recorder.disagreement(model, recipe))
        cut = size // window * window
        tiles = grey[:cut, :cut].reshape(cut // window, window, cut // window, window).swapaxes(1, 2)
        rows.append(
            {
                "seam gradient ratio": seam_ratio(
                    grey[None], "cols", Lines(setting.stride * card.vae_factor), card.vae_factor
                ).ratio,
                "contrast": float(tiles.std((2, 3)).mean() / alone[prompt].std((1, 2)).mean()),
                "gradient energy": _energy(grey) / _energy(alone[prompt]),
                "CPU seconds": spent,
            }
        )
    means = {name: round(float(np.mean([row[name] for row in rows])), 2) for name in rows[0]}
    phases = list(zip(*gaps, strict=True))
    blend = [(round(float(np.mean([gap for gap, _ in phase])), 2), phase[0][1]) for phase in phases]
    shown = {"sampler": f"{setting.sampler} {setting.steps}", "boundaries": list(setting.boundaries)}
    return {**shown, "stride": setting.stride, "disagreement (noise left)": blend, **means}


def _grey(scene: Scene, size: int) -> Grey:
    box = Box(col=0, row=0, width=size, height=size)
    grey: Grey = scene.pixels(box, SilentListener()).astype(np.float64).mean(0)
    return grey


def windows_alone(model: Model) -> dict[str, Grey]:
    """Return a few one-window scenes of every prompt, (n, 64, 64): what blending should not change."""
    found = {}
    window = model.card.engine.window * model.card.vae_factor
    for prompt, level in PROMPTS:
        recipes = [_recipe(model, SETTINGS[0], prompt, level, window, 100 + seed) for seed in range(_ALONE)]
        found[prompt] = np.stack([_grey(Scene(model, recipe), window) for recipe in recipes])
    return found


def run(folder: Path, out: Path, size: int = 256) -> list[dict[str, Any]]:
    """Write the table of all settings as JSON to ``out`` and return it."""
    model = load(folder, read_card(folder))
    _use(model, SETTINGS[0])
    alone = windows_alone(model)
    table = []
    for setting in SETTINGS:
        table.append(measure(model, setting, alone, size))
        print(json.dumps(table[-1]), flush=True)
        out.write_text(json.dumps(table, indent=1) + "\n", "utf-8")
    return table
