"""Better patches for every pixel: from its neighbours, at random from the place's chips, and nearby.

One pass reads the state before it and writes another (Jacobi), so the order of pixels, the cut into blocks
and the number of threads change no bit. A strictly better score wins, the first one found among equals.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from model_backend.arrays import BoolArray, Int32Array, UInt8Array
from model_backend.engine.synthesis.atlas import Choice, Level
from model_backend.engine.synthesis.hashing import below, mix, spread
from model_backend.engine.synthesis.labels import usable
from model_backend.engine.synthesis.parameters import RADIUS, SIDE
from model_backend.engine.synthesis.room import room
from model_backend.engine.synthesis.score import NEVER, score, views
from model_backend.engine.synthesis.usage import Usage, bands, price_of


class Target(NamedTuple):
    """What is to be explained at a level: pixels (height + 6, width + 6, 4) and, where they differ, weights.

    (row, col) is the place of the first pixel within the padding. ``active`` pixels take part, ``permitted``
    are the labels that may be used at a pixel as bits, ``own`` is the pixel's label.
    """

    pixels: UInt8Array
    weights: UInt8Array
    row: int
    col: int
    active: BoolArray
    permitted: NDArray[np.uint32]
    own: UInt8Array


class Matches(NamedTuple):
    """For every pixel the centre of its patch in the atlas, (height, width, 2), and that patch's score.

    ``spare`` is as large as ``sources``: passes read one and write the other.
    """

    sources: Int32Array
    scores: Int32Array
    spare: Int32Array


def begin(sources: Int32Array) -> Matches:
    """Return matches whose scores are not known."""
    scores = room(sources.shape[:2], np.int32)
    scores[:] = NEVER
    return Matches(sources, scores, room(sources.shape, np.int32))


def shown(sources: Int32Array, level: Level) -> UInt8Array:
    """Return the pixels of sources as a target has them, (height + 6, width + 6, 4)."""
    height, width = sources.shape[:2]
    pixels = room((height + 2 * RADIUS, width + 2 * RADIUS, 4), np.uint8)
    _copy(level.pixels, sources, pixels)
    repeat_edges(pixels)
    return pixels


@njit(parallel=True, cache=True)
def _copy(atlas, sources, out):  # type: ignore[no-untyped-def]
    for y in prange(len(sources)):
        for x in range(sources.shape[1]):
            for k in range(4):
                out[y + RADIUS, x + RADIUS, k] = atlas[sources[y, x, 0], sources[y, x, 1], k]


def repeat_edges(pixels: UInt8Array) -> None:
    """Write the pixels at the edges of a target into its padding, so that patches there have neighbours."""
    pixels[:RADIUS], pixels[-RADIUS:] = pixels[RADIUS], pixels[-RADIUS - 1]
    pixels[:, :RADIUS] = pixels[:, RADIUS : RADIUS + 1]
    pixels[:, -RADIUS:] = pixels[:, -RADIUS - 1 : -RADIUS]


class Draws(NamedTuple):
    """How a pass draws at random: a lattice of ``cell`` pixels names ``pool`` chips per place."""

    seed: int
    number: int  # of the pass: no two passes draw alike
    step: int  # of propagation
    fresh: bool  # scores are those of another target
    chance: int  # draws from the chips of the place
    radius: int
    cell: int
    pool: int
    coherence: int  # what every stranger costs: a neighbour whose source is no neighbour
    raster: int  # the chip that is the user's raster itself
    raster_draws: int


@njit(inline="always", cache=True)
def _allowed(level, bits, row, col):  # type: ignore[no-untyped-def]
    if row < 0 or row >= level.valid.shape[0] or col < 0 or col >= level.valid.shape[1]:
        return False
    return usable(level.valid[row, col], bits)


@njit(inline="always", cache=True)
def _strangers(sources, y, x, row, col):  # type: ignore[no-untyped-def]
    """Count the neighbours of a pixel, of four, whose sources are no neighbours of (row, col)."""
    height, width = sources.shape[:2]
    count = 0
    if y > 0:
        count += sources[y - 1, x, 0] != row - 1 or sources[y - 1, x, 1] != col
    if y + 1 < height:
        count += sources[y + 1, x, 0] != row + 1 or sources[y + 1, x, 1] != col
    if x > 0:
        count += sources[y, x - 1, 0] != row or sources[y, x - 1, 1] != col - 1
    if x + 1 < width:
        count += sources[y, x + 1, 0] != row or sources[y, x + 1, 1] != col + 1
    return count


@njit(error_model="numpy", inline="always", cache=True)
def _try(flat, target, level, counts, before, coherence, y, x, row, col, best, own):  # type: ignore[no-untyped-def]
    """Score a patch at a pixel, its use and its strangers priced; ``best`` where it is no better."""
    price = price_of(counts, y + target.row, x + target.col, row, col, level.valid.shape[1], own)
    if coherence:
        price += coherence * _strangers(before, y, x, row, col)
    return score(flat, level.expected, y, x, row, col, best, price)


@njit(inline="always", cache=True)
def _chip_draw(level, choice, draws, y, x, label, k):  # type: ignore[no-untyped-def]
    """Draw a patch centre from one of the chips that the place's lattices name; (y, x) in the plane."""
    r = mix(y, x, draws.seed * 131 + draws.number, k)
    second = mix(r, k, 3, 7)
    slot = k % draws.pool  # every slot has a lattice of its own
    off_y = below(mix(slot, draws.seed, 1, label), draws.cell)
    off_x = below(mix(slot, draws.seed, 2, label), draws.cell)
    place = spread((y + off_y) // draws.cell, (x + off_x) // draws.cell, slot, mix(draws.seed, label, 5, 5))
    chip = choice.chips[choice.first[label] + below(place, choice.counts[label])]
    row = level.chips[chip, 0] + RADIUS + below(r, level.chips[chip, 2] - 2 * RADIUS)
    col = level.chips[chip, 1] + RADIUS + below(second, level.chips[chip, 3] - 2 * RADIUS)
    return row, col


@njit(inline="always", cache=True)
def _raster_draw(level, draws, y, x, k):  # type: ignore[no-untyped-def]
    """Draw from the user's raster itself: from the same row, the same column, or near the place."""
    r = mix(y, x, draws.seed * 131 + draws.number, 500 + k)
    second = mix(r, k, 3, 8)
    top, left = level.chips[draws.raster, 0], level.chips[draws.raster, 1]
    high, wide = level.chips[draws.raster, 2], level.chips[draws.raster, 3]
    how, near = k & 3, 4 * SIDE
    if how == 0:
        row, col = top + y + below(r, 5) - 2, left + below(second, wide)
    elif how == 1:
        row, col = top + below(r, high), left + x + below(second, 5) - 2
    else:
        row = top + y + below(r, 2 * near + 1) - near
        col = left + x + below(second, 2 * near + 1) - near
    if row < top or row >= top + high or col < left or col >= left + wide:
        return -1, -1
    return row, col


def search(
    target: Target, level: Level, choice: Choice, usage: Usage | None, matches: Matches, draws: Draws
) -> Matches:
    """Make one pass over all active pixels; return the new matches, for which the given ones are used up."""
    sources, scores, spare = matches
    np.copyto(spare, sources)
    for band in bands(usage, len(scores)):
        _search(target, level, choice, *band, sources, draws, spare, scores)
    return Matches(spare, scores, sources)


# The arrays that are written are arguments of their own: what a parallel loop of numba writes into the
# members of a tuple is lost. A score is read for its own pixel alone, so it may be written over.
@njit(parallel=True, error_model="numpy", cache=True)
def _search(target, level, choice, top, bottom, counts, before, draws, sources, scores):  # type: ignore[no-untyped-def]
    height, width = scores.shape
    flat = views(target.pixels, target.weights, level.pixels)
    for y in prange(top, bottom):
        for x in range(width):
            if not target.active[y, x]:
                continue
            bits = target.permitted[y, x]
            by, bx = np.int64(before[y, x, 0]), np.int64(before[y, x, 1])
            best = scores[y, x]
            if draws.fresh:
                best = NEVER
                if _allowed(level, bits, by, bx):
                    best = _try(flat, target, level, counts, before, draws.coherence, y, x, by, bx, NEVER, 1)
            # One loop over all candidates, so that scoring is compiled once: it takes most of the compiling.
            drawn, given, radius, k = draws.chance, draws.raster_draws, draws.radius, -1
            while radius >= 1:
                k += 1
                if k == 9 and best == NEVER:  # nothing around may be used here
                    drawn += 8
                if k < 9:
                    dy, dx = (k // 3 - 1) * draws.step, (k % 3 - 1) * draws.step
                    yy, xx = y + dy, x + dx
                    if k == 4 or yy < 0 or yy >= height or xx < 0 or xx >= width or not target.active[yy, xx]:
                        continue
                    row, col = np.int64(before[yy, xx, 0] - dy), np.int64(before[yy, xx, 1] - dx)
                    if row == by and col == bx:
                        continue
                elif k < 9 + drawn:
                    row, col = _chip_draw(
                        level, choice, draws, y + target.row, x + target.col, target.own[y, x], k - 9
                    )
                elif k < 9 + drawn + given:
                    row, col = _raster_draw(level, draws, y + target.row, x + target.col, k - 9 - drawn)
                else:
                    number = 900 + k - 9 - drawn - given
                    r = mix(y + target.row, x + target.col, draws.seed * 131 + draws.number, number)
                    row = by + below(r, 2 * radius + 1) - radius
                    col = bx + below(mix(r, 5, 6, 7), 2 * radius + 1) - radius
                    radius //= 3
                if _allowed(level, bits, row, col):
                    found = _try(
                        flat, target, level, counts, before, draws.coherence, y, x, row, col, best, 0
                    )
                    if found < best:
                        best, by, bx = found, row, col
            sources[y, x, 0], sources[y, x, 1] = by, bx
            scores[y, x] = best


@njit(parallel=True, cache=True)
def first_guess(own, level, choice, row, col, cell, seed):  # type: ignore[no-untyped-def]
    """Lay out the chips that the plane's lattice names: a source, (height, width, 2), for every pixel."""
    height, width = own.shape
    sources = np.empty((height, width, 2), np.int32)
    for y in prange(height):
        for x in range(width):
            label = own[y, x]
            yy = y + row + below(mix(0, seed, 1, label), cell)
            xx = x + col + below(mix(0, seed, 2, label), cell)
            r, c = yy // cell, xx // cell
            place = spread(r, c, 0, mix(seed, label, 5, 5))
            chip = choice.chips[choice.first[label] + below(place, choice.counts[label])]
            high, wide = level.chips[chip, 2] - 2 * RADIUS, level.chips[chip, 3] - 2 * RADIUS
            down = (yy - r * cell + below(mix(r, c, seed, 11), high)) % high
            right = (xx - c * cell + below(mix(r, c, seed, 12), wide)) % wide
            sources[y, x, 0] = level.chips[chip, 0] + RADIUS + down
            sources[y, x, 1] = level.chips[chip, 1] + RADIUS + right
    return sources
