"""The example images of a scene, stacked into one array per level, with what may be taken from where.

A level is all chips below each other. ``valid`` is label + 1 at every centre of a patch that lies in usable
pixels of one chip, else 0: whoever tests it never leaves a chip. ``MIXED`` is added to it where a patch of
land that is to be pure, such as water, reaches into other land: such a patch is for shores only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from model_backend.arrays import BoolArray, Int32Array, Int64Array, UInt8Array
from model_backend.engine.synthesis.labels import MIXED
from model_backend.engine.synthesis.parameters import RADIUS, SIDE
from model_backend.engine.synthesis.pyramid import (
    UNUSABLE,
    half,
    half_labels,
    half_with_lines,
    with_lines,
)
from model_backend.engine.synthesis.score import expected_difference

_ENOUGH = 200  # patches of one label to choose from
MOST_LABELS = 31  # a set of labels is a 32-bit mask
_GOOD_PART = 8  # one part in so many of a chip has a label where random draws look for it there


@dataclass(frozen=True)
class Exemplar:
    """One example image: RGB bytes (height, width, 3) and a label per pixel (255: not to be used).

    ``guide``, (height, width) bytes, is a fourth band to be matched as well, such as a distance to a shore.
    """

    pixels: UInt8Array
    labels: UInt8Array
    guide: UInt8Array | None = None


class Level(NamedTuple):
    """All exemplars at one scale, (height, width, ...), and where each lies: row, column, height, width."""

    pixels: UInt8Array
    valid: UInt8Array
    expected: Int32Array
    chips: Int64Array


class Choice(NamedTuple):
    """Which chips have a label: chips[first[label] : first[label] + counts[label]]."""

    first: Int64Array
    counts: Int64Array
    chips: Int64Array


@dataclass(frozen=True)
class Atlas:
    """Exemplars at every level, finest first."""

    levels: tuple[Level, ...]
    choice: Choice
    guided: bool

    @classmethod
    def of(
        cls,
        exemplars: Sequence[Exemplar],
        levels: int,
        gamma_eighths: int,
        line_gain: int = 0,
        pure: Collection[int] = (),
    ) -> Atlas:
        """Stack exemplars; sides are cut to whole pixels of the coarsest level.

        Land of the labels in ``pure`` is taken from where there is nothing else. Raises ValueError if an
        exemplar is too small.
        """
        whole = 1 << (levels - 1)
        guided = any(one.guide is not None for one in exemplars)
        images, maps = [], []
        for one in exemplars:
            height, width = (side // whole * whole for side in one.labels.shape)
            if min(height, width) < SIDE * whole:
                raise ValueError(f"an exemplar of {one.labels.shape} pixels is too small for {levels} levels")
            image = one.pixels[:height, :width]
            if one.guide is None:
                images.append(with_lines(image, line_gain))
            else:
                images.append(np.concatenate([image, one.guide[:height, :width, None]], -1))
            maps.append(np.ascontiguousarray(one.labels[:height, :width]))
        choice = _choice(maps)
        made = []
        for _ in range(levels):
            made.append(_level(images, maps, gamma_eighths, pure))
            if len(made) < levels:
                images = [(half if guided else half_with_lines)(image) for image in images]
                maps = [half_labels(labels) for labels in maps]
        return cls(tuple(made), choice, guided)

    @property
    def labels(self) -> int:
        """How many labels there are."""
        return len(self.choice.first)

    @cached_property
    def colours(self) -> UInt8Array:
        """The mean colour of every label, (256, 3); that of all land for labels that no chip shows."""
        coarsest = self.levels[-1]
        usable = coarsest.valid > 0
        pixels = coarsest.pixels[usable][:, :3].astype(np.float64)
        labels = (coarsest.valid[usable] & ~np.uint8(MIXED)) - 1
        counts = np.bincount(labels, minlength=256)[:, None]
        sums = np.stack([np.bincount(labels, band, 256) for band in pixels.T], axis=-1)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), sums.sum(0) / max(1, counts.sum()))
        return means.round().astype(np.uint8)


def _choice(maps: Sequence[UInt8Array]) -> Choice:
    """List the chips of every label: those that show it on a good part of their area, if any does."""
    areas = np.stack([np.bincount(labels.ravel(), minlength=256) for labels in maps])[:, :UNUSABLE]
    present = np.flatnonzero(areas.any(0))
    count = int(present.max(initial=0)) + 1
    if count > MOST_LABELS:
        raise ValueError(f"{count} labels; at most {MOST_LABELS} can be told apart")
    sizes = np.array([labels.size for labels in maps])
    chips = []
    for area in areas[:, :count].T:
        good = np.flatnonzero(area * _GOOD_PART >= sizes)
        chips.append(good if len(good) else np.flatnonzero(area))
    counts = np.array([len(some) for some in chips], np.int64)
    first = np.concatenate([[0], counts.cumsum()[:-1]]).astype(np.int64)
    flat = np.concatenate([*chips, [0]]).astype(np.int64)
    return Choice(first, counts, flat)


def _level(
    images: Sequence[UInt8Array], maps: Sequence[UInt8Array], gamma_eighths: int, pure: Collection[int]
) -> Level:
    """Stack the chips of one level below each other."""
    heights = [len(image) for image in images]
    tops = np.concatenate([[0], np.cumsum(heights)]).astype(np.int64)
    width = max(image.shape[1] for image in images)
    pixels = np.zeros((int(tops[-1]), width, 4), np.uint8)
    valid = np.zeros(pixels.shape[:2], np.uint8)
    chips = []
    for image, labels, top in zip(images, maps, tops[:-1].tolist(), strict=True):
        height, wide = labels.shape
        pixels[top : top + height, :wide] = image
        chips.append((top, 0, height, wide))
        inner = labels[RADIUS : height - RADIUS, RADIUS : wide - RADIUS]
        found = np.where(_patches_of(labels < UNUSABLE), inner + 1, 0)
        for label in {*pure}.intersection(np.unique(inner).tolist()):
            found[(inner == label) & (found > 0) & ~_patches_of(labels == label)] += MIXED
        valid[top + RADIUS : top + height - RADIUS, RADIUS : wide - RADIUS] = found
    for label in pure:  # where there is hardly any pure land at this scale, mixed land has to do
        if (valid == label + 1).sum() < _ENOUGH:
            valid[valid == label + 1 + MIXED] = label + 1
    return Level(pixels, valid, expected_difference(pixels, valid, gamma_eighths), np.array(chips, np.int64))


def _patches_of(mask: BoolArray) -> BoolArray:
    """Mark the centres of whole patches in a mask, (height - 6, width - 6)."""
    sums = np.pad(mask.astype(np.int32), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    count = sums[SIDE:, SIDE:] - sums[:-SIDE, SIDE:] - sums[SIDE:, :-SIDE] + sums[:-SIDE, :-SIDE]
    found: BoolArray = count == SIDE * SIDE
    return found
