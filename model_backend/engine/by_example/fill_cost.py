"""What filling a mask from its surroundings takes: canvas and work. No numba in here: plans ask."""

from __future__ import annotations

import numpy as np

from model_backend.arrays import BoolArray
from model_backend.engine.synthesis.parameters import SIDE
from model_backend.schemas import Box

WHOLE = 8  # pixels: a canvas is whole pixels of the coarsest of four levels
LEAST_AROUND, MOST_AROUND = 96, 192  # pixels around the mask that patches are taken from
_UNIT = 1 << 14  # pixels of the canvas that count as one unit of work


def canvas_for(around: Box) -> Box:
    """Return the canvas for a mask in ``around``: more where the mask is large, sides whole coarse pixels.

    It depends on the mask alone, so it may leave the raster; what lies beyond is unknown.
    """
    margin = min(MOST_AROUND, max(LEAST_AROUND, max(around.width, around.height)))
    return Box(
        col=around.col - margin,
        row=around.row - margin,
        width=-(-(around.width + 2 * margin) // WHOLE) * WHOLE,
        height=-(-(around.height + 2 * margin) // WHOLE) * WHOLE,
    )


def has_patch(known: BoolArray) -> bool:
    """Say whether a whole patch, 7 x 7 pixels, is known anywhere."""
    if min(known.shape) < SIDE:
        return False
    unknown = np.pad((~known).astype(np.int32), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    n = SIDE
    found = unknown[n:, n:] - unknown[:-n, n:] - unknown[n:, :-n] + unknown[:-n, :-n]
    return bool((found == 0).any())


def units(canvas: Box) -> int:
    """Return the work in a canvas, in units of which seconds are measured."""
    return -(-canvas.width * canvas.height // _UNIT)
