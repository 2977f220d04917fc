"""Polygons as label maps: what a region shows lies inside its outline; that of soft land is made natural.

A coast or the edge of a wood is never as straight as it is drawn, a car park is: outlines of soft land are
moved by noise of three sizes. A function of the place alone, like all label maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit

from model_backend.arrays import BoolArray, Int64Array, UInt8Array
from model_backend.engine.composition.outlines.noise import OCTAVE, UNIT, noise
from model_backend.engine.outlines import Outline, Points
from model_backend.engine.synthesis.labels import LabelMap
from model_backend.schemas import REGION_UNITS, Box

_SHIFTS = np.array([11, 12, 13])  # cells of 8, 16 and 32 pixels
_HEIGHTS = np.array([3 * UNIT, 6 * UNIT, 12 * UNIT])  # noise seldom reaches half of that
_REACH = 11  # pixels that an outline is moved by at most
_STRIP = 512  # rows of pixels looked at together: bounds memory


@dataclass(frozen=True)
class Outlined:
    """A label map inside an outline."""

    outline: Outline
    inner: LabelMap
    seed: int
    soft: bool

    def paint(self, out: UInt8Array, box: Box, level: int) -> None:
        """Write the labels inside into those of a box."""
        near = self._near(box, level)
        if near is None:
            return
        inside = np.concatenate([self._inside(strip, level) for strip in _strips(near, level)])
        if inside.any():
            top, left = near.row - box.row, near.col - box.col
            part = out[top : top + near.height, left : left + near.width]
            part[inside] = self.inner.labels(near, level)[inside]

    def _near(self, box: Box, level: int) -> Box | None:
        """Return the part of a box that the outline may reach into, None if there is none."""
        left, top, right, bottom = (value // REGION_UNITS for value in self.outline.bounds)
        col, row = max(box.col, (left - _REACH) >> level), max(box.row, (top - _REACH) >> level)
        width = min(box.col + box.width, ((right + _REACH) >> level) + 1) - col
        height = min(box.row + box.height, ((bottom + _REACH) >> level) + 1) - row
        return Box(col=col, row=row, width=width, height=height) if width > 0 and height > 0 else None

    def _inside(self, box: Box, level: int) -> BoolArray:
        middle = (1 << level) >> 1
        rows = (np.arange(box.row, box.row + box.height, dtype=np.int64) << level) + middle
        cols = (np.arange(box.col, box.col + box.width, dtype=np.int64) << level) + middle
        if not self.soft:
            return self.outline.inside(_points(rows), _points(cols))
        top, left = int(rows[0]) - _REACH, int(cols[0]) - _REACH
        near = self.outline.inside(
            _points(np.arange(top, int(rows[-1]) + _REACH + 1)),
            _points(np.arange(left, int(cols[-1]) + _REACH + 1)),
        )
        seed = self.seed & 0xFFFFFFFF
        moved: BoolArray = _displaced(near, rows, cols, top, left, seed, _SHIFTS, _HEIGHTS, _REACH)
        return moved


class Overlay(Protocol):
    """Labels of a part of the plane, over others."""

    def paint(self, out: UInt8Array, box: Box, level: int) -> None:
        """Write its labels into those of a box."""


@dataclass(frozen=True)
class Covered:
    """A label map with others over it, each over those before it."""

    lower: LabelMap
    upper: tuple[Overlay, ...]

    def labels(self, box: Box, level: int) -> UInt8Array:
        """Return the labels of the uppermost there is."""
        out = self.lower.labels(box, level).copy()
        for one in self.upper:
            one.paint(out, box, level)
        return out


def _strips(box: Box, level: int) -> Iterator[Box]:
    """Cut a box of a level into strips of a bounded number of the finest level's rows."""
    step = max(1, _STRIP >> level)
    for row in range(box.row, box.row + box.height, step):
        height = min(step, box.row + box.height - row)
        yield Box(col=box.col, row=row, width=box.width, height=height)


def _points(places: Int64Array) -> Points:
    """Return the centres of evenly spaced pixels, in the units of regions."""
    spacing = int(places[1] - places[0]) if len(places) > 1 else 1
    first = int(places[0]) * REGION_UNITS + REGION_UNITS // 2
    return Points(first, spacing * REGION_UNITS, range(len(places)))


@njit(cache=True)
def _displaced(mask, rows, cols, top, left, seed, shifts, heights, reach):  # type: ignore[no-untyped-def]
    """Look up every pixel of a mask at a place that noise moves."""
    found = np.zeros((len(rows), len(cols)), np.bool_)
    for j in range(len(rows)):
        y = rows[j] * 256 + 128
        for i in range(len(cols)):
            x = cols[i] * 256 + 128
            down = right = 0
            for k in range(len(shifts)):
                down += (heights[k] * noise(y, x, shifts[k], seed + k * OCTAVE)) >> 16
                right += (heights[k] * noise(x, y, shifts[k], seed + (k + 7) * OCTAVE)) >> 16
            down = min(max(down >> 8, -reach), reach)
            right = min(max(right >> 8, -reach), reach)
            found[j, i] = mask[rows[j] + down - top, cols[i] + right - left]
    return found
