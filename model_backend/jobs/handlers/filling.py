"""Filling a mask from its surroundings: every band of a painted pixel is copied from one known pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.engine.by_example.credits import OWN, RASTER
from model_backend.engine.by_example.surroundings import sources
from model_backend.engine.editing.composite import COPIED_PULL, Join, cast
from model_backend.engine.makers import EditCanvas, Origins, SourceImage
from model_backend.jobs.context import Reporter
from model_backend.processes.painting import Prepared
from model_backend.raster.files.edit_writer import Patch
from model_backend.raster.files.source import Source, read, read_known
from model_backend.raster.georeference.grids import overlap, slices_in
from model_backend.schemas import Box, Recipe


def filled(prepared: Prepared, recipe: Recipe, reporter: Reporter) -> tuple[Patch, Origins]:
    """Return the raster's new values in the mask, and where they were copied from.

    Each band is copied in its own values, from the same pixel as the others, and takes the tone of the
    surroundings along the mask's border; so ratios of bands stay those of real land.
    """
    source, canvas, box = prepared.source, prepared.canvas, prepared.join
    view, known = prepared.work.read_view(canvas, prepared.stretch)
    paint = prepared.work.mask_on(prepared.paint, prepared.at, canvas)
    rows, cols = sources(EditCanvas(canvas, view, paint, known), recipe.seed, reporter)
    reporter.say("Joining it to its surroundings.")
    known = read_known(source, box)
    join = Join(prepared.mask, known, prepared.spacing, prepared.feather, new_land=True, pull=COPIED_PULL)
    kept = recipe.edit is not None and recipe.edit.extra_bands != "match"
    bands = source.roles.visible if kept else (*source.roles.visible, *source.roles.extra)
    values: dict[int, NDArray[Any]] = {}
    for band in bands:
        reporter.say("Joining it to its surroundings.")
        copied = np.zeros((box.height, box.width))
        copied[prepared.mask] = _values(source, canvas, band)[rows, cols]
        made = join.band(read(source, box, [band])[0], copied)
        values[band] = cast(made, source.dtype, source.nodata)
    places = np.stack([np.ones_like(rows), cols + canvas.col, rows + canvas.row]).astype(np.int32)
    image = SourceImage(1, RASTER, *OWN, 1.0, len(rows))
    return Patch(prepared.at, prepared.paint, values), Origins(places, (image,))


def _values(source: Source, canvas: Box, band: int) -> NDArray[Any]:
    """Return a band of the canvas, (height, width); what lies beyond the raster is 0 and copied by nobody."""
    inside = overlap(canvas, source.box)
    assert inside is not None
    values = np.zeros((canvas.height, canvas.width), source.dtype)
    values[slices_in(inside, canvas)] = read(source, inside, [band])[0]
    return values
