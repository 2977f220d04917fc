"""A membrane over a mask: Laplace's equation inside, given values along the border.

Cascadic multigrid on halved grids. Away from the border the membrane is smooth, so there a finer grid only
interpolates the coarser one; sweeps go to the pixels near the border, of every grid. So time goes with the
area by a few passes and with the border by many, and memory stays at some ten bytes per pixel of the box.
Works on arrays (rows, columns); knows nothing of what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import BoolArray, Float32Array, Int32Array, UInt8Array

_NEAR = 8  # pixels from the border within which a grid solves for itself
_SWEEPS = 24  # red-black sweeps there; see the tests against a direct solution
_SMALL = 16  # pixels of a side from which a grid is solved as a whole
_PART = 1 << 18  # pixels at a time, so that what is in between stays small


class Membrane:
    """The solution in ``free`` for values on ``fixed``; other pixels do not exist, and pull at nothing."""

    def __init__(self, free: BoolArray, fixed: BoolArray) -> None:
        """Prepare the grids; ``free`` and ``fixed`` share no pixel, and there are some of either."""
        self._free = free
        self._exists = np.pad(free | fixed, 1)  # by a pixel, so that every pixel has four neighbours
        self._fixed = np.flatnonzero(np.pad(fixed, 1)).astype(np.int32)
        self._coarse: Membrane | None = None
        if max(free.shape) > _SMALL:
            coarse = _halved(fixed)
            self._coarse = Membrane(_halved(free) & ~coarse, coarse)
            row, col = (at // 2 for at in self._where(self._fixed))
            # Coarse rings are numbered in flat order, as those of the coarser membrane are.
            self._group = np.searchsorted(np.flatnonzero(coarse), row * coarse.shape[1] + col)
        self._colours = tuple(self._colour(colour) for colour in (0, 1))

    def solve(self, border: NDArray[Any]) -> Float32Array:
        """Return the values of the free pixels in row order; ``border`` are those of the fixed ones."""
        found: Float32Array = self._field(border)[1:-1, 1:-1][self._free]
        return found

    def _where(self, cells: Int32Array) -> tuple[Int32Array, Int32Array]:
        """Return row and column, without the padding, of padded flat indices."""
        row, col = np.divmod(cells, np.int32(self._exists.shape[1]))
        return row - 1, col - 1

    def _colour(self, colour: int) -> tuple[Int32Array, UInt8Array]:
        """Return the pixels of a checkerboard's colour that are solved for, and their neighbours' number."""
        near = self._free if self._coarse is None else self._free & _spread(~self._free, _NEAR)
        there = np.pad(near, 1)
        there[colour::2, 1::2] = there[1 - colour :: 2, ::2] = False
        cells = np.flatnonzero(there).astype(np.int32)
        exists, width = self._exists.ravel(), self._exists.shape[1]
        count = np.zeros(len(cells), np.uint8)
        for step in (-width, -1, 1, width):
            count += exists[cells + step]
        return cells[count > 0], count[count > 0]

    def _field(self, border: NDArray[Any]) -> Float32Array:
        """Return the values of all pixels, padded, 0 where there are none."""
        if self._coarse is None:
            field = np.where(self._exists, np.float32(border.mean()), np.float32(0))
        else:
            coarse = self._coarse._field(np.bincount(self._group, border) / np.bincount(self._group))
            field = _finer(coarse, self._exists.shape)
            field *= self._exists
            for cells, _ in self._colours:  # beside the border, some of what is interpolated does not exist
                row, col = self._where(cells)
                field.ravel()[cells] = coarse[row // 2 + 1, col // 2 + 1]
        flat = field.ravel()
        flat[self._fixed] = border
        width = field.shape[1]
        for _ in range(_SWEEPS):
            for cells, count in self._colours:
                for part in _parts(len(cells)):
                    at = cells[part]
                    around = flat[at - width] + flat[at - 1] + flat[at + 1] + flat[at + width]
                    flat[at] = around / count[part]
        return field


def _parts(length: int) -> Iterator[slice]:
    for start in range(0, length, _PART):
        yield slice(start, start + _PART)


def _finer(coarse: Float32Array, shape: tuple[int, ...]) -> Float32Array:
    """Return padded values on a grid of twice the resolution, by a line between neighbouring centres."""
    rows, cols = shape[0] - 2, shape[1] - 2
    near, far = np.float32(0.75), np.float32(0.25)
    tall = np.empty((rows, coarse.shape[1]), np.float32)
    tall[::2] = near * coarse[1:-1] + far * coarse[:-2]
    tall[1::2] = (near * coarse[1:-1] + far * coarse[2:])[: rows // 2]
    out = np.zeros(shape, np.float32)
    inner = out[1:-1, 1:-1]
    inner[:, ::2] = near * tall[:, 1:-1] + far * tall[:, :-2]
    inner[:, 1::2] = (near * tall[:, 1:-1] + far * tall[:, 2:])[:, : cols // 2]
    return out


def _halved(mask: BoolArray) -> BoolArray:
    """Return the mask at half the resolution, a pixel being set if any of its four is."""
    rows, cols = mask.shape
    even = np.pad(mask, ((0, rows % 2), (0, cols % 2)))
    return even[::2, ::2] | even[1::2, ::2] | even[::2, 1::2] | even[1::2, 1::2]


def _spread(mask: BoolArray, by: int) -> BoolArray:
    """Return the mask and all within ``by`` pixels along both axes; beyond the array counts as set."""
    return highest(highest(np.pad(mask, by, constant_values=True), by, 0), by, 1)[by:-by, by:-by]


def highest(values: NDArray[Any], radius: int, axis: int) -> NDArray[Any]:
    """Return the running maximum over 2 ``radius`` + 1 values along an axis; beyond the array are zeros."""
    # By doubling: two runs of the same width make one of up to twice that.
    width, wanted = 1, 2 * radius + 1
    padded = [(0, 0), (0, 0)]
    padded[axis] = (radius, radius)
    out = np.pad(values, padded)
    while width < wanted:
        step = min(width, wanted - width)
        length = out.shape[axis] - step
        ahead, behind = (slice(0, length), slice(step, step + length))
        out = np.maximum(out[ahead], out[behind]) if axis == 0 else np.maximum(out[:, ahead], out[:, behind])
        width += step
    return out
