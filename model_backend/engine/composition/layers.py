"""Layers of a scene, drawn over each other: shapes, fixed or recurring, that turn some zones into others.

A zone is a number for a part of a scene, such as a lake or the houses of a town; a label map says in the end
which example images show it. Knows no kinds of land.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model_backend.arrays import Int64Array, UInt8Array
from model_backend.engine.composition.outlines.noise import UNIT
from model_backend.engine.composition.outlines.shapes import EDGE, IN, Shape
from model_backend.engine.synthesis.hashing import below, mix

Bounds = tuple[int, int, int, int]


class Layer(Protocol):
    """Something that is drawn over what is there."""

    def paint(self, zones: UInt8Array, rows: Int64Array, cols: Int64Array) -> None:
        """Change the zones of pixels."""
        ...


class Source(Protocol):
    """Where a layer's shapes come from."""

    def within(self, bounds: Bounds) -> Sequence[Shape]:
        """Return the shapes that may touch a box: top, left, bottom, right."""
        ...


@dataclass(frozen=True)
class Fixed:
    """Shapes that are where they are."""

    shapes: tuple[Shape, ...]

    def within(self, bounds: Bounds) -> Sequence[Shape]:
        """Return all."""
        return self.shapes


@dataclass(frozen=True)
class Recurring:
    """Shapes that recur all over the plane, one in three of four cells of a lattice.

    ``shape`` makes the one of a place, with a number that is the place's own; none reaches further than half
    a ``spacing``.
    """

    shape: Callable[[int, int, int], Sequence[Shape]]
    spacing: int
    seed: int

    def within(self, bounds: Bounds) -> Sequence[Shape]:
        """Return those of the cells around a box."""
        top, left, bottom, right = (edge // self.spacing for edge in bounds)
        found: list[Shape] = []
        for row in range(top - 1, bottom + 2):
            for col in range(left - 1, right + 2):
                number = int(mix(self.seed, row, col, 0))
                if number & 3:
                    down, across = (int(mix(self.seed, row, col, salt)) for salt in (1, 2))
                    y = row * self.spacing + int(below(down, self.spacing * 2 // 3))
                    x = col * self.spacing + int(below(across, self.spacing * 2 // 3))
                    found.extend(self.shape(y, x, number))
        return found


@dataclass(frozen=True)
class Drawn:
    """Shapes that make a zone of what is there, or of some of it, and another of a strip around them."""

    source: Source
    zone: int
    over: tuple[int, ...] | None = None
    edge: int = 0
    edge_zone: int = 0
    edge_over: tuple[int, ...] | None = None

    def paint(self, zones: UInt8Array, rows: Int64Array, cols: Int64Array) -> None:
        """Draw all shapes, strips first, so that none cuts into another shape."""
        marks = np.zeros(zones.shape, np.uint8)
        for shape in self.source.within(around(box_of(rows, cols), self.edge)):
            top, left, bottom, right = shape.bounds()
            down = between(rows, top - self.edge, bottom + self.edge)
            across = between(cols, left - self.edge, right + self.edge)
            if down.start < down.stop and across.start < across.stop:
                part = marks[down, across]
                np.maximum(part, shape.mark(rows[down], cols[across], self.edge), out=part)
        if self.edge:
            _replace(zones, marks == EDGE, self.edge_zone, self.edge_over)
        _replace(zones, marks == IN, self.zone, self.over)


def box_of(rows: Int64Array, cols: Int64Array) -> Bounds:
    """Return the bounds of some pixels."""
    top, left = int(rows[0]) * UNIT, int(cols[0]) * UNIT
    return top, left, int(rows[-1]) * UNIT + UNIT, int(cols[-1]) * UNIT + UNIT


def around(bounds: Bounds, margin: int) -> Bounds:
    """Return wider bounds."""
    top, left, bottom, right = bounds
    return top - margin, left - margin, bottom + margin, right + margin


def between(places: Int64Array, low: int, high: int) -> slice:
    """Return which of some pixels in order lie between two places."""
    start, stop = np.searchsorted(places, [max(low // UNIT, -(1 << 50)), min(high // UNIT + 1, 1 << 50)])
    return slice(int(start), int(stop))


def _replace(
    zones: UInt8Array,
    where: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    zone: int,
    over: tuple[int, ...] | None,
) -> None:
    if over is not None:
        allowed = np.zeros(256, np.bool_)
        allowed[list(over)] = True
        where = where & allowed[zones]
    zones[where] = zone
