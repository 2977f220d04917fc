"""Filling a mask from what lies around it, by example: which known pixel every masked pixel becomes.

Works on a box of the raster's own pixels, the canvas, and copies whole pixels: whatever bands and values the
raster has come with them. Knows boxes of pixels, no CRS and no files; numpy and numba, no torch.
"""

from __future__ import annotations

import numpy as np

from model_backend.arrays import BoolArray, Int64Array, UInt8Array
from model_backend.engine.by_example.passes import Passes, fill_passes
from model_backend.engine.editing.composite import continued
from model_backend.engine.makers import EditCanvas
from model_backend.engine.progress import ProgressListener
from model_backend.engine.synthesis.atlas import Atlas, Exemplar
from model_backend.engine.synthesis.fill import Filling, Hole
from model_backend.engine.synthesis.parameters import FILL, FILL_GAMMA, SIDE, Parameters
from model_backend.engine.synthesis.pyramid import UNUSABLE
from model_backend.errors import JobFailed


def sources(canvas: EditCanvas, seed: int, listener: ProgressListener) -> tuple[Int64Array, Int64Array]:
    """Find the row and column in the canvas that every painted pixel is copied from, in row order.

    ``listener`` hears of every pass and may raise to stop. Raises JobFailed where too little is known.
    """
    hole = canvas.paint | ~canvas.known
    image = underlaid(canvas, hole)
    labels = np.where(hole, UNUSABLE, 0).astype(np.uint8)
    parameters, atlas = _atlas(image, labels)
    passes = Passes(listener, fill_passes(parameters))
    # Places count from the canvas, which follows the mask: any crop of a raster is filled alike.
    where = Hole(image, canvas.paint, canvas.known, np.zeros_like(labels))
    found = Filling(atlas, parameters, seed, raster=0).sources(where, passes.over)
    passes.end()
    rows, cols = found[canvas.paint].astype(np.int64).T
    return _usable(hole, rows, cols)


def underlaid(canvas: EditCanvas, hole: BoolArray) -> UInt8Array:
    """Return a canvas as an image, (height, width, 3), with the tone of the land around in its hole."""
    view = continued(canvas.view, ~hole)
    return np.ascontiguousarray(np.rint(255 * view).astype(np.uint8).transpose(1, 2, 0))


def _atlas(image: UInt8Array, labels: UInt8Array) -> tuple[Parameters, Atlas]:
    """Return the raster's own land as an atlas of as many levels as it has patches for."""
    for levels in range(FILL.levels, 0, -1):
        if min(labels.shape) < SIDE << (levels - 1):
            continue
        parameters = FILL.of(levels)
        atlas = Atlas.of([Exemplar(image, labels)], levels, FILL_GAMMA, FILL.line_gain)
        if all(level.valid.any() for level in atlas.levels):
            return parameters, atlas
    raise JobFailed("There is too little known land around the mask to fill it from.")


def _usable(hole: BoolArray, rows: Int64Array, cols: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Point the few pixels that no patch explained at the known pixel nearest to where they pointed."""
    lost = np.flatnonzero(hole[rows, cols])
    if len(lost):
        known_rows, known_cols = np.nonzero(~hole)
        for number in lost:
            apart = (known_rows - rows[number]) ** 2 + (known_cols - cols[number]) ** 2
            nearest = int(apart.argmin())
            rows[number], cols[number] = known_rows[nearest], known_cols[nearest]
    return rows, cols
