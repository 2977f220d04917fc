"""How often a source pixel is used near a place, so that nothing striking is seen twice in one view.

The plane is cut into cells of a fixed lattice; a use counts in its own cell and the eight around it. The
counts of a cell are a small hash table of its own: memory is some 80 bytes per pixel of the (coarse) level,
however large the atlas is, and cells are counted side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange, uint64
from numpy.typing import NDArray

from model_backend.arrays import Int32Array


class Usage(NamedTuple):
    """Counts by cell, (rows, cols, slots): ``keys`` are 1 + source pixel, 0 is an empty slot."""

    keys: Int32Array
    counts: NDArray[np.uint16]
    cell: int
    first_row: int
    first_col: int
    price: int  # what every surplus use costs
    free: int  # uses that cost nothing


def no_usage() -> Usage:
    """Return a table that is never asked: uses cost nothing."""
    return Usage(np.zeros((1, 1, 1), np.int32), np.zeros((1, 1, 1), np.uint16), 1 << 20, 0, 0, 0, 0)


def count_usage(
    sources: Int32Array, row: int, col: int, cell: int, width: int, price: int, free: int
) -> Usage:
    """Count the uses of source pixels (height, width, 2) at (row, col) of the plane; ``width`` is the
    atlas's."""
    height, wide = sources.shape[:2]
    first_row, first_col = row // cell, col // cell
    rows = (row + height - 1) // cell - first_row + 1
    cols = (col + wide - 1) // cell - first_col + 1
    slots = 1 << int(2 * 9 * cell * cell - 1).bit_length()
    keys = np.zeros((rows, cols, slots), np.int32)
    counts = np.zeros((rows, cols, slots), np.uint16)
    _count(sources, row, col, cell, width, first_row, first_col, keys, counts)
    return Usage(keys, counts, cell, first_row, first_col, price, free)


@njit(inline="always", cache=True)
def _slot(key, mask):  # type: ignore[no-untyped-def]
    return np.int64((uint64(key) * uint64(0x9E3779B1) & uint64(0xFFFFFFFF)) >> uint64(12)) & mask


@njit(parallel=True, cache=True)
def _count(sources, row, col, cell, width, first_row, first_col, keys, counts):  # type: ignore[no-untyped-def]
    height, wide = sources.shape[:2]
    rows, cols, slots = keys.shape
    mask = slots - 1
    for number in prange(rows * cols):
        r, c = number // cols, number % cols
        top, left = (first_row + r - 1) * cell - row, (first_col + c - 1) * cell - col
        for y in range(max(0, top), min(height, top + 3 * cell)):
            for x in range(max(0, left), min(wide, left + 3 * cell)):
                key = sources[y, x, 0] * width + sources[y, x, 1] + 1
                slot = _slot(key, mask)
                while keys[r, c, slot] != 0 and keys[r, c, slot] != key:
                    slot = (slot + 1) & mask
                keys[r, c, slot] = key
                counts[r, c, slot] += 1


@njit(inline="always", cache=True)
def price_of(usage, row, col, source_row, source_col, width, own):  # type: ignore[no-untyped-def]
    """Return what one more use of a source pixel costs at a place of the plane; ``own`` uses are its own."""
    if usage.price == 0:
        return np.int64(0)
    r, c = row // usage.cell - usage.first_row, col // usage.cell - usage.first_col
    key = source_row * width + source_col + 1
    mask = usage.keys.shape[2] - 1
    slot = _slot(key, mask)
    while usage.keys[r, c, slot] != 0:
        if usage.keys[r, c, slot] == key:
            return np.int64(usage.price) * max(0, np.int64(usage.counts[r, c, slot]) - own - usage.free)
        slot = (slot + 1) & mask
    return np.int64(0)
