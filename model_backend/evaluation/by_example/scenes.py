"""Scenes straight from a bank, as a job would make them, and windows cut from them.

Knows a bank, prompts and pixel sizes; measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from model_backend.arrays import Int32Array, UInt8Array
from model_backend.engine.by_example.scene import ExampleScene, composed, kinds_of
from model_backend.engine.progress import SilentListener
from model_backend.evaluation.by_example.held_out import Windows
from model_backend.models.banks.bank import Bank
from model_backend.models.card import ModelCard
from model_backend.schemas import Box, ExampleRecipe, Recipe
from model_backend.training.data_sets.land_cover import WINDOW

THREADS = 1  # figures of one thread can be compared


_CARD = ModelCard(  # pixels depend on the bank's images alone, whatever its card says
    id="bank",
    title="A bank",
    pipeline="examples",
    vae_factor=1,
    gsd=(0.25, 120.0),
    licence="that of its images",
    non_commercial=False,
)


@dataclass(frozen=True)
class Maker:
    """A bank to make scenes of."""

    bank: Bank
    silent: SilentListener = field(default_factory=SilentListener)

    def recipe(self, prompt: str, gsd: float, side: int, seed: int) -> Recipe:
        """Return the recipe of a square scene."""
        box = Box(col=0, row=0, width=side, height=side)
        plain = _CARD.recipe(prompt, None, seed, box)
        return plain.model_copy(update={"examples": ExampleRecipe(gsd=gsd)})

    def scene(self, prompt: str, gsd: float, side: int, seed: int) -> ExampleScene:
        """Begin a square scene."""
        return ExampleScene(self.bank, self.recipe(prompt, gsd, side, seed), THREADS)

    def shown(self, prompt: str, gsd: float, side: int, seed: int) -> tuple[str, ...]:
        """Return the kinds of land that a scene shows, what lies everywhere first."""
        recipe = self.recipe(prompt, gsd, side, seed)
        return composed(recipe, kinds_of(self.bank, gsd, ()), recipe.canvas_box).kinds

    def picture(self, prompt: str, gsd: float, side: int, seed: int) -> UInt8Array:
        """Return a whole scene, (side, side, 3)."""
        scene = self.scene(prompt, gsd, side, seed)
        return scene.pixels(_whole(side), self.silent).transpose(1, 2, 0)

    def sources(self, prompt: str, gsd: float, side: int, seed: int) -> Int32Array:
        """Return which pixel of its example images every pixel of a scene is copied from."""
        return self.scene(prompt, gsd, side, seed).sources(_whole(side), self.silent)


def _whole(side: int) -> Box:
    return Box(col=0, row=0, width=side, height=side)


def cut(pictures: Sequence[UInt8Array], names: Sequence[str], each: int, seed: int) -> Windows:
    """Choose ``each`` windows of every picture from those that lie side by side in it."""
    rng = np.random.default_rng(seed)
    found, origins = [], []
    for number, picture in enumerate(pictures):
        down, across = (length // WINDOW for length in picture.shape[:2])
        for place in rng.permutation(down * across)[:each]:
            row, col = WINDOW * (int(place) // across), WINDOW * (int(place) % across)
            found.append(picture[row : row + WINDOW, col : col + WINDOW])
            origins.append(number)
    return Windows(np.stack(found), np.array(origins), tuple(names[number] for number in origins))
