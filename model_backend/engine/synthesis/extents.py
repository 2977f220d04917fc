"""Which boxes of every level have to be made for a box of a scene. Plans ask here, so there is no numba."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from model_backend.engine.synthesis.parameters import Parameters
from model_backend.schemas import Box

WHOLE = 1024  # pixels of the finest shared level: a square of which is made in one piece
PIECE = 768  # side of the pieces of a larger scene; with their margins they take as much memory


@dataclass(frozen=True)
class Extents:
    """The boxes behind a scene; ``grid`` is all that is asked for, ``canvas`` bounds it (None: nothing does).

    The levels from ``parameters.shared`` upwards cost the widest margins. They are made once for the whole
    grid, or, where that is large, in pieces on a lattice of the plane.
    """

    parameters: Parameters
    grid: Box
    canvas: Box | None

    def fine(self, box: Box) -> list[Box]:
        """List what has to be made of the levels that are not shared, finest first."""
        return self._chain(box, 0, self.parameters.shared)

    def coarse(self, piece: Box) -> list[Box]:
        """List what has to be made of the shared levels for one piece of the first of them."""
        return self._chain(piece, self.parameters.shared, self.parameters.levels)

    def needed(self, box: Box) -> Box:
        """Return what a box of the scene needs of the first shared level."""
        fine = self.fine(box)
        return self._within(halved(fine[-1], 1) if fine else box, self.parameters.shared)

    def pieces(self, box: Box) -> Iterator[Box]:
        """Yield the pieces of the first shared level that a box of the scene needs."""
        whole = self.needed(self.grid)
        if whole.width * whole.height <= WHOLE * WHOLE:
            yield whole
            return
        needed = self.needed(box)
        for row in range(needed.row // PIECE, -(-(needed.row + needed.height) // PIECE)):
            for col in range(needed.col // PIECE, -(-(needed.col + needed.width) // PIECE)):
                piece = Box(col=col * PIECE, row=row * PIECE, width=PIECE, height=PIECE)
                yield self._within(piece, self.parameters.shared)

    def _chain(self, box: Box, first: int, end: int) -> list[Box]:
        """List what has to be made of the levels from ``first`` on for a box of that level."""
        boxes = []
        for level in range(first, end):
            margin = self.parameters.reach(level)
            around = Box(
                col=box.col - margin,
                row=box.row - margin,
                width=box.width + 2 * margin,
                height=box.height + 2 * margin,
            )
            boxes.append(self._within(around, level))
            box = halved(boxes[-1], 1)
        return boxes

    def _within(self, box: Box, level: int) -> Box:
        return box if self.canvas is None else common(box, halved(self.canvas, level))


def halved(box: Box, levels: int) -> Box:
    """Return the box of a coarser level that holds a box."""
    col, row = box.col >> levels, box.row >> levels
    right, bottom = -(-(box.col + box.width) >> levels), -(-(box.row + box.height) >> levels)
    return Box(col=col, row=row, width=right - col, height=bottom - row)


def common(one: Box, other: Box) -> Box:
    """Return what two boxes share; ValueError if that is nothing."""
    col, row = max(one.col, other.col), max(one.row, other.row)
    right = min(one.col + one.width, other.col + other.width)
    bottom = min(one.row + one.height, other.row + other.height)
    return Box(col=col, row=row, width=right - col, height=bottom - row)
