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
from model_backend.engine.synthesis.labels import Everywhere, LabelMap, permitted
from model_backend.engine.synthesis.parameters import Parameters
from model_backend.engine.synthesis.pyramid import doubled
from model_backend.engine.synthesis.score import NEVER, RADIUS
from model_backend.engine.synthesis.search import Draws, Matches, Target, first_guess, search
from model_backend.engine.synthesis.usage import count_usage, no_usage
from model_backend.engine.synthesis.vote import vote
from model_backend.schemas import Box

Report = Callable[[], None]  # called after every pass; may raise to stop

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

    ``canvas`` bounds the scene; None is the endless ground. On a canvas the levels from ``shared`` upwards
    are made once, for all of it, and kept: a box then pays the margin of the finer levels only.
    """

    def __init__(
        self,
        atlas: Atlas,
        seed: int,
        canvas: Box | None,
        labels: LabelMap | None = None,
        parameters: Parameters | None = None,
    ) -> None:
        self._atlas, self._seed, self._canvas = atlas, seed & 0xFFFFFFFF, canvas
        self._labels = labels or Everywhere()
        self._parameters = parameters or Parameters()
        self._shared: Part | None = None

    def sources(self, box: Box, report: Report = lambda: None) -> Int32Array:
        """Return which atlas pixel every pixel of a box is copied from, (height, width, 2)."""
        boxes = self.boxes(box)
        part: Part | None = None
        start = len(boxes) - 1
        if self._canvas is not None and len(boxes) > self._parameters.shared:
            start = self._parameters.shared - 1
            part = self.coarse(report)
        for level in range(start, -1, -1):
            part = self._refine(level, boxes[level], part, report)
        assert part is not None
        return part.cut(box)

    def pixels(self, sources: Int32Array) -> UInt8Array:
        """Return the RGB, (3, height, width), of sources on the finest level."""
        found = self._atlas.levels[0].pixels[sources[..., 0], sources[..., 1], :3]
        return np.ascontiguousarray(found.transpose(2, 0, 1))

    def coarse(self, report: Report = lambda: None) -> Part:
        """Make the coarse levels of the whole canvas, once."""
        assert self._canvas is not None
        if self._shared is None:
            part = None
            for level in range(self._parameters.levels - 1, self._parameters.shared - 1, -1):
                part = self._refine(level, self._whole(level), part, report)
            self._shared = part
        assert self._shared is not None
        return self._shared

    def picture(self) -> UInt8Array:
        """Return the canvas on its finest shared level, (height, width, 3): a first look at all of it."""
        part = self.coarse()
        level = self._atlas.levels[self._parameters.shared]
        found: UInt8Array = level.pixels[part.sources[..., 0], part.sources[..., 1], :3]
        return found

    def boxes(self, box: Box) -> list[Box]:
        """List what has to be made of every level, finest first, for a box to come out as it always does."""
        boxes = []
        for level in range(self._parameters.levels):
            margin = self._parameters.reach(level)
            box = Box(
                col=box.col - margin,
                row=box.row - margin,
                width=box.width + 2 * margin,
                height=box.height + 2 * margin,
            )
            if self._canvas is not None:
                box = _common(box, self._whole(level))
            boxes.append(box)
            box = _halved(box, 1)
        return boxes

    def _whole(self, level: int) -> Box:
        assert self._canvas is not None
        return _halved(self._canvas, level)

    def _refine(self, level: int, box: Box, coarser: Part | None, report: Report) -> Part:
        """Make a box of a level out of the coarser one, or out of nothing."""
        parameters, atlas = self._parameters, self._atlas.levels[level]
        one = parameters.at(level)
        own = self._labels.labels(box, level)
        bits, confidence = permitted(own, one.corridor)
        if coarser is None:
            sources = first_guess(own, atlas, self._atlas.choice, box.row, box.col, one.cell, self._seed)
        else:
            rows = np.arange(box.row, box.row + box.height) - 2 * coarser.box.row
            cols = np.arange(box.col, box.col + box.width) - 2 * coarser.box.col
            sources = doubled(coarser.sources, rows, cols)
        pixels = _padded(atlas.pixels[sources[..., 0], sources[..., 1]])
        everywhere = np.ones(own.shape, np.bool_)
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
                    raster=0,
                    raster_draws=0,
                )
                matches = search(target, atlas, self._atlas.choice, usage, matches, draws)
                report()
            last = turn == one.rounds - 1
            pixels, sources = vote(target, atlas, matches, everywhere, confidence, parameters.soft, last)
            target = target._replace(pixels=_padded(pixels[RADIUS:-RADIUS, RADIUS:-RADIUS]))
            report()
        return Part(box, sources)


def _padded(pixels: UInt8Array) -> UInt8Array:
    """Repeat the edge pixels so that patches at the edge have neighbours."""
    return np.pad(pixels, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), "edge")


def _halved(box: Box, levels: int) -> Box:
    """Return the box of a coarser level that holds a box."""
    col, row = box.col >> levels, box.row >> levels
    right, bottom = -(-(box.col + box.width) >> levels), -(-(box.row + box.height) >> levels)
    return Box(col=col, row=row, width=right - col, height=bottom - row)


def _common(one: Box, other: Box) -> Box:
    """Return what two boxes share."""
    col, row = max(one.col, other.col), max(one.row, other.row)
    right = min(one.col + one.width, other.col + other.width)
    bottom = min(one.row + one.height, other.row + other.height)
    return Box(col=col, row=row, width=right - col, height=bottom - row)
