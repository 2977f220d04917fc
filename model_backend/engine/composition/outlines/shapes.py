"""Outlines of the things of a landscape: which places are inside one, which are in a strip around it.

Every shape is a function of the place, in whole numbers: natural outlines are displaced by noise, built ones
are straight. Places are pixels, lengths 1/256 pixel. Knows no kinds of land.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model_backend.arrays import Int64Array, UInt8Array
from model_backend.engine.composition.outlines.marking import mark_band, mark_block, mark_round, value
from model_backend.engine.composition.outlines.noise import STEPS, UNIT

OUT, EDGE, IN = 0, 1, 2  # what marks are
_EVERYWHERE = 1 << 62


class Shape(Protocol):
    """An outline on the plane."""

    def bounds(self) -> tuple[int, int, int, int]:
        """Return top, left, bottom and right of what it covers, without edges."""
        ...

    def mark(self, rows: Int64Array, cols: Int64Array, edge: int) -> UInt8Array:
        """Say for every pixel whether it is in, in the strip of a width around it, or out."""
        ...


@dataclass(frozen=True)
class Roughness:
    """By how much an outline is displaced: cells of the noises as powers of two, and their heights."""

    shifts: tuple[int, ...] = ()
    heights: tuple[int, ...] = ()
    seed: int = 0

    @classmethod
    def of(cls, size: int, percents: Sequence[int], seed: int, finest: int = 4 * UNIT) -> Roughness:
        """Return noises of cells of about ``size``, half, a quarter, ..., heights in percent of the size."""
        first = max(3, (size * 181 >> 7).bit_length() - 1)
        count = max(1, min(len(percents), first - finest.bit_length() + 2))
        shifts = tuple(first - number for number in range(count))
        return cls(shifts, tuple(size * percent // 100 for percent in percents[:count]), seed)

    def arrays(self) -> tuple[Int64Array, Int64Array]:
        """Return cells and heights for compiled functions."""
        return np.array(self.shifts, np.int64), np.array(self.heights, np.int64)

    @property
    def reach(self) -> int:
        """The largest displacement."""
        return sum(self.heights)


@dataclass(frozen=True)
class Round:
    """A natural outline around a centre: a lake, a wood."""

    row: int
    col: int
    radius: int
    stretch: int  # 1024: as wide as long
    direction: int
    rough: Roughness

    def bounds(self) -> tuple[int, int, int, int]:
        """Return a square that it never leaves."""
        far = (self.radius + self.rough.reach) * self.stretch // 1024
        return self.row - far, self.col - far, self.row + far, self.col + far

    def mark(self, rows: Int64Array, cols: Int64Array, edge: int) -> UInt8Array:
        """Mark what is nearer than the displaced radius."""
        found: UInt8Array = mark_round(rows, cols, self.place(edge), *self.rough.arrays(), self.rough.seed)
        return found

    def place(self, edge: int = 0) -> tuple[int, int, int, int, int, int, int]:
        """Return what compiled functions need to know of it."""
        down, right = STEPS[self.direction]
        return self.row, self.col, self.radius, self.stretch, int(down), int(right), edge


@dataclass(frozen=True)
class Block:
    """A rectangle with straight edges in any direction: a building, a car park."""

    row: int
    col: int
    along: int  # half its length
    across: int
    direction: int

    def bounds(self) -> tuple[int, int, int, int]:
        """Return a square around it."""
        far = self.along + self.across
        return self.row - far, self.col - far, self.row + far, self.col + far

    def mark(self, rows: Int64Array, cols: Int64Array, edge: int) -> UInt8Array:
        """Mark the inside."""
        down, right = STEPS[self.direction]
        place = self.row, self.col, self.along, self.across, int(down), int(right), edge
        found: UInt8Array = mark_block(rows, cols, place)
        return found


@dataclass(frozen=True)
class Band:
    """What lies near a line, or beyond one, across the whole plane: a river, a coast.

    The line runs where a tilted plane plus noise has height 0. ``half`` is half the width of the band; None
    is all that lies beyond the line. ``period`` repeats it; without a direction the noise alone decides.
    """

    row: int
    col: int
    direction: int | None  # across the line
    half: int | None
    rough: Roughness
    period: int = 0
    offset: int = 0

    def _place(self) -> tuple[int, int, int, int, int, int, bool]:
        down, right = (0, 0) if self.direction is None else STEPS[self.direction].tolist()
        line = self.half is not None and self.direction is not None
        return self.row, self.col, down, right, self.offset, self.period, line

    def bounds(self) -> tuple[int, int, int, int]:
        """Return everything."""
        return -_EVERYWHERE, -_EVERYWHERE, _EVERYWHERE, _EVERYWHERE

    def mark(self, rows: Int64Array, cols: Int64Array, edge: int) -> UInt8Array:
        """Mark the band."""
        half = -1 if self.half is None else self.half
        rough = *self.rough.arrays(), self.rough.seed
        found: UInt8Array = mark_band(rows, cols, self._place(), half, edge, *rough)
        return found

    def height(self, row: int, col: int) -> int:
        """Return how far beyond the line a place is, about; negative: before it."""
        return int(value(row, col, self._place(), *self.rough.arrays(), self.rough.seed))

    def nearest(self, row: int, col: int) -> tuple[int, int]:
        """Return a place on the line, or nearer to it."""
        step = 8 * UNIT
        for _ in range(8):
            height = self.height(row, col)
            down, right = self.height(row + step, col) - height, self.height(row, col + step) - height
            steep = max(down * down + right * right, step * step // 4)
            row, col = row - height * down * step // steep, col - height * right * step // steep
        return row, col
