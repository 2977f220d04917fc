"""Which prompt holds where: soft masks in latents, and what a window makes of them.

A region is an area of the frame with a prompt of its own. A later region covers an earlier one; where none
is, the scene's own prompt holds. How much of a latent a prompt covers is counted on 4 x 4 points, and blurred
over five latents so that no border is a hard edge for the model. Only whole numbers are added, so the masks
are a function of the place, to the bit, whatever box is asked for, and always sum to exactly one.

A window follows at most four prompts, those with the largest area in it, as long as they take at most six
evaluations of the UNet; the rest of its area goes to the largest. Prompts with the same negative prompt
share their unconditional half.

Knows lattices and rings of pixels; no model, no torch, no CRS. `guidance` evaluates what is chosen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_backend.engine.field import Window
from model_backend.engine.lattice import Count, Layout
from model_backend.schemas import REGION_UNITS, Region

Ints = NDArray[np.int64]

MOST_PROMPTS = 4  # of a window
MOST_EVALUATIONS = 6  # of a window, both halves of guidance together
_POINTS = 4  # per latent and axis, on which a region's share of it is counted
_BLUR = (1, 4, 6, 4, 1)  # latents; a border is about as soft as the model's own
_WHOLE = _POINTS**2 * sum(_BLUR) ** 2  # the share of a latent that one prompt covers alone
_MARGIN = len(_BLUR) // 2
_GROUP = 8  # times the batch: windows that share UNet calls where they need different numbers of evaluations
_STRIP = 64  # windows of a row that are looked at together when a plan counts them
_EDGES = 4096  # edges of a region that are followed together
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
    weights: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Batching:
    """How windows share UNet calls: in groups of ``windows``, whose evaluations are made ``samples`` a time.

    The last call of a group is padded. Every call has one size, so that no bit of a window depends on which
    windows it shares calls with.
    """

    windows: int
    samples: int

    def calls(self, evaluations: Ints) -> int:
        """Return the UNet calls of one step of windows, in lattice order, that need so many evaluations."""
        if not len(evaluations):
            return 0
        groups = np.add.reduceat(evaluations, np.arange(0, len(evaluations), self.windows))
        return int((-(-groups // self.samples)).sum())


class PromptField:
    """The prompts of a canvas: ``prompts`` are the distinct ones, the scene's own first."""

    def __init__(self, base: Prompt, regions: Sequence[Region], layout: Layout, guided: bool) -> None:
        asked = [base, *(Prompt(region.prompt, region.negative_prompt) for region in regions)]
        self.prompts = tuple(dict.fromkeys(asked))
        self._layout, self._guided = layout, guided
        self._areas = [
            _Area.of(region, self.prompts.index(prompt))
            for region, prompt in zip(regions, asked[1:], strict=True)
        ]
        #: The mixture of a window: a function of its box only.
        self.mixture = lru_cache(_KEPT)(self._mixture)
        self._needed = lru_cache(64 * _KEPT)(lambda window: self._cost(self.mixture(window).prompts))

    def count(
        self, windows: Sequence[tuple[range, range]], steps: Sequence[int], largest_batch: int
    ) -> Count:
        """Return what computing window rows and columns of every phase costs; ``steps``: those of each."""
        if not self._areas:
            return self._layout.count(windows, steps, self._guided, largest_batch)
        batching = self.batching(self._layout.batch(largest_batch))
        calls = sum(
            batching.calls(self.evaluations(rows, cols).ravel()) * n
            for (rows, cols), n in zip(windows, steps, strict=True)
        )
        sizes = sum(len(rows) * len(cols) for rows, cols in windows)
        return Count(windows=sizes, calls=calls, evaluations=calls * batching.samples)

    def mean_evaluations(self, rows: range, cols: range) -> float:
        """Return the evaluations that a window among window rows and columns needs, on average."""
        return float(self.evaluations(rows, cols).mean()) if self._areas else float(self._cost((0,)))

    def batching(self, batch: int) -> Batching:
        """Return how windows share UNet calls, given the windows of a call where there are no regions."""
        samples = batch * self._cost((0,))
        return Batching(batch * _GROUP if self._areas else batch, samples)

    def needs(self, windows: Sequence[Window]) -> Ints:
        """Return the evaluations that each of some windows needs at every step."""
        return np.array([self._needed(window) for window in windows], np.int64)

    def evaluations(self, rows: range, cols: range) -> Ints:
        """Return the evaluations that windows need at every step, (window rows, window columns).

        The same as ``needs``, for many at a time.
        """
        needed = np.full((len(rows), len(cols)), self._cost((0,)), np.int64)
        for i, row in enumerate(rows):
            for first in range(0, len(cols), _STRIP):
                strip = cols[first : first + _STRIP]
                for j, prompts in enumerate(self._chosen(row, strip)):
                    needed[i, first + j] = self._cost(prompts)
        return needed

    def _mixture(self, window: Window) -> Mixture:
        cells = self._layout.rows.cells(window.row), self._layout.cols.cells(window.col)
        shares = self._shares(*cells)
        prompts = self._choose({number: int(share.sum()) for number, share in shares.items()})
        if len(prompts) == 1:
            return Mixture(prompts)
        kept = np.stack([shares[number] for number in prompts])
        kept[0] += _WHOLE - kept.sum(0)
        return Mixture(prompts, (kept / _WHOLE).astype(np.float32))

    def _chosen(self, row: int, cols: range) -> list[tuple[int, ...]]:
        """Return the prompts of some windows of a row of windows."""
        rows, hull = self._layout.rows.cells(row), self._layout.cols.hull(cols)
        shares = self._shares(rows, hull)
        if len(shares) == 1:
            return [tuple(shares)] * len(cols)
        sums = {number: np.concatenate([[0], np.cumsum(share.sum(0))]) for number, share in shares.items()}
        starts = [self._layout.cols.cells(col).start - hull.start for col in cols]
        size = self._layout.cols.size
        return [
            self._choose({number: int(total[at + size] - total[at]) for number, total in sums.items()})
            for at in starts
        ]

    def _choose(self, areas: dict[int, int]) -> tuple[int, ...]:
        """Return the prompts that a window follows, largest first, given what each covers of it."""
        ranked = sorted((number for number in areas if areas[number]), key=lambda n: (-areas[n], n))
        chosen = tuple(ranked[:1])
        for number in ranked[1:]:
            if areas[number] < _WHOLE or len(chosen) == MOST_PROMPTS:
                break  # less than a latent is not worth an evaluation
            if self._cost((*chosen, number)) <= MOST_EVALUATIONS:
                chosen = (*chosen, number)
        return chosen

    def _cost(self, prompts: tuple[int, ...]) -> int:
        """Return the evaluations of a window that follows these prompts."""
        halves = len({self.prompts[number].negative for number in prompts}) if self._guided else 0
        return len(prompts) + halves

    def _shares(self, rows: range, cols: range) -> dict[int, Ints]:
        """Return what each prompt covers of a box of latents, of `_WHOLE` per latent; none that is absent."""
        wide = tuple(range(cells.start - _MARGIN, cells.stop + _MARGIN) for cells in (rows, cols))
        axes = [
            _Axis(self._layout.factor, shift, range(cells.start * _POINTS, cells.stop * _POINTS))
            for shift, cells in zip(self._layout.shift, wide, strict=True)
        ]
        owner = np.zeros([len(axis.points) for axis in axes], np.uint16)
        for area in self._areas:
            area.claim(owner, axes[0], axes[1])
        return {int(number): _blurred(owner == number) for number in np.unique(owner)}


@dataclass(frozen=True)
class _Axis:
    """Sample points along one axis: point n lies ``spacing`` units of a region after point n - 1."""

    factor: int
    shift: int
    points: range

    @property
    def spacing(self) -> int:
        return self.factor * REGION_UNITS // _POINTS

    @property
    def first(self) -> int:
        """Where point 0 lies: in the middle of its share of latent 0."""
        return self.shift * REGION_UNITS + self.spacing // 2

    def at_or_after(self, units: Ints) -> Ints:
        """Return the first point at or after each of some places."""
        return -((self.first - units) // self.spacing)

    def part(self, low: int, high: int) -> range:
        """Return the points between two places, the second one excluded."""
        start, stop = (int(n) for n in self.at_or_after(np.array([low, high])))
        start = min(max(start, self.points.start), self.points.stop)
        return range(start, max(start, min(stop, self.points.stop)))


@dataclass(frozen=True, eq=False)
class _Area:
    """Edges (n, 4) of a region, x and y of their upper, then of their lower end; and who holds it."""

    edges: Ints
    bounds: tuple[int, int, int, int]
    number: int

    @classmethod
    def of(cls, region: Region, number: int) -> _Area:
        rings = [np.asarray(ring, np.int64).reshape(-1, 2) for ring in region.rings]
        edges = np.concatenate([np.hstack([ring, np.roll(ring, -1, 0)]) for ring in rings])
        downward = np.where((edges[:, 1] > edges[:, 3])[:, None], edges[:, [2, 3, 0, 1]], edges)
        downward = downward[downward[:, 1] < downward[:, 3]]
        every = np.concatenate(rings)
        (left, top), (right, bottom) = every.min(0), every.max(0)
        return cls(downward, (int(left), int(top), int(right), int(bottom)), number)

    def claim(self, owner: NDArray[np.uint16], rows: _Axis, cols: _Axis) -> None:
        """Put the number of the prompt on the points inside, by even and odd crossings to their left."""
        left, top, right, bottom = self.bounds
        down, across = rows.part(top, bottom), cols.part(left, right + 1)
        if not down or not across:
            return
        crossings = np.zeros((len(down), len(across) + 1), np.int64)
        for first in range(0, len(self.edges), _EDGES):
            self._cross(self.edges[first : first + _EDGES], rows, down, cols, across, crossings)
        inside = (np.cumsum(crossings[:, :-1], axis=1) & 1).astype(bool)
        at = (
            slice(down.start - rows.points.start, down.stop - rows.points.start),
            slice(across.start - cols.points.start, across.stop - cols.points.start),
        )
        owner[at][inside] = self.number

    @staticmethod
    def _cross(edges: Ints, rows: _Axis, down: range, cols: _Axis, across: range, crossings: Ints) -> None:
        """Count, in each row of points, the crossings of edges before each point and after the one before."""
        x0, y0, x1, y1 = edges.T
        start = np.clip(rows.at_or_after(y0), down.start, down.stop)
        counts = np.clip(rows.at_or_after(y1), start, down.stop) - start
        edge = np.repeat(np.arange(len(edges)), counts)
        row = start[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
        # Only the edge and the row enter, so that a crossing does not depend on the box that is asked for.
        fall = (rows.first + row * rows.spacing - y0[edge]) / (y1 - y0)[edge]
        x = x0[edge] + fall * (x1 - x0)[edge]
        point = np.ceil((x - cols.first) / cols.spacing).astype(np.int64)
        point = np.clip(point, across.start, across.stop) - across.start
        size = len(across) + 1
        crossings += np.bincount((row - down.start) * size + point, minlength=crossings.size).reshape(
            crossings.shape
        )


def _blurred(held: NDArray[np.bool_]) -> Ints:
    """Return what is held of each latent but those of the margin, of `_WHOLE`, from the points held."""
    height, width = (side // _POINTS for side in held.shape)
    share: Ints = held.reshape(height, _POINTS, width, _POINTS).sum((1, 3), dtype=np.int64)
    share = sum(k * share[i : height - 2 * _MARGIN + i] for i, k in enumerate(_BLUR))  # type: ignore[assignment]
    return sum(k * share[:, i : width - 2 * _MARGIN + i] for i, k in enumerate(_BLUR))  # type: ignore[return-value]
