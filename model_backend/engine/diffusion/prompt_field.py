"""Which prompt holds where: soft masks in latents, and what a window makes of them.

A region is an area of the frame with a prompt of its own. A later region covers an earlier one; where none
is, the scene's own prompt holds. How much of a latent a prompt covers is counted on 4 x 4 points, and blurred
over five latents so that no border is a hard edge for the model. Only whole numbers are added, so the masks
are a function of the place, to the bit, whatever box is asked for, and always sum to exactly one.

A window follows at most four prompts, those with the largest area in it, as long as they take at most six
evaluations of the UNet; the rest of its area goes to the largest. Prompts with the same negative prompt
share their unconditional half. Plain steps have no such half, and follow the same prompts.

Knows lattices and outlines; no model, no torch, no CRS. `guidance` evaluates what is chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np

from model_backend.arrays import BoolArray, Float32Array, Int64Array, UInt8Array
from model_backend.engine.diffusion.batching import Batching, Needs
from model_backend.engine.diffusion.sampler import Lengths
from model_backend.engine.lattice import Count, Layout, Window
from model_backend.engine.outlines import Outline, Points
from model_backend.schemas import REGION_UNITS, Recipe, Region

MOST_PROMPTS = 4  # of a window
MOST_EVALUATIONS = 6  # of a window, both halves of guidance together
_POINTS = 4  # per latent and axis, on which a region's share of it is counted
_BLUR = (1, 4, 6, 4, 1)  # weights of neighbouring latents
_WHOLE = _POINTS**2 * sum(_BLUR) ** 2  # the share of a latent that one prompt covers alone
_MARGIN = len(_BLUR) // 2
_GROUP = 8  # times the batch: windows that share UNet calls where they need different numbers of evaluations
_STRIP = 64  # windows of a row that are looked at together when a plan counts them
_KEPT = 1024  # mixtures remembered: a window is denoised once per phase


class Prompt(NamedTuple):
    """What is to be seen, and what is not."""

    text: str
    negative: str


@dataclass(frozen=True, eq=False)
class Mixture:
    """The prompts of a window, by number, and their weights (prompts, rows, columns), which sum to one.

    ``weights`` is None where one prompt holds everywhere.
    """

    prompts: tuple[int, ...]
    weights: Float32Array | None = None


class PromptField:
    """The prompts of a canvas: ``prompts`` are the distinct ones, the scene's own first."""

    def __init__(self, base: Prompt, regions: Sequence[Region], layout: Layout, guided: bool) -> None:
        asked = [base, *(Prompt(region.prompt, region.negative_prompt) for region in regions)]
        self.prompts = tuple(dict.fromkeys(asked))
        self.layout, self._guided = layout, guided
        numbers = {prompt: number for number, prompt in enumerate(self.prompts)}
        self._owners = [numbers[prompt] for prompt in asked[1:]]
        self._outlines = [Outline.of(region.rings) for region in regions]
        self._bounds = np.array([outline.bounds for outline in self._outlines], np.int64).reshape(-1, 4)
        #: The mixture of a window: a function of its box only.
        self.mixture = lru_cache(_KEPT)(self._mixture)
        self._needed = lru_cache(64 * _KEPT)(lambda window: self._costs(self.mixture(window).prompts))

    @classmethod
    def of(cls, recipe: Recipe, layout: Layout) -> Self:
        """Lay the prompts of a recipe on a canvas."""
        base = Prompt(recipe.prompt, recipe.negative_prompt)
        return cls(base, recipe.regions or (), layout, recipe.guidance > 1)

    def batching(self, batch: int) -> Batching:
        """Say how windows share UNet calls; ``batch``: windows of a call where there are no regions."""
        return Batching(batch * _GROUP if self._outlines else batch, batch)

    def needs(self, windows: Sequence[Window]) -> Needs:
        """Return the evaluations that each of some windows needs at every step."""
        if not self._outlines:
            return Needs(*(np.full(len(windows), cost, np.int64) for cost in self._costs((0,))))
        found = np.array([self._needed(window) for window in windows], np.int64).reshape(-1, 2)
        return Needs(*found.T)

    def survey(self, rows: range, cols: range) -> Survey:
        """Look at all windows of some window rows and columns: what they need, and so what they cost."""
        everywhere = np.array(self._costs((0,)), np.uint8)
        needs = np.broadcast_to(everywhere[:, None, None], (2, len(rows), len(cols)))
        if self._outlines:
            needs = needs.copy()
            for i, row in enumerate(rows):
                for first in range(0, len(cols), _STRIP):
                    chosen = self._chosen(row, cols[first : first + _STRIP])
                    needs[:, i, first : first + _STRIP] = np.array([self._costs(some) for some in chosen]).T
        return Survey(self, rows, cols, needs)

    def _mixture(self, window: Window) -> Mixture:
        shares = self._shares(self.layout.rows.cells(window.row), self.layout.cols.cells(window.col))
        prompts = self._choose({number: int(share.sum()) for number, share in shares.items()})
        if len(prompts) == 1:
            return Mixture(prompts)
        kept = np.stack([shares[number] for number in prompts])
        kept[0] += _WHOLE - kept.sum(0)
        return Mixture(prompts, (kept / _WHOLE).astype(np.float32))

    def _chosen(self, row: int, cols: range) -> list[tuple[int, ...]]:
        """Return the prompts of some windows of a row of windows."""
        hull = self.layout.cols.hull(cols)
        shares = self._shares(self.layout.rows.cells(row), hull)
        if len(shares) == 1:
            return [tuple(shares)] * len(cols)
        sums = np.stack([np.concatenate([[0], np.cumsum(share.sum(0))]) for share in shares.values()])
        starts = np.array([self.layout.cols.cells(col).start - hull.start for col in cols])
        areas = (sums[:, starts + self.layout.cols.size] - sums[:, starts]).T.tolist()
        return [self._choose(dict(zip(shares, window, strict=True))) for window in areas]

    def _choose(self, areas: Mapping[int, int]) -> tuple[int, ...]:
        """Return the prompts that a window follows, largest first, given what each covers of it."""
        ranked = sorted((number for number in areas if areas[number]), key=lambda n: (-areas[n], n))
        chosen = tuple(ranked[:1])
        for number in ranked[1:]:
            if areas[number] < _WHOLE or len(chosen) == MOST_PROMPTS:
                break  # less than a latent is not worth an evaluation
            if self._cost((*chosen, number)) <= MOST_EVALUATIONS:
                chosen = (*chosen, number)
        return chosen

    def _costs(self, prompts: tuple[int, ...]) -> tuple[int, int]:
        """Return the evaluations of a window that follows these prompts, at a guided and at a plain step."""
        return self._cost(prompts), len(prompts)

    def _cost(self, prompts: tuple[int, ...]) -> int:
        """Return the most evaluations that a window takes which follows these prompts."""
        halves = len({self.prompts[number].negative for number in prompts}) if self._guided else 0
        return len(prompts) + halves

    def _shares(self, rows: range, cols: range) -> dict[int, Int64Array]:
        """Return the share of every latent of a box that each prompt present covers, of `_WHOLE`."""
        down, across = (
            self._points(cells, shift) for cells, shift in zip((rows, cols), self.layout.shift, strict=True)
        )
        owner = np.zeros((len(down.run), len(across.run)), np.uint16)
        left, top, right, bottom = self._bounds.T
        near = (bottom >= _place(down, 0)) & (top <= _place(down, -1))
        near &= (right >= _place(across, 0)) & (left <= _place(across, -1))
        for number in np.flatnonzero(near):
            owner[self._outlines[number].inside(down, across)] = self._owners[number]
        present = np.flatnonzero(np.bincount(owner.ravel()))
        return {int(number): _blurred(owner == number) for number in present}

    def _points(self, cells: range, shift: int) -> Points:
        """Return the points on which shares of some latents, and of those around them, are counted."""
        spacing = self.layout.factor * REGION_UNITS // _POINTS
        run = range((cells.start - _MARGIN) * _POINTS, (cells.stop + _MARGIN) * _POINTS)
        return Points(shift * REGION_UNITS + spacing // 2, spacing, run)


@dataclass(frozen=True, eq=False)
class Survey:
    """What windows of some rows and columns need: ``needs`` (2, rows, columns), as `Needs` has them."""

    field: PromptField
    rows: range
    cols: range
    needs: UInt8Array

    def count(
        self, windows: Sequence[tuple[range, range]], steps: Sequence[Lengths], largest_batch: int
    ) -> Count:
        """Count what window rows and columns of every phase cost; ``steps``: those of each."""
        batching = self.field.batching(self.field.layout.batch(largest_batch))
        return batching.count((self._of(*some), n) for some, n in zip(windows, steps, strict=True))

    def needed(self, windows: Sequence[Window]) -> Needs:
        """Return the evaluations of some windows."""
        rows = [window.row - self.rows.start for window in windows]
        cols = [window.col - self.cols.start for window in windows]
        return Needs(*self.needs[:, rows, cols].astype(np.int64))

    def _of(self, rows: range, cols: range) -> Needs:
        """Return the evaluations of a rectangle of windows, in lattice order."""
        top, left = rows.start - self.rows.start, cols.start - self.cols.start
        some = self.needs[:, top : top + len(rows), left : left + len(cols)]
        return Needs(*some.reshape(2, -1).astype(np.int64))


def _place(points: Points, index: int) -> int:
    """Return the place of a point of a run, in units."""
    return points.first + points.run[index] * points.spacing


def _blurred(held: BoolArray) -> Int64Array:
    """Return the blurred share of each latent but those of the margin, of `_WHOLE`; ``held`` are points."""
    height, width = (side // _POINTS for side in held.shape)
    points = np.zeros((height, held.shape[1]), np.uint8)
    share = np.zeros((height, width), np.int64)
    for offset in range(_POINTS):  # axis by axis: numpy is slow at summing short ones
        points += held[offset::_POINTS]
    for offset in range(_POINTS):
        share += points[:, offset::_POINTS]
    across = np.zeros((height - 2 * _MARGIN, width), np.int64)
    both = np.zeros((height - 2 * _MARGIN, width - 2 * _MARGIN), np.int64)
    for offset, weight in enumerate(_BLUR):
        across += weight * share[offset : offset + across.shape[0]]
    for offset, weight in enumerate(_BLUR):
        both += weight * across[:, offset : offset + both.shape[1]]
    return both
