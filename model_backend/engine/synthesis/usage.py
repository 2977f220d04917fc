"""How often a source pixel is used near a place, so that nothing striking is seen twice in one view.

The plane is cut into cells of a fixed lattice; a use counts in its own cell and the eight around it. The
counts of a cell are a small hash table of its own. They are made for a few rows of cells at a time and then
forgotten: memory does not grow with the scene, however large the atlas is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit, prange, uint64
from numpy.typing import NDArray

from model_backend.arrays import Int32Array
from model_backend.engine.synthesis.room import room

TABLES = 8 << 20  # bytes of the counts that are held at a time, about


class Counts(NamedTuple):
    """Uses by cell, (rows, cols, slots): ``keys`` are 1 + source pixel, 0 is an empty slot."""

    keys: Int32Array
    counts: NDArray[np.uint16]
    cell: int
    first_row: int
    first_col: int
    price: int  # what every surplus use costs
    free: int  # uses that cost nothing


_NOTHING = Counts(np.zeros((1, 1, 1), np.int32), np.zeros((1, 1, 1), np.uint16), 1 << 20, 0, 0, 0, 0)


class Band(NamedTuple):
    """Rows of pixels, and what is used around them."""

    top: int
    bottom: int
    counts: Counts


@dataclass(frozen=True)
class Usage:
    """What every pixel uses, (height, width) keys, the first one at (row, col) of the plane."""

    keys: Int32Array
    row: int
    col: int
    cell: int  # pixels of the level
    price: int
    free: int

    @classmethod
    def of(
        cls, sources: Int32Array, row: int, col: int, cell: int, width: int, price: int, free: int
    ) -> Usage:
        """Note the uses of source pixels (height, width, 2); ``width`` is the atlas's."""
        keys = sources[..., 0] * np.int32(width)
        keys += sources[..., 1]
        keys += 1
        return cls(keys, row, col, cell, price, free)

    def bands(self) -> Iterator[Band]:
        """Yield rows of cells with their counts, as many at a time as there is room for."""
        cell, (height, wide) = self.cell, self.keys.shape
        first_row, first_col = self.row // cell, self.col // cell
        rows = (self.row + height - 1) // cell - first_row + 1
        cols = (self.col + wide - 1) // cell - first_col + 1
        slots = 1 << int(14 * cell * cell - 1).bit_length()  # for 9 cell^2 keys at most
        some = min(rows, max(1, TABLES // (6 * cols * slots)))
        keys, counts = room((some, cols, slots), np.int32), room((some, cols, slots), np.uint16)
        for row in range(first_row, first_row + rows, some):
            top, left = row * cell - self.row, first_col * cell - self.col
            _count(self.keys, top, left, cell, keys, counts)
            found = Counts(keys, counts, cell, row, first_col, self.price, self.free)
            yield Band(max(0, top), min(height, top + some * cell), found)


def bands(usage: Usage | None, height: int) -> Iterator[Band]:
    """Yield what is used where; all rows at once if uses cost nothing."""
    return iter([Band(0, height, _NOTHING)]) if usage is None else usage.bands()


@njit(inline="always", cache=True)
def _slot(key, mask):  # type: ignore[no-untyped-def]
    return np.int64((uint64(key) * uint64(0x9E3779B1) & uint64(0xFFFFFFFF)) >> uint64(12)) & mask


@njit(parallel=True, cache=True)
def _count(used, top, left, cell, keys, counts):  # type: ignore[no-untyped-def]
    """Count anew for the cells from (top, left) of the pixels on."""
    height, wide = used.shape
    rows, cols, slots = keys.shape
    mask = slots - 1
    for number in prange(rows * cols):
        r, c = number // cols, number % cols
        keys[r, c] = 0
        counts[r, c] = 0
        above, before = top + (r - 1) * cell, left + (c - 1) * cell
        for y in range(max(0, above), min(height, above + 3 * cell)):
            for x in range(max(0, before), min(wide, before + 3 * cell)):
                key = used[y, x]
                slot = _slot(key, mask)
                while keys[r, c, slot] != 0 and keys[r, c, slot] != key:
                    slot = (slot + 1) & mask
                keys[r, c, slot] = key
                counts[r, c, slot] += 1


@njit(inline="always", cache=True)
def price_of(counts, row, col, source_row, source_col, width, own):  # type: ignore[no-untyped-def]
    """Return what one more use of a source pixel costs at a place of the plane; ``own`` uses are its own."""
    if counts.price == 0:
        return np.int64(0)
    r, c = row // counts.cell - counts.first_row, col // counts.cell - counts.first_col
    key = source_row * width + source_col + 1
    mask = counts.keys.shape[2] - 1
    slot = _slot(key, mask)
    while counts.keys[r, c, slot] != 0:
        if counts.keys[r, c, slot] == key:
            return np.int64(counts.price) * max(0, np.int64(counts.counts[r, c, slot]) - own - counts.free)
        slot = (slot + 1) & mask
    return np.int64(0)
