"""Which windows an edit computes: those that touch its mask, laid around it inside the raster.

The canvas of an edit is the mask's box with context on every side, grown to whole windows and moved inside
the raster; so a small mask lies in the middle of one window, whatever the size of the raster. A raster
smaller than a window, and the last latent of one whose side is no multiple of it, are padded; what is
padded counts as unknown. The planner counts with this what the engine will then run. Knows boxes of pixels
and latents; no model, no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model_backend.arrays import BoolArray
from model_backend.engine.diffusion.prompt_field import PromptField
from model_backend.engine.diffusion.sampler import Lengths
from model_backend.engine.lattice import Count, Layout, Window, batch_of
from model_backend.models.card import EngineParameters
from model_backend.schemas import Box

_CONTEXT = 4  # a window's side over the context that a mask gets on every side
_DILATION = 2  # latents around the mask that stay free: a change of pixels reaches that far


def canvas_around(mask: Box, raster: Box | None, params: EngineParameters, factor: int) -> Box:
    """Return the canvas of an edit, in pixels, its sides whole latents and no shorter than a window.

    ``mask`` is the box of pixels that may change; ``raster`` the box of those that exist, None where that
    is not known on this grid.
    """
    cols = None if raster is None else (raster.col, raster.width)
    rows = None if raster is None else (raster.row, raster.height)
    col, width = _span((mask.col, mask.width), cols, params, factor)
    row, height = _span((mask.row, mask.height), rows, params, factor)
    return Box(col=col, row=row, width=width, height=height)


def _span(
    mask: tuple[int, int], raster: tuple[int, int] | None, params: EngineParameters, factor: int
) -> tuple[int, int]:
    """Return start and length of the canvas along one axis; so are ``mask`` and ``raster``."""
    context = params.window // _CONTEXT
    latents = -(-mask[1] // factor) + 2 * context
    strides = max(0, -(-(latents - params.window) // params.stride))
    length = (params.window + strides * params.stride) * factor
    start = mask[0] - (length - mask[1]) // 2
    if raster is None:
        return start, length
    if length <= raster[1]:
        return min(max(start, raster[0]), raster[0] + raster[1] - length), length
    return raster[0], max(-(-raster[1] // factor), params.window) * factor


@dataclass(frozen=True)
class Active:
    """The windows of an edit. ``paint``: pixels of the canvas that may change, (height, width)."""

    layout: Layout
    paint: BoolArray

    @cached_property
    def free(self) -> BoolArray:
        """Latents that are denoised rather than pinned to the source, (rows, columns)."""
        grown = to_latents(self.paint, self.layout.factor)
        for axis in (0, 1):
            wide = grown.copy()
            for step in range(1, _DILATION + 1):
                ahead, behind = (slice(step, None), slice(None, -step))
                if axis == 0:
                    wide[ahead] |= grown[behind]
                    wide[behind] |= grown[ahead]
                else:
                    wide[:, ahead] |= grown[:, behind]
                    wide[:, behind] |= grown[:, ahead]
            grown = wide
        return grown

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """The windows that touch a free latent, in lattice order; the same set in every phase."""
        return tuple(
            Window(i, j)
            for i in range(self.layout.rows.pieces or 0)
            for j in range(self.layout.cols.pieces or 0)
            if self.free[self.place(Window(i, j))].any()
        )

    def place(self, window: Window) -> tuple[slice, slice]:
        """Return rows and columns of a window in arrays of the canvas's latents."""
        return self.inside(self.layout.rows.cells(window.row), self.layout.cols.cells(window.col))

    def inside(self, rows: range, cols: range) -> tuple[slice, slice]:
        """Return runs of latents as slices of arrays of the canvas's latents."""
        bounds = self.layout.rows.bounds, self.layout.cols.bounds
        assert bounds[0] is not None
        assert bounds[1] is not None
        top, left = bounds[0].start, bounds[1].start
        return slice(rows.start - top, rows.stop - top), slice(cols.start - left, cols.stop - left)

    def batch(self, largest: int) -> int:
        """Windows per UNet call: a function of the mask."""
        return batch_of(len(self.windows), largest)

    def count(self, prompts: PromptField, steps: Sequence[Lengths], largest_batch: int) -> Count:
        """Count windows and evaluations of the edit; ``steps`` are those of each phase."""
        rows, cols = range(self.layout.rows.pieces or 0), range(self.layout.cols.pieces or 0)
        needs = prompts.survey(rows, cols).needed(self.windows)
        return prompts.batching(self.batch(largest_batch)).count((needs, some) for some in steps)


def to_latents(mask: BoolArray, factor: int) -> BoolArray:
    """Mark the latents that have a masked pixel; the sides of ``mask`` are multiples of ``factor``."""
    height, width = mask.shape
    cells = mask.reshape(height // factor, factor, width // factor, factor)
    return np.asarray(cells.any((1, 3)))


def slices_of(rows: slice, cols: slice, factor: int) -> tuple[slice, slice]:
    """Return a box of latents as slices of an array of pixels."""
    return (
        slice(rows.start * factor, rows.stop * factor),
        slice(cols.start * factor, cols.stop * factor),
    )
