"""Trying up to 16,384 patches for every pixel of one ring of a hole, to start the coarsest level."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from model_backend.arrays import BoolArray
from model_backend.engine.synthesis.atlas import Level
from model_backend.engine.synthesis.labels import usable
from model_backend.engine.synthesis.score import NEVER, score, views
from model_backend.engine.synthesis.search import Matches, Target
from model_backend.engine.synthesis.usage import Usage, bands, price_of

MOST_PATCHES = 16_384  # that are looked at for a pixel; of more, evenly spread ones


def peel(target: Target, level: Level, usage: Usage | None, matches: Matches, ring: BoolArray) -> None:
    """Enter into ``matches`` the best patch for every pixel of ``ring``, (height, width)."""
    patches = np.argwhere(level.valid)
    every = -(-len(patches) // MOST_PATCHES)
    some = patches[:: max(1, every)]
    for top, bottom, counts in bands(usage, len(ring)):
        places = np.argwhere(ring[top:bottom]) + (top, 0)
        if len(places):
            _peel(target, level, counts, places, some, matches.sources, matches.scores)


# The arrays that are written are arguments of their own: what a parallel loop of numba writes into the
# members of a tuple is lost.
@njit(parallel=True, cache=True)
def _peel(target, level, counts, places, patches, sources, scores):  # type: ignore[no-untyped-def]
    for number in prange(len(places)):
        y, x = places[number, 0], places[number, 1]
        found, row, col = _best(target, level, counts, patches, y, x)
        scores[y, x] = found
        if found < NEVER:
            sources[y, x, 0], sources[y, x, 1] = row, col


@njit(error_model="numpy", cache=True)
def _best(target, level, counts, patches, y, x):  # type: ignore[no-untyped-def]
    """Return the best score at a pixel, and its patch."""
    flat = views(target.pixels, target.weights, level.pixels)
    best, best_row, best_col = NEVER, np.int64(0), np.int64(0)
    for k in range(len(patches)):
        row, col = patches[k, 0], patches[k, 1]
        if not usable(level.valid[row, col], target.permitted[y, x]):
            continue
        price = price_of(counts, y + target.row, x + target.col, row, col, level.valid.shape[1], 0)
        found = score(flat, level.expected, y, x, row, col, best, price)
        if found < best:
            best, best_row, best_col = found, row, col
    return best, best_row, best_col
