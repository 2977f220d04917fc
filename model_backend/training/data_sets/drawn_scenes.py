"""Scenes of every class that the model itself draws, to learn from: chips are hardly larger than a window.

Open water, on which the least of a lattice shows, comes more often than the rest. Knows the engine and
captions; not what is learned from the scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from transformers import CLIPTokenizer

from model_backend.engine.lattice import canvas_box
from model_backend.engine.progress import SilentListener
from model_backend.engine.scene import Scene
from model_backend.models.loader import Model
from model_backend.schemas import Box
from model_backend.training.data_sets import captions, land_cover, masks
from model_backend.training.data_sets.batches import Batch
from model_backend.training.image_tensors import to_tensor
from model_backend.training.sampling import tokens

_SIDE = 256  # pixels of a scene
_WATER, _WATER_SHARE = "SeaLake", 0.17
# Guidance weighs the unconditional prediction as much as the conditional one, so it is learned as often.
_UNCONDITIONAL, _NO_TEXT, _NO_LEVEL = 0.28, 0.06, 0.06
_MASKED = 0.25


class DrawnScene(NamedTuple):
    """One scene to draw: the class it is asked for, the level, and a number that sets seed and phrase."""

    name: str
    level: int
    number: int

    @property
    def file(self) -> str:
        """Name of its picture."""
        return f"{self.name}-{self.level}-{self.number}.png"


def _plan() -> tuple[DrawnScene, ...]:
    coarse = [DrawnScene(name, 14, n) for name in captions.PHRASES if name[0].isupper() for n in range(2)]
    fine = [DrawnScene(name, 18, n) for name in captions.PHRASES if name[0].islower() for n in range(2)]
    half = [DrawnScene(name, 17, 0) for name in captions.PHRASES if name[0].islower()]
    return (*coarse, *fine, *half, *(DrawnScene(_WATER, 14, n) for n in range(2, 10)))


PLAN = _plan()


def draw(model: Model, scenes: Sequence[DrawnScene], folder: Path) -> None:
    """Draw scenes into a folder, a PNG each; a picture is there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    canvas = canvas_box(
        Box(col=0, row=0, width=_SIDE, height=_SIDE), model.card.engine, model.card.vae_factor
    )
    for wanted in scenes:
        phrases = captions.PHRASES[wanted.name]
        prompt = phrases[wanted.number % len(phrases)]
        seed = 1000 + PLAN.index(wanted)
        scene = Scene(model, model.card.recipe(prompt, wanted.level, seed, canvas))
        part = folder / f"{wanted.file}.part"
        Image.fromarray(scene.pixels(canvas, SilentListener()).transpose(1, 2, 0)).save(part, "PNG")
        part.rename(folder / wanted.file)


class SceneBatches:
    """Batches of pieces of drawn scenes, ``side`` pixels wide; some have no prompt, some are masked."""

    def __init__(
        self,
        folder: Path,
        scenes: Sequence[DrawnScene],
        words: CLIPTokenizer,
        where: torch.device,
        side: int,
    ) -> None:
        self._words, self._where, self._side = words, where, side
        self._pictures: dict[tuple[str, int], list[land_cover.Pixels]] = {}
        for scene in scenes:
            with Image.open(folder / scene.file) as opened:
                picture = np.asarray(opened.convert("RGB"))
            self._pictures.setdefault((scene.name, scene.level), []).append(picture)
        self._kinds = list(self._pictures)
        levels = [level for _, level in self._kinds]
        even = np.array([(0.5 if level == 14 else 0.25) / levels.count(level) for level in levels])
        water = np.array([name == _WATER for name, _ in self._kinds])
        self._shares = even / even.sum() * (1 - _WATER_SHARE)
        self._shares[water] += _WATER_SHARE
        self._shares /= self._shares.sum()

    def draw(self, count: int, rng: np.random.Generator) -> Batch:
        """Return a batch, a function of the state of ``rng`` alone; its images are ``side`` pixels wide."""
        side = self._side
        pixels = np.empty((count, 3, side, side), np.uint8)
        painted = np.ones((count, side, side), np.uint8)
        prompts, levels = [], np.zeros(count, np.float32)
        for index, kind in enumerate(rng.choice(len(self._kinds), count, p=self._shares)):
            name, level = self._kinds[kind]
            pictures = self._pictures[name, level]
            picture = pictures[rng.integers(len(pictures))]
            row, col = rng.integers(0, picture.shape[0] - side + 1, 2)
            piece = land_cover.turn(picture[row : row + side, col : col + side], int(rng.integers(8)))
            pixels[index] = piece.transpose(2, 0, 1)
            chance = rng.random()
            no_text = chance < _UNCONDITIONAL + _NO_TEXT
            no_level = chance < _UNCONDITIONAL or chance > 1 - _NO_LEVEL
            prompts.append("" if no_text else captions.caption(name, pixels[index], rng))
            levels[index] = 0 if no_level else level
            if rng.random() < _MASKED:
                painted[index] = masks.large(side, rng)
        where = self._where
        return Batch(
            to_tensor(pixels, where),
            torch.from_numpy(painted)[:, None].float().to(where),
            tokens(self._words, prompts).to(where),
            torch.from_numpy(levels).to(where),
        )
