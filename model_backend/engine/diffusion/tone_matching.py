"""Windows brought to one tone where they meet, after the last phase.

Every window settles on a tone of its own, and what the last phase leaves nothing denoises any more: on open
water each overlap would be a step of a digital number or two. So at every corner where windows meet, the
differences in their overlaps say how far each of them is from the mean of all, and each window is bent, by
the bilinear sheet between its corners, to those means. Neighbours share two corners and agree along the side
between them: steps across overlaps become slopes across windows.

Only overlaps are compared, where windows draw the same land, and only their means: what the land itself does
is left alone. A window without neighbours stays as it is, to the bit. Knows lattices and latents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np

from model_backend.arrays import Float32Array
from model_backend.engine.lattice import Latents, Lattice, Window, overlap

#: The windows at a corner, as steps (rows, columns) from the first of them, and which lie side by side.
_FOUR = ((0, 0), (0, 1), (1, 0), (1, 1))
_PAIRS = ((0, 1), (2, 3), (0, 2), (1, 3))


def match_tones(
    rows: Lattice, cols: Lattice, done: Mapping[Window, Latents], windows: Iterable[Window]
) -> dict[Window, Latents]:
    """Return the latents of windows, bent to meet those of their eight neighbours that are done."""
    moves: dict[Window, Float32Array] = {}  # of a corner, by the first of its windows
    result = {}
    for window in windows:
        south, east = rows.between(window.row), cols.between(window.col)
        bend = np.zeros_like(done[window])
        for own, (down, right) in enumerate(_FOUR):
            first = Window(window.row - down, window.col - right)
            if first not in moves:
                moves[first] = _moves(rows, cols, done, first)
            sheet = np.outer(1 - south if down else south, 1 - east if right else east)
            bend += moves[first][own][:, None, None] * sheet
        result[window] = done[window] + bend
    return result


def _moves(rows: Lattice, cols: Lattice, done: Mapping[Window, Latents], first: Window) -> Float32Array:
    """Return the tones that bring the windows at a corner to the mean of those done, (4, channels)."""
    four = [Window(first.row + down, first.col + right) for down, right in _FOUR]
    there = tuple(window in done for window in four)
    channels = len(next(done[window] for window in four if window in done))
    apart = np.zeros((len(_PAIRS), channels), np.float32)
    for pair, (a, b) in enumerate(_PAIRS):
        if there[a] and there[b]:
            apart[pair] = _apart(rows, cols, done, four[a], four[b])
    return -_tones(there) @ apart


def _apart(
    rows: Lattice, cols: Lattice, done: Mapping[Window, Latents], one: Window, other: Window
) -> Float32Array:
    """Return the mean by which the other window is higher where both count, (channels,); 0 if nowhere."""
    one_rows, other_rows = overlap(rows.cells(one.row), rows.cells(other.row))
    one_cols, other_cols = overlap(cols.cells(one.col), cols.cells(other.col))
    weight = np.outer(
        rows.weight(one.row)[one_rows] * rows.weight(other.row)[other_rows],
        cols.weight(one.col)[one_cols] * cols.weight(other.col)[other_cols],
    )
    if not weight.size:  # a stride of a whole window
        return np.zeros(len(done[one]), np.float32)
    difference = done[other][:, other_rows, other_cols] - done[one][:, one_rows, one_cols]
    mean: Float32Array = (difference * weight).sum((1, 2)) / weight.sum()
    return mean


@cache
def _tones(there: tuple[bool, ...]) -> Float32Array:
    """Return the map, (4, pairs), from differences of pairs at a corner to tones that explain them best.

    Least squares, and a mean of zero over windows that hang together.
    """
    signs = np.zeros((len(_PAIRS), len(_FOUR)))
    for pair, (a, b) in enumerate(_PAIRS):
        if there[a] and there[b]:
            signs[pair, a], signs[pair, b] = -1, 1
    return np.linalg.pinv(signs).astype(np.float32)
