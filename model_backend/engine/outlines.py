"""Which points of an endless grid lie inside rings: by even and odd crossings, to the bit for any part of it.

A crossing of an edge and a row of points depends on the two alone, not on the part that is asked for; the
rest is counting. Rings are in units of ``schemas.Region``; grids are as fine as their user wants. Knows no
prompts, no latents and no CRS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_backend.arrays import BoolArray, Int64Array

_TOGETHER = 4096  # edges that are followed at a time: bounds memory


@dataclass(frozen=True)
class Points:
    """A run of points along one axis: point n lies at ``first + n * spacing`` units."""

    first: int
    spacing: int
    run: range

    def at_or_after(self, units: Int64Array) -> Int64Array:
        """Return the first point at or after each of some places, in the run or not."""
        return -((self.first - units) // self.spacing)

    def between(self, low: int, high: int) -> range:
        """Return the points of the run between two places, the second one excluded."""
        start, stop = (-((self.first - units) // self.spacing) for units in (low, high))
        start = min(max(start, self.run.start), self.run.stop)
        return range(start, max(start, min(stop, self.run.stop)))


@dataclass(frozen=True, eq=False)
class Outline:
    """Edges (n, 4): x and y of the upper, then of the lower end; level ones never cross a row of points.

    ``bounds`` are left, top, right, bottom.
    """

    edges: Int64Array
    bounds: tuple[int, int, int, int]

    @classmethod
    def of(cls, rings: Sequence[Sequence[int]]) -> Outline:
        """Return the outline of rings, each x, y, x, y, ... of its corners."""
        corners = [np.asarray(ring, np.int64).reshape(-1, 2) for ring in rings]
        edges = np.concatenate([np.hstack([ring, np.roll(ring, -1, 0)]) for ring in corners])
        downward = np.where((edges[:, 1] > edges[:, 3])[:, None], edges[:, [2, 3, 0, 1]], edges)
        every = np.concatenate(corners)
        (left, top), (right, bottom) = every.min(0).tolist(), every.max(0).tolist()
        return cls(downward[downward[:, 1] < downward[:, 3]], (left, top, right, bottom))

    def inside(self, rows: Points, cols: Points) -> BoolArray:
        """Mark the points that lie inside, (rows, columns)."""
        found = np.zeros((len(rows.run), len(cols.run)), np.bool_)
        left, top, right, bottom = self.bounds
        down, across = rows.between(top, bottom), cols.between(left, right + 1)
        if down and across:
            crossings = np.zeros((len(down), len(across) + 1), np.int64)
            for first in range(0, len(self.edges), _TOGETHER):
                some = self.edges[first : first + _TOGETHER]
                crossings += _crossings(some, (rows, down), (cols, across))
            top, left = down.start - rows.run.start, across.start - cols.run.start
            here = slice(top, top + len(down)), slice(left, left + len(across))
            found[here] = np.cumsum(crossings[:, :-1], axis=1) & 1
        return found


def _crossings(edges: Int64Array, rows: tuple[Points, range], cols: tuple[Points, range]) -> Int64Array:
    """Count the edges that cross each row before each point and not before the one left of it.

    One column more than points: what crosses beyond them all.
    """
    (vertical, down), (horizontal, across) = rows, cols
    x0, y0, x1, y1 = edges.T
    start = np.clip(vertical.at_or_after(y0), down.start, down.stop)
    counts = np.clip(vertical.at_or_after(y1), start, down.stop) - start
    edge = np.repeat(np.arange(len(edges)), counts)
    row = start[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    fall = (vertical.first + row * vertical.spacing - y0[edge]) / (y1 - y0)[edge]
    x = x0[edge] + fall * (x1 - x0)[edge]
    point = np.ceil((x - horizontal.first) / horizontal.spacing).astype(np.int64)
    point = np.clip(point, across.start, across.stop) - across.start
    width = len(across) + 1
    at = (row - down.start) * width + point
    return np.bincount(at, minlength=len(down) * width).reshape(len(down), width)
