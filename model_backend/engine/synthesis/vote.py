"""Computing a pixel from the patches that overlap it: their mean, at last the source pixel closest to it.

The mean serves while matches are still sought. The last vote of a level selects instead: every pixel is then
copied from exactly one place, sharp as the source, and any further band can be read from there.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from model_backend.arrays import BoolArray, UInt8Array
from model_backend.engine.synthesis.atlas import Level
from model_backend.engine.synthesis.parameters import RADIUS, SELECT
from model_backend.engine.synthesis.score import NEVER
from model_backend.engine.synthesis.search import Matches, Target

# 64 exp(-(dx^2 + dy^2) / (2 * 1.6^2)), rounded
_NEAR = np.array(
    [
        [2, 5, 9, 11, 9, 5, 2],
        [5, 13, 24, 29, 24, 13, 5],
        [9, 24, 43, 53, 43, 24, 9],
        [11, 29, 53, 64, 53, 29, 11],
        [9, 24, 43, 53, 43, 24, 9],
        [5, 13, 24, 29, 24, 13, 5],
        [2, 5, 9, 11, 9, 5, 2],
    ],
    np.int64,
)


@njit(inline="always", cache=True)
def _counts(matches, active, y, x):  # type: ignore[no-untyped-def]
    height, width = active.shape
    inside = 0 <= y < height and 0 <= x < width
    return inside and active[y, x] and matches.scores[y, x] != NEVER


@njit(inline="always", cache=True)
def _speaks(target, level, thin, y, x, j, i, row, col):  # type: ignore[no-untyped-def]
    """Say whether the patch (j, i) away may vote on a pixel: where land is thin, with its own kind alone."""
    strict = thin[y, x] or thin[y + j, x + i]
    return not strict or (level.valid[row, col] & 127) == target.own[y, x] + 1


@njit(error_model="numpy", inline="always", cache=True)
def _mean(matches, level, target, thin, confidence, soft, y, x):  # type: ignore[no-untyped-def]
    """Return the total weight of the patches over a pixel, and their mean in four bands."""
    total = a = b = c = d = np.int64(0)
    for j in range(-RADIUS, RADIUS + 1):
        for i in range(-RADIUS, RADIUS + 1):
            if not _counts(matches, target.active, y + j, x + i):
                continue
            row, col = matches.sources[y + j, x + i, 0] - j, matches.sources[y + j, x + i, 1] - i
            if not _speaks(target, level, thin, y, x, j, i, row, col):
                continue
            alike = (np.int64(1) << 26) // (np.int64(matches.scores[y + j, x + i]) + soft)
            weight = _NEAR[j + RADIUS, i + RADIUS] * np.int64(confidence[y + j, x + i]) * alike >> 6
            total += weight
            a += weight * level.pixels[row, col, 0]
            b += weight * level.pixels[row, col, 1]
            c += weight * level.pixels[row, col, 2]
            d += weight * level.pixels[row, col, 3]
    if total == 0:
        return total, a, b, c, d
    half = total // 2
    return total, (a + half) // total, (b + half) // total, (c + half) // total, (d + half) // total


@njit(error_model="numpy", inline="always", cache=True)
def _nearest(matches, level, target, thin, y, x, a, b, c, d):  # type: ignore[no-untyped-def]
    """Return the source pixel nearest to a mean, out of the patches around a pixel."""
    best, best_row, best_col = np.int64(1) << 60, np.int64(0), np.int64(0)
    for j in range(-SELECT, SELECT + 1):
        for i in range(-SELECT, SELECT + 1):
            if not _counts(matches, target.active, y + j, x + i):
                continue
            row, col = matches.sources[y + j, x + i, 0] - j, matches.sources[y + j, x + i, 1] - i
            if not _speaks(target, level, thin, y, x, j, i, row, col):
                continue
            apart = (a - level.pixels[row, col, 0]) ** 2 + (b - level.pixels[row, col, 1]) ** 2
            apart += (c - level.pixels[row, col, 2]) ** 2 + (d - level.pixels[row, col, 3]) ** 2
            apart = (apart + 4) * 16 + (i * i + j * j) * 8
            if apart < best:
                best, best_row, best_col = apart, np.int64(row), np.int64(col)
    return best_row, best_col


def vote(
    target: Target,
    level: Level,
    matches: Matches,
    painted: BoolArray,
    thin: BoolArray,
    confidence: UInt8Array,
    soft: int,
    select: bool,
) -> Matches:
    """Vote on the ``painted`` pixels of a target, which are written over; return the matches that follow.

    ``select`` copies each from one source, which is its match from then on: those given are used up.
    ``soft`` is the score below which patches count alike; ``confidence`` (height, width) weighs patches, and
    ``thin`` land (height, width) is made of patches of its own kind alone, or it would vanish.
    """
    chosen = matches.spare
    if select:
        np.copyto(chosen, matches.sources)
    _vote(target, level, matches, painted, thin, confidence, soft, select, target.pixels, chosen)
    return Matches(chosen, matches.scores, matches.sources) if select else matches


@njit(parallel=True, error_model="numpy", cache=True)
def _vote(target, level, matches, painted, thin, confidence, soft, select, pixels, sources):  # type: ignore[no-untyped-def]
    height, width = painted.shape
    for y in prange(height):
        for x in range(width):
            if not painted[y, x]:
                continue
            total, a, b, c, d = _mean(matches, level, target, thin, confidence, soft, y, x)
            if total == 0:
                continue
            if select:
                row, col = _nearest(matches, level, target, thin, y, x, a, b, c, d)
                if row > 0:
                    sources[y, x, 0], sources[y, x, 1] = row, col
                for k in range(4):
                    pixels[y + RADIUS, x + RADIUS, k] = level.pixels[sources[y, x, 0], sources[y, x, 1], k]
            else:
                pixels[y + RADIUS, x + RADIUS, 0] = a
                pixels[y + RADIUS, x + RADIUS, 1] = b
                pixels[y + RADIUS, x + RADIUS, 2] = c
                pixels[y + RADIUS, x + RADIUS, 3] = d
