"""The network of streets of a place: districts with a grid each, main roads between them.

A district is what lies nearest to its centre (one in every cell of a lattice, anywhere in the middle of it);
where two meet runs a main road. In a district rows of blocks lie side by side, in the town's one direction or
across it, as the houses of the images do; cross streets end at the rows' streets, and both at the main road,
so every street leads somewhere. All of it is a function of the place, in whole numbers, compiled.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from model_backend.engine.composition.outlines.noise import DIRECTIONS, STEPS, noise
from model_backend.engine.synthesis.hashing import below, mix

# metres
CELL = 420  # of the lattice of districts
BEND = 12  # by which main roads bend, at most
_MAIN = 12  # width of a main road
_STREET = 8


@njit(cache=True)
def district_centres(top, left, height, width, metre, base, seed):  # type: ignore[no-untyped-def]
    """Return row and column of every district's centre, and the direction, depth and length of its blocks."""
    size = CELL * metre
    found = np.empty((height, width, 5), np.int64)
    for j in range(height):
        for i in range(width):
            row, col = top + j, left + i
            found[j, i, 0] = row * size + size // 6 + below(mix(seed, row, col, 1), 4 * size // 6)
            found[j, i, 1] = col * size + size // 6 + below(mix(seed, row, col, 2), 4 * size // 6)
            turned = below(mix(seed, row, col, 3), 2) * DIRECTIONS // 4
            found[j, i, 2] = (base + turned) & (DIRECTIONS - 1)
            found[j, i, 3] = (62 + below(mix(seed, row, col, 5), 30)) * metre
            found[j, i, 4] = (95 + below(mix(seed, row, col, 6), 75)) * metre
    return found


@njit(inline="always", cache=True)
def _line(number, spacing, seed, a, b):  # type: ignore[no-untyped-def]
    """Return where a street of a family of parallel ones lies: irregular by a quarter of their spacing."""
    return number * spacing + below(mix(seed, number, a, b), spacing // 4)


@njit(inline="always", cache=True)
def _between(place, spacing, seed, a, b):  # type: ignore[no-untyped-def]
    """Return the number of the last street at or before a place."""
    number = place // spacing
    return number if place >= _line(number, spacing, seed, a, b) else number - 1


@njit(cache=True)
def block_at(y, x, metre, slow, seed, top, left, centres):  # type: ignore[no-untyped-def]
    """Return whether a place is on a street, hashes of its district and its block, and the block's middle.

    Half of a street belongs to the block on its side. ``centres`` are the districts', from (top, left) on.
    """
    bent_y = y + ((BEND * metre * noise(y, x, slow, seed + 11)) >> 16)
    bent_x = x + ((BEND * metre * noise(y, x, slow, seed + 12)) >> 16)
    main = _MAIN * metre // 2
    near, far = _nearest(bent_y, bent_x, CELL * metre, main, centres, top, left)
    row, col, direction, depth, length = centres[near // 4096, near % 4096]
    name = mix(seed, near // 4096 + top, near % 4096 + left, 8)
    down, right = STEPS[direction, 0], STEPS[direction, 1]
    along = (down * (bent_y - row) + right * (bent_x - col)) >> 10
    across = (right * (bent_y - row) - down * (bent_x - col)) >> 10
    strip = _between(across, depth, seed, name, 1)
    upper, lower = _line(strip, depth, seed, name, 1), _line(strip + 1, depth, seed, name, 1)
    key = mix(name, strip, 0, 9)
    shift = below(key, length)
    block = _between(along + shift, length, seed, key, 2)
    start, end = _line(block, length, seed, key, 2) - shift, _line(block + 1, length, seed, key, 2) - shift
    away = min(min(across - upper, lower - across), min(along - start, end - along))
    street = far < main or away < _STREET * metre // 2
    middle, centre = (start + end) // 2, (upper + lower) // 2
    middle_y = row + ((down * middle + right * centre) >> 10)
    middle_x = col + ((right * middle - down * centre) >> 10)
    return street, name, mix(key, block, 0, 10), middle_y, middle_x


@njit(cache=True)
def _nearest(y, x, size, main, centres, top, left):  # type: ignore[no-untyped-def]
    """Return the nearest district (row * 4096 + column) and how far its border is, or a lot."""
    here, there = y // size - top, x // size - left
    near, least = 0, np.int64(1) << 62
    for j in range(max(0, here - 1), min(centres.shape[0], here + 2)):
        for i in range(max(0, there - 1), min(centres.shape[1], there + 2)):
            down, right = centres[j, i, 0] - y, centres[j, i, 1] - x
            if down * down + right * right < least:
                near, least = j * 4096 + i, down * down + right * right
    row, col = centres[near // 4096, near % 4096, 0], centres[near // 4096, near % 4096, 1]
    border = np.int64(1) << 62
    for j in range(max(0, here - 1), min(centres.shape[0], here + 2)):
        for i in range(max(0, there - 1), min(centres.shape[1], there + 2)):
            down, right = centres[j, i, 0] - y, centres[j, i, 1] - x
            further = down * down + right * right - least
            if j * 4096 + i != near and further < 6 * main * size:
                apart = math.sqrt(np.float64((centres[j, i, 0] - row) ** 2 + (centres[j, i, 1] - col) ** 2))
                border = min(border, further // (2 * np.int64(apart)))
    return near, border
