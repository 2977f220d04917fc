"""Smooth random land without seams: heights that are a function of seed and place, in whole numbers.

Gradient noise (Perlin 2002) on a square lattice whose side is a power of two. Places are in units of 1/256
pixel, results in 1/65536: between -65536 and 65536, seldom beyond half of that.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from model_backend.engine.synthesis.hashing import mix

#: Cosines of 0 to 90 degrees in steps of 90/16, times 1024.
_QUARTER = (1024, 1019, 1004, 980, 946, 903, 851, 792, 724, 650, 569, 483, 392, 297, 200, 100)
_COSINES = (*_QUARTER, 0, *(-one for one in _QUARTER[:0:-1]))
_HALF = (*_COSINES, *(-one for one in _COSINES))
DIRECTIONS = 64
#: Row and column of a step of 1024 in each of 64 directions, the first one along the columns.
STEPS = np.array([(_HALF[(turn - 16) % 64], _HALF[turn]) for turn in range(64)], np.int64)

UNIT = 256  # parts of a pixel
OCTAVE = 0x51ED27


@njit(inline="always", cache=True)
def _slope(seed, row, col, y, x):  # type: ignore[no-untyped-def]
    """Return the height at (y, x) of the plane through a corner of the lattice."""
    turn = (mix(seed, row, col, 0x6C8E) >> np.uint64(7)) & np.uint64(63)
    return (STEPS[turn, 0] * y + STEPS[turn, 1] * x) >> 10


@njit(inline="always", cache=True)
def _eased(t):  # type: ignore[no-untyped-def]
    """Ease a way of 0 .. 65536 in and out: 6 t^5 - 15 t^4 + 10 t^3."""
    cube = (((t * t) >> 16) * t) >> 16
    return (cube * (((t * (6 * t - 15 * 65536)) >> 16) + 10 * 65536)) >> 16


@njit(cache=True)
def noise(y, x, shift, seed):  # type: ignore[no-untyped-def]
    """Return the height at a place; cells of the lattice are 2^shift units wide."""
    row, col = y >> shift, x >> shift
    down = ((y - (row << shift)) << 16) >> shift
    right = ((x - (col << shift)) << 16) >> shift
    across, along = _eased(right), _eased(down)
    upper = _slope(seed, row, col, down, right)
    upper += (across * (_slope(seed, row, col + 1, down, right - 65536) - upper)) >> 16
    lower = _slope(seed, row + 1, col, down - 65536, right)
    lower += (across * (_slope(seed, row + 1, col + 1, down - 65536, right - 65536) - lower)) >> 16
    return upper + ((along * (lower - upper)) >> 16)


@njit(cache=True)
def octaves(y, x, shifts, heights, first, seed):  # type: ignore[no-untyped-def]
    """Add several noises, from the one numbered ``first``, each of its own cells and height."""
    total = 0
    for number in range(first, len(shifts)):
        total += (heights[number] * noise(y, x, shifts[number], seed + number * OCTAVE)) >> 16
    return total
