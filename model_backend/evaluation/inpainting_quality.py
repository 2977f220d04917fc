"""How good inpainting is: what a mask's outline shows, and whether its inside shows what was asked for.

Held-out chips get random large masks and the prompt of a random class of their level, mostly another one.
Knows images, masks and the judge; does not know the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_backend.engine.editing.composite import Join, cast
from model_backend.evaluation.chip_images import CPU, Images, percent
from model_backend.evaluation.judge import Judge
from model_backend.evaluation.metrics.image_sets import outline_gradient
from model_backend.training.data_sets import captions, land_cover, masks
from model_backend.training.image_tensors import to_bytes, to_tensor

_FEATHER = 6.0  # pixels, as the process `edit` has it


@dataclass(frozen=True)
class Cases:
    """Inpaintings to do, one of each sequence per image; ``painted`` (n, s, s) is 1 where a mask paints."""

    sources: Tensor
    painted: masks.Mask
    levels: list[int]
    names: list[str]
    classes: Mapping[int, tuple[str, ...]]

    @property
    def prompts(self) -> list[str]:
        """The prompts of the classes."""
        return [captions.plain(name) for name in self.names]

    @property
    def masks(self) -> Tensor:
        """The masks, (n, 1, s, s), 1 = paint."""
        return torch.from_numpy(self.painted)[:, None].float()

    @property
    def masked(self) -> Tensor:
        """The sources, white where they are painted."""
        return self.sources * (1 - self.masks) + self.masks


def draw_cases(held: Mapping[int, Images], classes: Mapping[int, tuple[str, ...]], count: int) -> Cases:
    """Choose chips, classes and masks at random, always the same ones."""
    rng = np.random.default_rng(21)
    levels = [int(level) for level in rng.choice([14, 18], count)]
    sources, names = [], []
    for level in levels:
        sources.append(held[level].pixels[rng.integers(len(held[level].names))])
        names.append(str(rng.choice(classes[level])))
    painted = np.stack([masks.large(land_cover.WINDOW, rng) for _ in range(count)])
    return Cases(torch.stack(sources), painted, levels, names, classes)


def join(cases: Cases, made: Tensor) -> Tensor:
    """Put generated images, (n, 3, s, s), into the masks of their sources, as an edit does."""
    known, theirs = to_bytes(cases.sources), made.permute(0, 2, 3, 1).double().numpy() * 127.5 + 127.5
    for index, mask in enumerate(cases.painted.astype(bool)):
        one = Join(mask, np.ones_like(mask), (1.0, 1.0), _FEATHER)
        for band in range(3):
            values = one.band(known[index, :, :, band], theirs[index, :, :, band])
            known[index, :, :, band][mask] = cast(values, known.dtype, None)
    return to_tensor(known.transpose(0, 3, 1, 2), CPU)


def outlines(cases: Cases, result: Tensor) -> dict[str, Any]:
    """Compare the steps across the masks' outlines with those across other masks' outlines."""
    pixels = to_bytes(result)
    here, there = (
        [outline_gradient(image, mask) for image, mask in zip(pixels, some, strict=True)]
        for some in (cases.painted, np.roll(cases.painted, 1, 0))
    )
    ratio = float(np.mean(here) / np.mean(there))
    return {"masks": len(here), "border gradient ratio": round(ratio, 3)}


def recognised(cases: Cases, result: Tensor, judge: Judge) -> dict[str, Any]:
    """Measure how often the judge sees the class that was asked for, where a mask covers over half."""
    big = cases.painted.mean((1, 2)) >= 0.5
    figures: dict[str, Any] = {}
    for level in (14, 18):
        chosen = [i for i in range(len(cases.names)) if big[i] and cases.levels[i] == level]
        if not chosen:
            continue
        wanted = [cases.names[i] for i in chosen]
        after, before = (
            percent(
                np.mean(
                    [a == b for a, b in zip(judge.classes_of(images[chosen], level), wanted, strict=True)]
                )
            )
            for images in (result, cases.sources)
        )
        figures[f"level {level}: prompt recognised, masks over half %"] = after
        figures[f"level {level}: the same before painting %"] = before
        figures[f"level {level}: chance %"] = percent(1 / len(cases.classes[level]))
    return figures
