"""Compiled loops that say which pixels lie in a shape, in whole numbers: the same bits on every machine.

Marks are 2 inside, 1 in the strip around, 0 outside. Square roots are of whole numbers, which IEEE arithmetic
rounds in one way only.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from model_backend.engine.composition.outlines.noise import OCTAVE, noise, octaves


@njit(cache=True)
def inside_round(y, x, place, shifts, heights, seed):  # type: ignore[no-untyped-def]
    """Return how far inside a natural outline a place is, about; negative: outside."""
    row, col, radius, stretch, down, right, edge = place
    along = (((down * (y - row) + right * (x - col)) >> 10) * 1024) // stretch
    across = (((right * (y - row) - down * (x - col)) >> 10) * stretch) // 1024
    inside = radius - np.int64(math.sqrt(np.float64(along * along + across * across)))
    reach = heights.sum()
    if -reach - edge <= inside < reach:
        inside += octaves(y, x, shifts, heights, 0, seed)
    return inside


@njit(cache=True)
def mark_round(rows, cols, place, shifts, heights, seed):  # type: ignore[no-untyped-def]
    """Mark what is nearer to a centre than a displaced radius, in an ellipse's measure."""
    edge = place[6]
    marks = np.zeros((len(rows), len(cols)), np.uint8)
    for j in range(len(rows)):
        for i in range(len(cols)):
            inside = inside_round(rows[j] * 256 + 128, cols[i] * 256 + 128, place, shifts, heights, seed)
            marks[j, i] = 2 if inside > 0 else (1 if inside > -edge else 0)
    return marks


@njit(cache=True)
def mark_block(rows, cols, place):  # type: ignore[no-untyped-def]
    """Mark a rectangle."""
    row, col, length, width, down, right, edge = place
    marks = np.zeros((len(rows), len(cols)), np.uint8)
    for j in range(len(rows)):
        y = rows[j] * 256 + 128 - row
        for i in range(len(cols)):
            x = cols[i] * 256 + 128 - col
            along = abs((down * y + right * x) >> 10) - length
            across = abs((right * y - down * x) >> 10) - width
            outside = max(along, across)
            marks[j, i] = 2 if outside <= 0 else (1 if outside < edge else 0)
    return marks


@njit(cache=True)
def _tilted(y, x, place):  # type: ignore[no-untyped-def]
    row, col, down, right, offset, _, _ = place
    return ((down * (y - row) + right * (x - col)) >> 10) + offset


@njit(cache=True)
def _displaced(y, x, shift, number, place, seed):  # type: ignore[no-untyped-def]
    """Return a noise at a place; that of a line is stretched across it, so that the line may wind steeply and
    never meets itself.
    """
    row, col, down, right, _, _, line = place
    if line:
        across = (down * (y - row) + right * (x - col)) >> 12
        x = (right * (y - row) - down * (x - col)) >> 10
        y = across + (1 << shift >> 1)  # noise vanishes on the lattice
    return noise(y, x, shift, seed + number * OCTAVE)


@njit(cache=True)
def _repeated(height, period):  # type: ignore[no-untyped-def]
    """Measure from the nearest line of a family of parallel ones."""
    return height if period == 0 else (height + (period >> 1)) % period - (period >> 1)


@njit(cache=True)
def value(y, x, place, shifts, heights, seed):  # type: ignore[no-untyped-def]
    """Return the height of the tilted, rough plane at a place."""
    height = _tilted(y, x, place)
    for number in range(len(shifts)):
        height += (heights[number] * _displaced(y, x, shifts[number], number, place, seed)) >> 16
    return _repeated(height, place[5])


@njit(cache=True)
def _steepness(y, x, height, place, shifts, heights, seed):  # type: ignore[no-untyped-def]
    """Return how much the height changes per 1024 units at a place, at least 400."""
    down = value(y + 1024, x, place, shifts, heights, seed) - height
    right = value(y, x + 1024, place, shifts, heights, seed) - height
    return max(400, np.int64(math.sqrt(np.float64(down * down + right * right))))


@njit(cache=True)
def mark_band(rows, cols, place, half, edge, shifts, heights, seed):  # type: ignore[no-untyped-def]
    """Mark what lies within ``half`` of the line of height 0, or, if that is -1, all that lies higher.

    Heights are measured along the steepest way, so that a band is as wide as it should be wherever it turns.
    Noises are added one by one, and only while they can still make a difference.
    """
    marks = np.zeros((len(rows), len(cols)), np.uint8)
    wide = max(half, 0) + edge
    for j in range(len(rows)):
        y = rows[j] * 256 + 128
        for i in range(len(cols)):
            x = cols[i] * 256 + 128
            whole = _tilted(y, x, place)
            rest = heights.sum()
            number = 0
            height = _repeated(whole, place[5])
            while number < len(shifts) and abs(height) <= rest + 4 * wide:
                whole += (heights[number] * _displaced(y, x, shifts[number], number, place, seed)) >> 16
                rest -= heights[number]
                number += 1
                height = _repeated(whole, place[5])
            if abs(height) > rest + 4 * wide:
                marks[j, i] = 2 if half < 0 and height > 0 else 0
                continue
            if half < 0:  # a strip along a shore is smoother than the shore: no steepness
                marks[j, i] = 2 if height > 0 else (1 if height > -edge else 0)
                continue
            away = abs(height) * 1024 // _steepness(y, x, height, place, shifts, heights, seed)
            marks[j, i] = 2 if away < half else (1 if away < wide else 0)
    return marks
