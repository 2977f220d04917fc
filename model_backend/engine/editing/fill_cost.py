"""What filling a mask from its surroundings takes: canvas and work. No numba in here: plans ask."""

from __future__ import annotations

import numpy as np

from model_backend.arrays import BoolArray
from model_backend.schemas import Box

_PATCH = 7
WHOLE = 8  # pixels: a canvas is whole pixels of the coarsest of four levels
_LEAST, _MOST = 96, 512  # pixels around the mask that patches are taken from
_UNIT = 1 << 14  # pixels of the canvas that count as one unit of work


def canvas_for(around: Box, raster: Box) -> Box:
    """Return the canvas for a mask in ``around``: more where the mask is large, whole coarse pixels.

    It leaves the raster by less than a coarse pixel; what lies beyond is unknown.
    """
    margin = min(_MOST, max(_LEAST, max(around.width, around.height)))
    left = max(around.col - margin, raster.col) // WHOLE * WHOLE
    top = max(around.row - margin, raster.row) // WHOLE * WHOLE
    right = min(around.col + around.width + margin, raster.col + raster.width)
    below = min(around.row + around.height + margin, raster.row + raster.height)
    return Box(
        col=left,
        row=top,
        width=-(-(right - left) // WHOLE) * WHOLE,
        height=-(-(below - top) // WHOLE) * WHOLE,
    )


def has_patch(known: BoolArray) -> bool:
    """Say whether a whole patch, 7 x 7 pixels, is known anywhere."""
    if min(known.shape) < _PATCH:
        return False
    unknown = np.pad((~known).astype(np.int32), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    n = _PATCH
    found = unknown[n:, n:] - unknown[:-n, n:] - unknown[n:, :-n] + unknown[:-n, :-n]
    return bool((found == 0).any())


def units(canvas: Box) -> int:
    """Return the work in a canvas, in units of which seconds are measured."""
    return -(-canvas.width * canvas.height // _UNIT)
