"""From a box of the plane to pixels and their sources.

The way of a pixel, coarse to fine: on the coarsest level a lattice lays chips out; every round then searches
better patches for each place and lets overlapping patches vote; the last vote picks, for each pixel, one
source pixel, which is where the next finer level begins. A box depends on a finite margin of each level only,
so any box of an endless plane or of a canvas can be made alone, always with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model_backend.arrays import Int32Array, UInt8Array
from model_backend.engine.synthesis.atlas import Atlas
from model_backend.engine.synthesis.extents import Extents, common, halved
from model_backend.engine.synthesis.labels import Everywhere, LabelMap, permitted
from model_backend.engine.synthesis.parameters import Parameters
from model_backend.engine.synthesis.pyramid import doubled
from model_backend.engine.synthesis.search import (
    Draws,
    Matches,
    Target,
    begin,
    first_guess,
    repeat_edges,
    search,
    shown,
)
from model_backend.engine.synthesis.usage import Usage
from model_backend.engine.synthesis.vote import vote
from model_backend.schemas import Box

Report = Callable[[int, int], None]  # after every pass: level and pixels of it; may raise to stop


def unheard(level: int, pixels: int) -> None:
    """Report to nobody."""


_NO_WEIGHTS = np.zeros((0, 0, 4), np.uint8)
_SKETCH = 256  # pixels of a sketch, along its longer side, at most


@dataclass(frozen=True)
class Part:
    """A box of a level of the plane, in the level's pixels, and where its pixels come from."""

    box: Box
    sources: Int32Array

    def cut(self, box: Box) -> Int32Array:
        """Return the sources of a smaller box."""
        top, left = box.row - self.box.row, box.col - self.box.col
        return self.sources[top : top + box.height, left : left + box.width]


class Synthesis:
    """A scene by example: a pure function of atlas, parameters, seed, labels and place.

    ``grid`` is all that will be asked for, ``canvas`` bounds the scene; None is the endless ground.
    """

    def __init__(
        self,
        atlas: Atlas,
        seed: int,
        grid: Box,
        canvas: Box | None,
        labels: LabelMap | None = None,
        parameters: Parameters | None = None,
    ) -> None:
        self._atlas, self._seed = atlas, seed & 0xFFFFFFFF
        self._labels = labels or Everywhere()
        self._parameters = parameters or Parameters()
        self.extents = Extents(self._parameters, grid, canvas)
        self._pieces: dict[Box, Int32Array] = {}

    def sources(self, box: Box, report: Report = unheard) -> Int32Array:
        """Return which atlas pixel every pixel of a box is copied from, (height, width, 2)."""
        part: Part | None = self._coarse(box, report)
        fine = self.extents.fine(box)
        for level in range(len(fine) - 1, -1, -1):
            matches, part = self._begun(level, fine[level], part), None
            part = self._refine(level, fine[level], matches, report)
        assert part is not None
        return part.cut(box)

    def pixels(self, sources: Int32Array) -> UInt8Array:
        """Return the RGB, (3, height, width), of sources on the finest level."""
        found = self._atlas.levels[0].pixels[sources[..., 0], sources[..., 1], :3]
        return np.ascontiguousarray(found.transpose(2, 0, 1))

    def sketch(self, box: Box) -> UInt8Array:
        """Return the mean colours of what will lie where in a box, (height, width, 3), small; takes no
        search."""
        level = self._parameters.levels - 1
        while max(box.width, box.height) >> level > _SKETCH:
            level += 1
        found: UInt8Array = self._atlas.colours[self._labels.labels(halved(box, level), level)]
        return found

    def overview(self, report: Report = unheard) -> UInt8Array | None:
        """Return a first look at the whole grid, (height, width, 3), a quarter of its size or so.

        None where the scene is so large that it is made piece by piece.
        """
        grid = self.extents.grid
        pieces = list(self.extents.pieces(grid))
        if len(pieces) > 1:
            return None
        level = self._parameters.shared
        sources = self._sources(pieces[0], halved(grid, level), report)
        found: UInt8Array = self._atlas.levels[level].pixels[sources[..., 0], sources[..., 1], :3]
        return found

    def missing(self, box: Box) -> list[Box]:
        """List the coarse pieces that a box needs and that are not made yet."""
        return [piece for piece in self.extents.pieces(box) if piece not in self._pieces]

    def keep(self, box: Box) -> None:
        """Forget the coarse pieces that a box does not need; they are made again if they are asked for."""
        wanted = set(self.extents.pieces(box))
        self._pieces = {piece: kept for piece, kept in self._pieces.items() if piece in wanted}

    def _coarse(self, box: Box, report: Report) -> Part:
        """Return what a box needs of the first shared level, out of pieces that are kept."""
        needed = self.extents.needed(box)
        sources = np.empty((needed.height, needed.width, 2), np.int32)
        for piece in self.extents.pieces(box):
            shared = common(piece, needed)
            rows = slice(shared.row - needed.row, shared.row - needed.row + shared.height)
            cols = slice(shared.col - needed.col, shared.col - needed.col + shared.width)
            sources[rows, cols] = self._sources(piece, shared, report)
        return Part(needed, sources)

    def _sources(self, piece: Box, box: Box, report: Report) -> Int32Array:
        """Return the sources of a box in a piece of the first shared level, which is made unless it is kept.

        What is kept is half as large: one number for each source.
        """
        first = self._parameters.shared
        wide = np.int32(self._atlas.levels[first].valid.shape[1])
        if piece not in self._pieces:
            part: Part | None = None
            boxes = self.extents.coarse(piece)
            for level, around in reversed([*enumerate(boxes, first)]):
                matches, part = self._begun(level, around, part), None
                part = self._refine(level, around, matches, report)
            assert part is not None
            sources = part.cut(piece)
            self._pieces[piece] = sources[..., 0] * wide + sources[..., 1]
        top, left = box.row - piece.row, box.col - piece.col
        kept = self._pieces[piece][top : top + box.height, left : left + box.width]
        return np.stack(np.divmod(kept, wide), -1)

    def _begun(self, level: int, box: Box, coarser: Part | None) -> Matches:
        """Return what a box of a level begins with: the coarser one's sources, or a first guess."""
        if coarser is None:
            cell, own = self._parameters.at(level).cell, self._labels.labels(box, level)
            atlas, choice = self._atlas.levels[level], self._atlas.choice
            return begin(first_guess(own, atlas, choice, box.row, box.col, cell, self._seed))
        rows = np.arange(box.row, box.row + box.height) - 2 * coarser.box.row
        cols = np.arange(box.col, box.col + box.width) - 2 * coarser.box.col
        return begin(doubled(coarser.sources, rows, cols))

    def _refine(self, level: int, box: Box, matches: Matches, report: Report) -> Part:
        """Make a box of a level out of what it begins with, which is written over."""
        parameters, atlas = self._parameters, self._atlas.levels[level]
        one = parameters.at(level)
        own = self._labels.labels(box, level)
        bits, thin = permitted(own, one.corridor)
        everywhere, alike = np.ones(own.shape, np.bool_), np.ones(own.shape, np.uint8)
        pixels = shown(matches.sources, atlas)
        target = Target(pixels, _NO_WEIGHTS, box.row, box.col, everywhere, bits, own)
        usage: Usage | None = None
        wide, usable = atlas.valid.shape[1], int((atlas.valid > 0).sum())
        for turn in range(one.rounds):
            if one.counts(turn):
                free = 9 * one.apart**2 // max(1, usable)
                usage = Usage.of(matches.sources, box.row, box.col, one.apart, wide, one.use_price, free)
            for number, step in enumerate(one.steps):
                draws = Draws(
                    seed=self._seed,
                    number=level * 1000 + turn * 20 + number,
                    step=step,
                    fresh=number == 0,
                    chance=one.draws,
                    radius=one.radius if turn == 0 or level > 1 else 1,
                    cell=one.cell,
                    pool=parameters.pool,
                    coherence=parameters.coherence,
                    raster=0,
                    raster_draws=0,
                )
                matches = search(target, atlas, self._atlas.choice, usage, matches, draws)
                report(level, own.size)
            last = turn == one.rounds - 1
            matches = vote(target, atlas, matches, everywhere, thin, alike, parameters.soft, last)
            repeat_edges(pixels)
            report(level, own.size)
        return Part(box, matches.sources)
