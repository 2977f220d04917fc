"""A raster of classes as a label map: what each of its pixels shows, without the stairs of their edges.

Its pixels are called cells. Where one is larger than the scene's pixels, the class of a place is the one that
most of a smooth bump around it lies in, so that steps become slopes and lines of single cells stay lines; and
between soft land that place is moved by noise of the cells' own size, since no shore runs along cells.
Straight edges stay straight, what is built stays where it is. A function of the place alone, in whole
numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit

from model_backend.arrays import Int64Array, UInt8Array
from model_backend.engine.composition.outlines.noise import OCTAVE, noise
from model_backend.models.land_cover import SOFT
from model_backend.schemas import Box

NOTHING = 255  # of cells that show what lies under them
UNIT = 256  # parts of a cell, and of a pixel
_SMOOTHED = 3 * UNIT // 2  # parts of a pixel that a cell has at least, to be smoothed
_HEIGHTS = (130, 70, 40, 20, 10)  # of noises of half the cells each, in parts of a cell
_FINEST = 11  # cells of noise are at least 2^11 parts of a pixel, 8 pixels, but for the first two
_OPEN = SOFT | {"farmland"}  # land whose edges may be moved
_THIN = ("water", "road")  # what is found as lines of single cells
_WEIGHTS = 4, 5  # of other land, and of that
_STRIP = 512  # rows of pixels looked at together: bounds memory


class CellPlaces(Protocol):
    """Where cells lie on a frame."""

    def at(self, rows: Int64Array, cols: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Return rows and columns of cells at the middle of pixels, (rows, columns) each, in 1/256 cell."""


@dataclass(frozen=True, eq=False)
class LandCover:
    """Cells (rows, columns) as indices into ``kinds`` or NOTHING; ``size`` of one in 1/256 pixel."""

    cells: UInt8Array
    kinds: tuple[str, ...]
    places: CellPlaces
    size: int


class CoveringCells:
    """Land cover over other labels."""

    def __init__(self, cover: LandCover, labels: tuple[int, ...], seed: int) -> None:
        """Show ``labels``, one for each of the cover's kinds."""
        self._cover, self._seed = cover, seed & 0xFFFFFFFF
        table = np.full(256, NOTHING, np.uint8)
        table[: len(labels)] = labels
        self._cells = table[cover.cells]
        self._soft, self._open = np.zeros((2, 256), np.bool_)
        self._weights = np.full(256, _WEIGHTS[0], np.int64)
        for label, kind in zip(labels, cover.kinds, strict=True):
            self._soft[label], self._open[label] = kind in SOFT, kind in _OPEN
            self._weights[label] = _WEIGHTS[kind in _THIN]
        self._soft[NOTHING] = self._open[NOTHING] = True
        largest = max(1, cover.size).bit_length()
        count = max(2, min(len(_HEIGHTS), largest - _FINEST + 1))
        self._shifts = largest - np.arange(count)
        self._heights = np.array(_HEIGHTS[:count], np.int64)

    def paint(self, out: UInt8Array, box: Box, level: int) -> None:
        """Write the labels of the cells into those of a box."""
        middle = (1 << level) >> 1
        cols = (np.arange(box.col, box.col + box.width, dtype=np.int64) << level) + middle
        for top in range(0, box.height, _STRIP):
            part = out[top : top + _STRIP]
            rows = (np.arange(box.row + top, box.row + top + len(part), dtype=np.int64) << level) + middle
            found = self._labels(rows, cols)
            np.copyto(part, found, where=found != NOTHING)

    def _labels(self, rows: Int64Array, cols: Int64Array) -> UInt8Array:
        places = self._cover.places.at(rows, cols)
        if self._cover.size < _SMOOTHED:
            nearest: UInt8Array = _nearest(self._cells, *places)
            return nearest
        kinds = self._soft, self._open, self._weights
        rough = self._seed, self._shifts, self._heights
        smooth: UInt8Array = _smooth(self._cells, places, (rows, cols), kinds, rough)
        return smooth


@njit(inline="always", cache=True)
def _cell(cells, row, col):  # type: ignore[no-untyped-def]
    if row < 0 or col < 0 or row >= cells.shape[0] or col >= cells.shape[1]:
        return np.uint8(NOTHING)
    return cells[row, col]


@njit(cache=True)
def _nearest(cells, down, right):  # type: ignore[no-untyped-def]
    found = np.empty(down.shape, np.uint8)
    for j in range(down.shape[0]):
        for i in range(down.shape[1]):
            found[j, i] = _cell(cells, down[j, i] >> 8, right[j, i] >> 8)
    return found


@njit(cache=True)
def _alike(cells, row, col, reach):  # type: ignore[no-untyped-def]
    """Say whether a cell and those around it are of one kind."""
    own = _cell(cells, row, col)
    for j in range(row - reach, row + reach + 1):
        for i in range(col - reach, col + reach + 1):
            if _cell(cells, j, i) != own:
                return False
    return True


@njit(cache=True)
def _voted(cells, down, right, weights):  # type: ignore[no-untyped-def]
    """Return the label that a quadratic B-spline around a place has most of; the own one wins draws."""
    row, col = down >> 8, right >> 8
    own = _cell(cells, row, col)
    if _alike(cells, row, col, 1):
        return own
    y, x = (down & 255) - 128, (right & 255) - 128
    along = ((128 - y) * (128 - y), 98304 - 2 * y * y, (128 + y) * (128 + y))
    across = ((128 - x) * (128 - x), 98304 - 2 * x * x, (128 + x) * (128 + x))
    best, most = own, np.int64(-1)
    for n in range(9):
        # The own cell is looked at first.
        at = (n + 4) % 9
        label = _cell(cells, row + at // 3 - 1, col + at % 3 - 1)
        total = np.int64(0)
        for j in range(3):
            for i in range(3):
                if _cell(cells, row + j - 1, col + i - 1) == label:
                    total += along[j] * across[i]
        total *= weights[label]
        if total > most:
            best, most = label, total
    return best


@njit(cache=True)
def _smooth(cells, places, pixels, kinds, rough):  # type: ignore[no-untyped-def]
    """Vote at every place, and between open land of which some is soft at the place that noise moves it
    to."""
    (down, right), (rows, cols), (soft, free, weights) = places, pixels, kinds
    seed, shifts, heights = rough
    found = np.empty(down.shape, np.uint8)
    for j in range(down.shape[0]):
        y = rows[j] * 256 + 128
        for i in range(down.shape[1]):
            v, u = down[j, i], right[j, i]
            if _alike(cells, v >> 8, u >> 8, 2):
                found[j, i] = _cell(cells, v >> 8, u >> 8)
                continue
            own = _voted(cells, v, u, weights)
            found[j, i] = own
            if not free[own]:
                continue
            x = cols[i] * 256 + 128
            lower = further = 0
            for k in range(len(shifts)):
                lower += (heights[k] * noise(y, x, shifts[k], seed + k * OCTAVE)) >> 16
                further += (heights[k] * noise(x, y, shifts[k], seed + (k + 7) * OCTAVE)) >> 16
            moved = _voted(cells, v + lower, u + further, weights)
            if free[moved] and (soft[own] or soft[moved]):
                found[j, i] = moved
    return found
