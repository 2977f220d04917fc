"""How well a patch of the atlas explains what is at a place: the sum of squared differences, fairly priced.

Flat patches differ little from anything, so a plain sum lets flat land win everywhere. A patch's difference
is therefore divided by what patches of its variance are apt to differ by (``expected_difference``).
"""

from __future__ import annotations

from functools import lru_cache
from math import isqrt
from typing import NamedTuple

import numpy as np
from numba import njit, prange, uint64

from model_backend.arrays import Int32Array, UInt8Array
from model_backend.engine.synthesis.parameters import RADIUS, SIDE

NEVER = np.int32(2**31 - 1)  # score of what may not be used
_UNIT = 64  # expected differences are in 64ths


@lru_cache
def _table(eighths: int) -> Int32Array:
    """Tabulate 64 (1 + v / 100)^(eighths / 8) for variances v in 0..16256, rounded, by integer roots."""
    scale = 10**24  # (1 + v / 100)^n, then three square roots
    values = []
    for variance in range(128 * 127 + 1):
        power = (100 + variance) ** eighths * scale // 100**eighths
        root = isqrt(isqrt(isqrt(power * _UNIT**8)))
        values.append((root + 500) // 1000)
    return np.array(values, np.int32)


def expected_difference(pixels: UInt8Array, valid: UInt8Array, eighths: int) -> Int32Array:
    """Return 64 (1 + v / 100)^gamma per patch centre, v its variance per value, gamma in eighths."""
    return np.where(valid > 0, _table(eighths)[_variance(pixels)], _UNIT).astype(np.int32)


@njit(parallel=True, cache=True)
def _variance(pixels):  # type: ignore[no-untyped-def]
    """Return the variance per value of the patch around every pixel (height, width, 4) of RGB; 0 at edges."""
    height, width = pixels.shape[:2]
    count = SIDE * SIDE
    found = np.zeros((height, width), np.int64)
    for y in prange(RADIUS, height - RADIUS):
        sums, squares = np.zeros((width, 3), np.int64), np.zeros((width, 3), np.int64)
        for j in range(y - RADIUS, y + RADIUS + 1):
            for x in range(width):
                for k in range(3):
                    value = np.int64(pixels[j, x, k])
                    sums[x, k] += value
                    squares[x, k] += value * value
        for x in range(RADIUS, width - RADIUS):
            spread = np.int64(0)
            for k in range(3):
                total, square = np.int64(0), np.int64(0)
                for i in range(x - RADIUS, x + RADIUS + 1):
                    total += sums[i, k]
                    square += squares[i, k]
                spread += count * square - total * total
            found[y, x] = spread // (3 * count * count)
    return found


class Views(NamedTuple):
    """Target, weights (empty: none) and atlas as flat bytes, and how long their rows are."""

    target: UInt8Array
    weights: UInt8Array
    source: UInt8Array
    stride: np.uint64
    source_stride: np.uint64


@njit(inline="always", cache=True)
def views(target, weights, source):  # type: ignore[no-untyped-def]
    """Flatten a target, its weights and an atlas, each (height, width, 4)."""
    return Views(
        target.ravel(),
        weights.ravel(),
        source.ravel(),
        uint64(target.shape[1] * 4),
        uint64(source.shape[1] * 4),
    )


@njit(error_model="numpy", inline="always", cache=True)
def _difference(flat, row, col, source_row, source_col, limit):  # type: ignore[no-untyped-def]
    """Sum the squared differences of two patches, weighted if there are weights; stop at ``limit``.

    The target is padded by the radius, and (row, col) counts without the padding.
    """
    total = np.int32(0)
    here = uint64(row) * flat.stride + uint64(col) * uint64(4)
    there = uint64(source_row - RADIUS) * flat.source_stride + uint64(source_col - RADIUS) * uint64(4)
    weighted = flat.weights.size > 0
    for _ in range(SIDE):
        line = np.int32(0)
        if weighted:
            for i in range(uint64(4 * SIDE)):
                apart = np.int32(flat.target[here + i]) - np.int32(flat.source[there + i])
                line += apart * apart * np.int32(flat.weights[here + i])
        else:
            for i in range(uint64(4 * SIDE)):
                apart = np.int32(flat.target[here + i]) - np.int32(flat.source[there + i])
                line += apart * apart
        total += line
        here += flat.stride
        there += flat.source_stride
        if total >= limit:
            break
    return total


@njit(error_model="numpy", inline="always", cache=True)
def score(flat, expected, row, col, source_row, source_col, best, price):  # type: ignore[no-untyped-def]
    """Return 64 x difference / expected + price, or ``best`` where that is not below it."""
    if price >= best:
        return best
    apt = np.int64(expected[source_row, source_col])
    limit = min(np.int64(NEVER), ((np.int64(best) - price) * apt >> 6) + 1)
    found = _difference(flat, row, col, source_row, source_col, np.int32(limit))
    return np.int32(min(np.int64(best), (np.int64(found) << 6) // apt + price))
