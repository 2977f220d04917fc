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
from model_backend.engine.synthesis.parameters import RADIUS, Parameters
from model_backend.engine.synthesis.pyramid import doubled
from model_backend.engine.synthesis.score import NEVER
from model_backend.engine.synthesis.search import Draws, Matches, Target, first_guess, search
from model_backend.engine.synthesis.usage import count_usage, no_usage
from model_backend.engine.synthesis.vote import vote
from model_backend.schemas import Box

Report = Callable[[int, int], None]  # after every pass: level and pixels of it; may raise to stop


def unheard(level: int, pixels: int) -> None:
    """Report to nobody."""


_NO_WEIGHTS = np.zeros((0, 0, 4), np.uint8)


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
        self._pieces: dict[Box, Part] = {}

    def sources(self, box: Box, report: Report = unheard) -> Int32Array:
        """Return which atlas pixel every pixel of a box is copied from, (height, width, 2)."""
        part = self._coarse(box, report)
        fine = self.extents.fine(box)
        for level in range(len(fine) - 1, -1, -1):
            part = self._refine(level, fine[level], part, report)
        return part.cut(box)

    def pixels(self, sources: Int32Array) -> UInt8Array:
        """Return the RGB, (3, height, width), of sources on the finest level."""
        found = self._atlas.levels[0].pixels[sources[..., 0], sources[..., 1], :3]
        return np.ascontiguousarray(found.transpose(2, 0, 1))

    def overview(self, report: Report = unheard) -> UInt8Array | None:
        """Return a first look at the whole grid, (height, width, 3), a quarter of its size or so.

        None where the scene is so large that it is made piece by piece.
        """
        grid = self.extents.grid
        pieces = list(self.extents.pieces(grid))
        if len(pieces) > 1:
            return None
        level = self._parameters.shared
        sources = self._piece(pieces[0], report).cut(halved(grid, level))
        found: UInt8Array = self._atlas.levels[level].pixels[sources[..., 0], sources[..., 1], :3]
        return found

    def missing(self, box: Box) -> list[Box]:
        """List the coarse pieces that a box needs and that are not made yet."""
        return [piece for piece in self.extents.pieces(box) if piece not in self._pieces]

    def keep(self, box: Box) -> None:
        """Forget the coarse pieces that a box does not need; they are made again if they are asked for."""
        wanted = set(self.extents.pieces(box))
        self._pieces = {piece: part for piece, part in self._pieces.items() if piece in wanted}

    def _coarse(self, box: Box, report: Report) -> Part:
        """Return what a box needs of the first shared level, out of pieces that are kept."""
        pieces = list(self.extents.pieces(box))
        if len(pieces) == 1:
            return self._piece(pieces[0], report)
        needed = self.extents.needed(box)
        sources = np.empty((needed.height, needed.width, 2), np.int32)
        for piece in pieces:
            shared = common(piece, needed)
            rows = slice(shared.row - needed.row, shared.row - needed.row + shared.height)
            cols = slice(shared.col - needed.col, shared.col - needed.col + shared.width)
            sources[rows, cols] = self._piece(piece, report).cut(shared)
        return Part(needed, sources)

    def _piece(self, piece: Box, report: Report) -> Part:
        """Make a piece of the first shared level, or take it from what was kept."""
        if piece not in self._pieces:
            part: Part | None = None
            boxes = self.extents.coarse(piece)
            for number in range(len(boxes) - 1, -1, -1):
                part = self._refine(self._parameters.shared + number, boxes[number], part, report)
            assert part is not None
            self._pieces[piece] = Part(piece, part.cut(piece).copy())
        return self._pieces[piece]

    def _refine(self, level: int, box: Box, coarser: Part | None, report: Report) -> Part:
        """Make a box of a level out of the coarser one, or out of nothing."""
        parameters, atlas = self._parameters, self._atlas.levels[level]
        one = parameters.at(level)
        own = self._labels.labels(box, level)
        bits, thin = permitted(own, one.corridor)
        if coarser is None:
            sources = first_guess(own, atlas, self._atlas.choice, box.row, box.col, one.cell, self._seed)
        else:
            rows = np.arange(box.row, box.row + box.height) - 2 * coarser.box.row
            cols = np.arange(box.col, box.col + box.width) - 2 * coarser.box.col
            sources = doubled(coarser.sources, rows, cols)
        pixels = _padded(atlas.pixels[sources[..., 0], sources[..., 1]])
        everywhere, alike = np.ones(own.shape, np.bool_), np.ones(own.shape, np.int64)
        target = Target(pixels, _NO_WEIGHTS, box.row, box.col, everywhere, bits, own)
        matches = Matches(sources, np.full(own.shape, NEVER, np.int32))
        usage = no_usage()
        free = 9 * one.apart**2 // max(1, int((atlas.valid > 0).sum()))
        for turn in range(one.rounds):
            if one.counts(turn):
                used = sources if turn else matches.sources
                usage = count_usage(
                    used, box.row, box.col, one.apart, atlas.valid.shape[1], one.use_price, free
                )
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
            pixels, sources = vote(target, atlas, matches, everywhere, thin, alike, parameters.soft, last)
            target = target._replace(pixels=_padded(pixels[RADIUS:-RADIUS, RADIUS:-RADIUS]))
            report(level, own.size)
        return Part(box, sources)


def _padded(pixels: UInt8Array) -> UInt8Array:
    """Repeat the edge pixels so that patches at the edge have neighbours."""
    return np.pad(pixels, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), "edge")
