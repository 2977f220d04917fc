"""Painting a hole in an image with patches of examples, such as the image itself, so that structures go on.

Like a scene, coarse to fine, but known pixels are held and weigh more. On the coarsest level the hole is
closed ring by ring from its rim, each pixel by the best of all patches (onion peel). The result is a source
per pixel; tone is joined afterwards by the membrane (``composite``), band by band.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model_backend.arrays import BoolArray, Int32Array, UInt8Array
from model_backend.engine.synthesis.atlas import Atlas, Level
from model_backend.engine.synthesis.labels import permitted
from model_backend.engine.synthesis.parameters import RADIUS, LevelParameters, Parameters
from model_backend.engine.synthesis.peel import peel
from model_backend.engine.synthesis.pyramid import doubled, grown, half, half_with_lines, with_lines
from model_backend.engine.synthesis.search import Draws, Matches, Target, begin, search
from model_backend.engine.synthesis.usage import Usage
from model_backend.engine.synthesis.vote import vote

KNOWN_WEIGHT = 48  # of known pixels where patches are compared
GUIDE_WEIGHT = 6
RASTER_DRAWS = 4  # from the raster itself, per pixel and pass, on all levels but the finest
# round(5 / 1.15^d) and round(64 / 1.2^d), at least 1: painted land counts less the farther it is from the rim
PAINTED_WEIGHT = np.array([5, 4, 4, 3, 3, 2, 2, 2, 2, 1], np.uint8)
CONFIDENCE = np.array([64, 53, 44, 37, 31, 26, 21, 18, 15, 12, 10, 9, 7, 6, 5, 4, 3, 3, 2, 2, 2, 1], np.uint8)


@dataclass(frozen=True)
class Hole:
    """An image with a hole, at (row, col) of its plane.

    ``image`` (height, width, 3) has something smooth where it is not ``known``, and under the ``mask`` that
    is to be filled; the rest that is unknown stays as it is and counts for nothing. ``labels`` say what is to
    be seen there, ``guide`` is the band that guided exemplars have as well. Sides and position are whole
    pixels of the coarsest level.
    """

    image: UInt8Array
    mask: BoolArray
    known: BoolArray
    labels: UInt8Array
    guide: UInt8Array | None = None
    row: int = 0
    col: int = 0


class Filling:
    """The way of a hole to its sources; ``raster`` is the atlas's chip that is the image itself, if any."""

    def __init__(self, atlas: Atlas, parameters: Parameters, seed: int, raster: int | None) -> None:
        self._atlas, self._parameters, self._seed = atlas, parameters, seed & 0xFFFFFFFF
        self._raster = raster

    def sources(self, hole: Hole, report: Callable[[], None] = lambda: None) -> Int32Array:
        """Return the atlas pixel that every pixel is taken from, (height, width, 2); it counts in the hole
        only."""
        pyramid = self._pyramid(hole)
        sources: Int32Array | None = None
        for level in range(self._parameters.levels - 1, -1, -1):
            sources = _Stage(self, level, hole, *pyramid[level]).run(sources, report)
        assert sources is not None
        return sources

    def _pyramid(self, hole: Hole) -> list[tuple[UInt8Array, BoolArray, BoolArray]]:
        """Halve image and hole level by level; a coarse pixel with an unknown part is unknown."""
        if hole.guide is None:
            image = with_lines(hole.image, self._parameters.line_gain)
        else:
            image = np.concatenate([hole.image, hole.guide[..., None]], -1)
        halved = half_with_lines if hole.guide is None else half
        pyramid = [(image, hole.mask, hole.known)]
        for _ in range(self._parameters.levels - 1):
            image, mask, known = pyramid[-1]
            some, every = np.logical_or.reduce, np.logical_and.reduce
            pyramid.append((halved(image), some(_quarters(mask)), every(_quarters(known))))
        return pyramid


class _Stage:
    """One level of a filling."""

    def __init__(
        self,
        filling: Filling,
        number: int,
        hole: Hole,
        image: UInt8Array,
        mask: BoolArray,
        known: BoolArray,
    ) -> None:
        self._number, self._image, self._mask = number, image, mask
        self._known = known & ~mask
        self._level: Level = filling._atlas.levels[number]
        self._choice = filling._atlas.choice
        self._parameters = filling._parameters
        self._one: LevelParameters = filling._parameters.at(number)
        self._seed, self._raster = filling._seed, filling._raster
        self._guided = hole.guide is not None
        self._row, self._col = hole.row >> number, hole.col >> number
        middle = (1 << number) >> 1
        own = np.ascontiguousarray(hole.labels[middle :: 1 << number, middle :: 1 << number])
        bits, self._thin = permitted(own, self._one.corridor)
        self._active = grown(mask, RADIUS)
        bits[self._active & ~mask] = 0xFFFFFFFF
        coarsest = number == filling._parameters.levels - 1
        self._depth = depth(~self._known, 1 << 30 if coarsest else len(CONFIDENCE))
        steps = self._depth.clip(0, len(CONFIDENCE) - 1)
        self._confidence = np.where(mask, CONFIDENCE[steps], 64).astype(np.uint8)
        painted = PAINTED_WEIGHT[self._depth.clip(0, len(PAINTED_WEIGHT) - 1)]
        weights = np.where(mask, painted, np.where(known, KNOWN_WEIGHT, 0)).astype(np.uint8)
        self._target = Target(
            _edged(image), self._weigh(weights), self._row, self._col, self._active, bits, own
        )

    def run(self, coarser: Int32Array | None, report: Callable[[], None]) -> Int32Array:
        """Search and vote as for a scene, from the coarser level's sources or from a peel."""
        if coarser is None:
            matches = self._peeled(report)
        else:
            height, width = self._mask.shape
            sources = doubled(coarser, np.arange(height), np.arange(width))
            matches = begin(sources)
            image = self._image.copy()
            image[self._mask] = self._level.pixels[sources[..., 0], sources[..., 1]][self._mask]
            self._hold(image)
        one, usage = self._one, None
        for turn in range(one.rounds):
            if one.counts(turn):
                usage = self._usage(matches.sources)
            for number, step in enumerate(one.steps):
                draws = self._draws(turn, number, step)
                matches = search(self._target, self._level, self._choice, usage, matches, draws)
                report()
            last = turn == one.rounds - 1
            matches = vote(
                self._target,
                self._level,
                matches,
                self._mask,
                self._thin,
                self._confidence,
                self._parameters.soft,
                last,
            )
            self._hold(self._target.pixels[RADIUS:-RADIUS, RADIUS:-RADIUS])
        return matches.sources

    def _peeled(self, report: Callable[[], None]) -> Matches:
        """Close the hole ring by ring from its rim."""
        matches = begin(np.zeros((*self._mask.shape, 2), np.int32))
        known, usage = self._known.copy(), None
        for ring in range(1, int(self._depth[self._mask].max()) + 1):
            if ring % 2 and self._one.use_price:
                usage = self._usage(matches.sources)
            here = self._mask & (self._depth == ring)
            weights = np.where(known, np.where(self._mask, PAINTED_WEIGHT[0], KNOWN_WEIGHT), 0)
            target = self._target._replace(weights=self._weigh(weights.astype(np.uint8)))
            peel(target, self._level, usage, matches, here)
            near = self._mask & (self._depth > max(0, ring - RADIUS)) & (self._depth <= ring)
            vote(
                target._replace(active=near),
                self._level,
                matches,
                here,
                self._thin,
                self._confidence,
                self._parameters.soft,
                True,
            )
            self._hold(self._target.pixels[RADIUS:-RADIUS, RADIUS:-RADIUS])
            known |= here
            report()
        return matches

    def _draws(self, turn: int, number: int, step: int) -> Draws:
        one = self._one
        return Draws(
            seed=self._seed,
            number=self._number * 1000 + turn * 20 + number,
            step=step,
            fresh=number == 0,
            chance=one.draws,
            radius=one.radius if turn == 0 or self._number > 1 else 1,
            cell=one.cell,
            pool=self._parameters.pool,
            coherence=self._parameters.coherence,
            raster=self._raster or 0,
            raster_draws=RASTER_DRAWS if self._raster is not None and self._number else 0,
        )

    def _usage(self, sources: Int32Array) -> Usage:
        """Count the uses of source pixels; known land counts as used where it lies."""
        one, wide = self._one, self._level.valid.shape[1]
        used = sources.copy()
        if self._raster is not None:
            top, left, height, width = self._level.chips[self._raster]
            rows, cols = np.nonzero(self._known)
            used[rows, cols, 0] = top + rows.clip(0, height - 1)
            used[rows, cols, 1] = left + cols.clip(0, width - 1)
        return Usage.of(used, self._row, self._col, one.apart, wide, one.use_price, 0)

    def _hold(self, pixels: UInt8Array) -> None:
        """Take new pixels as the target; its guide stays as it was asked for."""
        padded = _edged(pixels)
        if self._guided:
            padded[..., 3] = np.pad(self._image[..., 3], RADIUS, "edge")
        self._target = self._target._replace(pixels=padded)

    def _weigh(self, weights: UInt8Array) -> UInt8Array:
        padded = np.repeat(np.pad(weights, RADIUS)[..., None], 4, -1)
        if self._guided:
            padded[..., 3] = GUIDE_WEIGHT
        return np.ascontiguousarray(padded)


def _edged(pixels: UInt8Array) -> UInt8Array:
    return np.pad(pixels, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), "edge")


def _quarters(mask: BoolArray) -> list[BoolArray]:
    """List the four pixels that each coarser one is made of, (height / 2, width / 2)."""
    return [mask[row::2, col::2] for row in (0, 1) for col in (0, 1)]


def depth(mask: BoolArray, most: int = 1 << 30) -> Int32Array:
    """Count the steps, diagonals included, from every pixel of a mask to the nearest one outside; at most
    ``most``."""
    steps = np.zeros(mask.shape, np.int32)
    left, number = mask, 0
    while left.any():
        number += 1
        if number == most:
            steps[left] = most
            break
        inner = ~grown(~left, 1)
        if np.array_equal(inner, left):  # nothing is known anywhere
            steps[left] = number
            break
        steps[left & ~inner] = number
        left = inner
    return steps
