"""A scene in blocks: the unit of work that is claimed, kept on disk, and made again after a death.

A block is a box of the grid. It does not change a pixel (a scene is a function of its request and the place),
only what is computed together, so blocks may be made in any order, by several workers, again. They are
numbered so that a scan makes the shorter side of the grid first, a *band*: what one band leaves for the next
is as long as the shorter side, whatever the length of the scene.

Knows boxes and lattices; knows no model, no files, no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from model_backend.engine.lattice import Layout
from model_backend.models.card import EngineParameters
from model_backend.schemas import Box

TILE = 512  # pixels: a block is whole tiles of the file it ends up in
BATCHES = 64  # of windows that a block takes per phase, about; half of the last one is padding, on average

Pieces = tuple[tuple[range, range], ...]  # window rows and columns of every phase


def side_of(params: EngineParameters, factor: int) -> int:
    """Return the largest side of a block in pixels."""
    wanted = math.sqrt(BATCHES * params.batch) * params.stride * factor
    return TILE * max(1, round(wanted / TILE))


@dataclass(frozen=True)
class Blocks:
    """The blocks of a grid: ``rows`` and ``cols`` are its pixels, cut; block numbers follow the scan."""

    rows: tuple[range, ...]
    cols: tuple[range, ...]

    @classmethod
    def of(cls, grid: Box, params: EngineParameters, factor: int) -> Self:
        """Cut a grid for a model: into as few blocks as its side allows, of about the same size."""
        return cls.cut(grid, side_of(params, factor))

    @classmethod
    def cut(cls, grid: Box, side: int) -> Self:
        """Cut a grid into blocks of at most ``side`` pixels, a multiple of TILE."""
        return cls(_cut(grid.row, grid.height, side), _cut(grid.col, grid.width, side))

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    def __iter__(self) -> Iterator[Box]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Box:
        """Return the box of a block."""
        i, j = self.place(number)
        return _box(self.rows[i], self.cols[j])

    @property
    def grid(self) -> Box:
        """The box of all blocks."""
        return _box(_hull(self.rows), _hull(self.cols))

    @property
    def tall(self) -> bool:
        """Whether a band is a row of blocks (the grid is not wider than high), or a column of them."""
        return self.grid.width <= self.grid.height

    def place(self, number: int) -> tuple[int, int]:
        """Return the row and column of a block among the blocks."""
        if self.tall:
            return divmod(number, len(self.cols))
        j, i = divmod(number, len(self.rows))
        return i, j

    def rest(self, number: int) -> Box | None:
        """Return the bands from that of a block on, where it and all later ones lie; None: there is none."""
        if number >= len(self):
            return None
        i, j = self.place(number)
        rows, cols = (self.rows[i:], self.cols) if self.tall else (self.rows, self.cols[j:])
        return _box(_hull(rows), _hull(cols))

    def fresh(self, layout: Layout, phases: int) -> Iterator[Pieces]:
        """Yield the windows of every block that no earlier block needed, in the order of the scan.

        That is a rectangle of windows per phase: what earlier blocks needed along one axis is, together with
        what they needed along the other, all that is not new along both.
        """
        row = [[rows for rows, _ in layout.windows(_box(cut, self.cols[0]), phases)] for cut in self.rows]
        col = [[cols for _, cols in layout.windows(_box(self.rows[0], cut), phases)] for cut in self.cols]
        new_rows, new_cols = _news(row), _news(col)
        for number in range(len(self)):
            i, j = self.place(number)
            yield tuple(zip(new_rows[i], new_cols[j], strict=True))


def _cut(start: int, length: int, side: int) -> tuple[range, ...]:
    """Cut a run of pixels into pieces of whole tiles, as even as that allows; the last one has the rest."""
    size = -(-length // -(-length // side))
    size = -(-size // TILE) * TILE
    return tuple(range(at, min(at + size, start + length)) for at in range(start, start + length, size))


def _news(needed: list[list[range]]) -> list[list[range]]:
    """Take from every piece's runs what the piece before had already, phase by phase."""
    before = [[range(runs[0].start, runs[0].start) for runs in zip(*needed, strict=True)], *needed]
    return [
        [range(max(run.start, had.stop), max(run.stop, had.stop)) for run, had in zip(*pair, strict=True)]
        for pair in zip(needed, before, strict=False)
    ]


def _hull(cuts: tuple[range, ...]) -> range:
    return range(cuts[0].start, cuts[-1].stop)


def _box(rows: range, cols: range) -> Box:
    return Box(col=cols.start, row=rows.start, width=len(cols), height=len(rows))
