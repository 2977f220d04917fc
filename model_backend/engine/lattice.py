"""Where windows lie: every integer of the engine, and nothing but integers and weights.

A `Lattice` is one axis cut into overlapping pieces. Each piece is computed from a window of cells and handed
over to the next with a smooth ramp, so that the weights of all pieces sum to one at every cell. The same
class serves denoising (cells are latents, windows are model inputs) and decoding (cells are pixels, windows
are decode tiles with a halo). An axis may be bounded, or endless in both directions. A `Layout` holds the
lattices of one canvas, both axes and both uses; the planner counts with it what the engine will then run.

Knows no model, no noise, no CRS, no torch. Rows grow southward, columns eastward; intervals are half open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from model_backend.arrays import Float32Array
from model_backend.models.card import EngineParameters
from model_backend.schemas import Box

Latents = Float32Array  # (channels, rows, columns)


@dataclass(frozen=True)
class Lattice:
    """One axis in overlapping pieces: piece i owns ``stride + ramp`` cells, from ``base + i * stride`` on.

    It is computed from ``window`` cells centred on those it owns; in its first ``ramp`` cells it fades in
    while its neighbour fades out. With ``bounds`` there are finitely many pieces, windows are moved inside,
    and nothing fades at the two ends; a window as long as the bounds is a canvas of one piece with weight 1
    everywhere.
    """

    window: int
    stride: int
    ramp: int
    bounds: range | None = None

    @property
    def size(self) -> int:
        """Cells of a window: ``window``, or the whole axis where that is shorter."""
        return self.window if self.bounds is None else min(self.window, len(self.bounds))

    @property
    def pieces(self) -> int | None:
        """Number of pieces, or None on an endless axis."""
        if self.bounds is None:
            return None
        if len(self.bounds) <= self.window:
            return 1
        return -(-(len(self.bounds) - self.ramp) // self.stride)

    def touching(self, cells: range) -> range:
        """Pieces that have weight somewhere in these cells."""
        base = self._owned(0)
        first = (cells.start - base - self.stride - self.ramp) // self.stride + 1
        last = (cells.stop - 1 - base) // self.stride
        if self.pieces is not None:
            first, last = min(max(first, 0), self.pieces - 1), min(last, self.pieces - 1)
        return range(first, last + 1)

    def cells(self, piece: int) -> range:
        """Cells of the window of a piece."""
        start = self._owned(piece) - (self.window - self.stride - self.ramp) // 2
        if self.bounds is not None:
            start = min(max(start, self.bounds.start), self.bounds.stop - self.size)
        return range(start, start + self.size)

    def hull(self, pieces: range) -> range:
        """Cells that the windows of consecutive pieces cover together."""
        return range(self.cells(pieces[0]).start, self.cells(pieces[-1]).stop)

    def weight(self, piece: int) -> Float32Array:
        """Weight of a piece over the cells of its window, shape (size,): 0 in the halo, 1 on the plateau.

        The two sides of a ramp are ``u`` and ``1 - u`` in float32, so weights sum to 1 within one rounding
        and no division by a sum of weights is ever needed.
        """
        cell = np.asarray(self.cells(piece)) - self._owned(piece)
        x = (np.arange(self.ramp) + 0.5) / self.ramp if self.ramp else np.zeros(0)
        u = (x * x * (3 - 2 * x)).astype(np.float32)
        rise = np.concatenate([np.zeros(1, np.float32), u, np.ones(1, np.float32)])
        fall = np.float32(1) - rise
        weight = np.ones(self.size, np.float32)
        if piece != 0 or self.bounds is None:
            weight *= rise[np.clip(cell + 1, 0, self.ramp + 1)]
        if self.pieces is None or piece != self.pieces - 1:
            weight *= fall[np.clip(cell - self.stride + 1, 0, self.ramp + 1)]
        return weight

    def around(self, pieces: range) -> range:
        """Consecutive pieces and their neighbours."""
        last = pieces[-1] + 1 if self.pieces is None else min(pieces[-1] + 1, self.pieces - 1)
        first = pieces[0] - 1 if self.pieces is None else max(pieces[0] - 1, 0)
        return range(first, last + 1)

    def between(self, piece: int) -> Float32Array:
        """Place the cells of a window between the middles of its ramps, 0 and 1: (size,)."""
        cell = np.asarray(self.cells(piece)) - self._owned(piece) + 0.5
        return ((cell - self.ramp / 2) / self.stride).astype(np.float32)

    def _owned(self, piece: int) -> int:
        return (0 if self.bounds is None else self.bounds.start) + piece * self.stride


class Window(NamedTuple):
    """Indices of a window of the plane: its row and its column in the lattice."""

    row: int
    col: int


def overlap(own: range, other: range) -> tuple[slice, slice]:
    """Return the overlap of two runs of cells, as slices of the first and of the second (maybe empty)."""
    lo = max(own.start, other.start)
    hi = max(lo, min(own.stop, other.stop))
    return slice(lo - own.start, hi - own.start), slice(lo - other.start, hi - other.start)


class Share(NamedTuple):
    """What a window gives to a box of cells: which of its own go where in the box, and their weights."""

    window: Window
    own: tuple[slice, slice]
    there: tuple[slice, slice]
    weight: Float32Array


def share(rows: Lattice, cols: Lattice, window: Window, box: tuple[range, range]) -> Share:
    """Return the share of one window in a box of cells."""
    own_rows, there_rows = overlap(rows.cells(window.row), box[0])
    own_cols, there_cols = overlap(cols.cells(window.col), box[1])
    weight = np.outer(rows.weight(window.row)[own_rows], cols.weight(window.col)[own_cols])
    return Share(window, (own_rows, own_cols), (there_rows, there_cols), weight)


def shares(rows: Lattice, cols: Lattice, box: tuple[range, range]) -> Iterator[Share]:
    """Yield the shares of a box of cells in order of their windows; weights sum to 1 at every cell."""
    for row in rows.touching(box[0]):
        for col in cols.touching(box[1]):
            yield share(rows, cols, Window(row, col), box)


def cone(lattice: Lattice, cells: range, phases: int) -> tuple[range, ...]:
    """Pieces of every phase, first to last, on which these cells depend after the last phase.

    A window of one phase reads the blended canvas of the phase before over all its cells, and after the last
    one it looks at its neighbours, so the dependency grows by about a window per phase and is finite: any
    part of an endless canvas can be computed alone.
    """
    needed = [lattice.around(lattice.touching(cells))]
    for _ in range(phases - 1):
        needed.append(lattice.touching(lattice.hull(needed[-1])))
    return tuple(reversed(needed))


def batch_of(windows: int, largest: int) -> int:
    """Return the batch that takes so many windows through a step most cheaply, the last call padded.

    A call is taken to cost a window more than it holds, so that many small ones are not chosen for nothing.
    """
    return min(range(largest, 0, -1), key=lambda batch: -(-windows // batch) * (batch + 1))


def canvas_box(extent: Box, params: EngineParameters, factor: int) -> Box:
    """Return the extent grown to whole windows and centred on it, in pixels.

    The canvas carries its own latent grid, from its corner on: were it put on that of the frame, an extent of
    exactly one window would nearly always need four. A canvas is its own canvas (the function is idempotent).
    """

    def grow(start: int, length: int) -> tuple[int, int]:
        latents = -(-length // factor)
        strides = max(0, -(-(latents - params.window) // params.stride))
        grown = (params.window + strides * params.stride) * factor
        return start - (grown - length) // 2, grown

    col, width = grow(extent.col, extent.width)
    row, height = grow(extent.row, extent.height)
    return Box(col=col, row=row, width=width, height=height)


@dataclass(frozen=True)
class Count:
    """What computing windows costs, exactly.

    ``windows`` of all phases, and the ``steps`` that they take; ``calls`` of the UNet; ``evaluations`` of
    samples in those calls, with both halves of guidance and the padding of the last batch of each phase;
    ``needed`` evaluations, without padding.
    """

    windows: int = 0
    steps: int = 0
    calls: int = 0
    evaluations: int = 0
    needed: int = 0

    @property
    def mean(self) -> float:
        """Evaluations that a window needs per step, mean."""
        return self.needed / self.steps

    def __add__(self, other: Count) -> Count:
        """Add the cost of both."""
        return Count(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Layout:
    """All lattices of one canvas (pixels of the frame; None is the endless ground) under a card's parameters.

    Latent (R, C) covers the pixels from ``(R * factor + shift[0], C * factor + shift[1])`` on. On the ground
    the shift is zero; a canvas is shifted by less than one latent, so latents keep absolute numbers
    everywhere and the noise of a place hardly depends on the canvas.
    """

    params: EngineParameters
    factor: int
    canvas: Box | None

    @cached_property
    def shift(self) -> tuple[int, int]:
        """Pixels (rows, columns) by which the canvas's latent grid is moved against the frame's."""
        return (
            (0, 0) if self.canvas is None else (self.canvas.row % self.factor, self.canvas.col % self.factor)
        )

    @cached_property
    def rows(self) -> Lattice:
        """Denoising windows along rows, in latents."""
        return self._windows(None if self.canvas is None else (self.canvas.row, self.canvas.height))

    @cached_property
    def cols(self) -> Lattice:
        """Denoising windows along columns, in latents."""
        return self._windows(None if self.canvas is None else (self.canvas.col, self.canvas.width))

    @cached_property
    def tile_rows(self) -> Lattice:
        """Decode tiles along rows, in pixels counted from that of latent row 0."""
        return self._tiles(self.rows, self.factor)

    @cached_property
    def tile_cols(self) -> Lattice:
        """Decode tiles along columns, in pixels counted from that of latent column 0."""
        return self._tiles(self.cols, self.factor)

    @cached_property
    def encode_rows(self) -> Lattice:
        """Encode tiles along rows, in latents: the decode tiles, the other way."""
        return self._tiles(self.rows, 1)

    @cached_property
    def encode_cols(self) -> Lattice:
        """Encode tiles along columns, in latents."""
        return self._tiles(self.cols, 1)

    def batch(self, largest: int) -> int:
        """Windows per UNet call: a function of the canvas alone, so that every read of it computes the same
        bits.

        The ground always takes ``largest``.
        """
        if self.rows.pieces is None or self.cols.pieces is None:
            return largest
        return batch_of(self.rows.pieces * self.cols.pieces, largest)

    def place(self, box: Box) -> tuple[range, range]:
        """Rows and columns of a pixel box of the frame, counted from the pixel of latent (0, 0).

        Raises ValueError if the box leaves the canvas.
        """
        top, left = box.row - self.shift[0], box.col - self.shift[1]
        rows, cols = range(top, top + box.height), range(left, left + box.width)
        for lattice, cells in ((self.tile_rows, rows), (self.tile_cols, cols)):
            if lattice.bounds and not lattice.bounds.start <= cells.start < cells.stop <= lattice.bounds.stop:
                raise ValueError(f"{box} is not inside the canvas {self.canvas}")
        return rows, cols

    def to_latents(self, pixels: range) -> range:
        """Return the latents of a run of pixels that begins and ends with a latent, such as a tile."""
        return range(pixels.start // self.factor, pixels.stop // self.factor)

    def pixels(self, rows: range, cols: range) -> Box:
        """Return the box of the frame that some latents cover."""
        f, (down, right) = self.factor, self.shift
        return Box(
            col=cols.start * f + right, row=rows.start * f + down, width=len(cols) * f, height=len(rows) * f
        )

    def latents(self, box: Box) -> tuple[range, range]:
        """Latent rows and columns that the decode tiles of a pixel box read."""
        rows, cols = self.place(box)
        rows = self.tile_rows.hull(self.tile_rows.touching(rows))
        cols = self.tile_cols.hull(self.tile_cols.touching(cols))
        return self.to_latents(rows), self.to_latents(cols)

    def windows(self, box: Box, phases: int) -> tuple[tuple[range, range], ...]:
        """Window rows and columns of every phase on which a pixel box depends."""
        rows, cols = self.latents(box)
        return tuple(zip(cone(self.rows, rows, phases), cone(self.cols, cols, phases), strict=True))

    @classmethod
    def of(cls, params: EngineParameters, factor: int, canvas: Box | None) -> Self:
        """Return the layout of a canvas; ValueError if the canvas is not made of whole windows."""
        if canvas is not None and canvas_box(canvas, params, factor) != canvas:
            raise ValueError(f"the canvas {canvas} is not made of whole windows of this model")
        return cls(params, factor, canvas)

    def _windows(self, span: tuple[int, int] | None) -> Lattice:
        window, stride = self.params.window, self.params.stride
        bounds = None
        if span is not None:
            first = span[0] // self.factor
            bounds = range(first, first + span[1] // self.factor)
        return Lattice(window, stride, window - stride, bounds)

    def _tiles(self, latents: Lattice, f: int) -> Lattice:
        p, cells = self.params, latents.bounds
        bounds = None if cells is None else range(cells.start * f, cells.stop * f)
        window = p.decode_window
        if cells is not None and len(cells) <= p.decode_whole:
            window = max(window, len(cells))
        return Lattice(window * f, p.decode_core * f, p.decode_fade * f, bounds)
