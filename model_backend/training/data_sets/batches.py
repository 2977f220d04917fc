"""Training batches of chips: random windows with captions and masks, some of each left out on purpose.

Text and level are dropped independently (dynamic condition adaptation, arXiv 2501.00895) and together, so
that text alone, level alone and guidance work. Does not know what network learns from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from model_backend.training.data_sets import captions, land_cover, masks
from model_backend.training.image_tensors import to_tensor
from model_backend.training.sampling import tokens

_DROP_BOTH, _DROP_TEXT, _DROP_LEVEL = 0.08, 0.07, 0.07
_FOREIGN = 0.5
"""Share of partly painted windows that get other surroundings than their own.

Real chips are of one class, so surroundings would tell what belongs inside, and the prompt nothing new:
a lake asked for in a field became more field.
"""


@dataclass(frozen=True)
class Batch:
    """One batch: images (b, 3, s, s) in [-1, 1], masks (b, 1, s, s), token ids (b, length), levels (b,)."""

    images: Tensor
    masks: Tensor
    ids: Tensor
    levels: Tensor


class ChipBatches:
    """Batches of random windows of chips, 64 pixels wide."""

    def __init__(self, chips: land_cover.ChipsByLevel, words: CLIPTokenizer, where: torch.device) -> None:
        self._sampler, self._words, self._where = land_cover.WindowSampler(chips), words, where
        self._known: dict[str, Tensor] = {}

    def _ids(self, prompt: str) -> Tensor:
        if prompt not in self._known:
            self._known[prompt] = tokens(self._words, [prompt])[0]
        return self._known[prompt]

    def draw(self, count: int, rng: np.random.Generator) -> Batch:
        """Return a batch, a function of the state of ``rng`` alone."""
        windows = self._sampler.draw(count, rng)
        prompts = [
            captions.caption(name, px, rng) for name, px in zip(windows.names, windows.pixels, strict=True)
        ]
        chance = rng.random(count)
        no_text = chance < _DROP_BOTH + _DROP_TEXT
        no_level = (chance < _DROP_BOTH) | (chance > 1 - _DROP_LEVEL)
        ids = torch.stack(
            [self._ids("" if drop else prompt) for prompt, drop in zip(prompts, no_text, strict=True)]
        )
        levels = torch.from_numpy(np.where(no_level, 0, windows.levels).astype(np.float32))
        painted = masks.draw(count, land_cover.WINDOW, rng)
        pixels = _transplanted(windows, painted, rng)
        cover, where = torch.from_numpy(painted)[:, None].float(), self._where
        return Batch(to_tensor(pixels, where), cover.to(where), ids.to(where), levels.to(where))


def _transplanted(
    windows: land_cover.Windows, painted: masks.Mask, rng: np.random.Generator
) -> land_cover.Pixels:
    """Give some of the windows (b, 3, 64, 64) the kept part of another one of their level."""
    pixels = windows.pixels.copy()
    for index in np.flatnonzero(rng.random(len(pixels)) < _FOREIGN):
        other = rng.choice(np.flatnonzero(windows.levels == windows.levels[index]))
        pixels[index] = masks.set_in(windows.pixels[index], windows.pixels[other], painted[index])
    return pixels
