"""The process ``edit``: a part of a raster painted anew. Says which pixels, from the mask."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from model_backend.engine.editing.composite import REACH, grow
from model_backend.errors import InvalidInput
from model_backend.models.card import ModelCard
from model_backend.processes.base import PlanContext
from model_backend.processes.painting import PaintingProcess, Target
from model_backend.raster import mask as masks
from model_backend.raster.files.source import Source
from model_backend.raster.georeference.grids import expand, overlap, slices_in
from model_backend.raster.working_grid import working_grid_for
from model_backend.schemas import Box, EditInputs, Polygons

_FEATHER = 6  # pixels, where the caller does not say


class Edit(PaintingProcess[EditInputs]):
    """Paints what a mask covers."""

    id = "edit"
    title = "Edit imagery"
    text = (
        "Paints a part of a raster anew from a prompt; without one it is filled from its surroundings. "
        "Outside the mask every pixel stays as it is."
    )
    keywords = ("inpainting", "synthetic imagery", "diffusion", "COG")
    inputs = EditInputs
    result_title = "Edited imagery"
    field = "mask"
    noun = "mask"
    advice = "Edit it in parts."
    other_bands = ("keep", "drop")

    def strength(self, inputs: EditInputs) -> float:
        """Return the strength that was asked for."""
        return inputs.strength

    def target(self, inputs: EditInputs, source: Source, card: ModelCard, context: PlanContext) -> Target:
        """Return the pixels of the raster in the mask, grown."""
        mask = _mask(inputs, source, context)
        work = working_grid_for(source, overlap(mask.box, source.box) or source.box, card)
        spacing = (work.gsd.y, work.gsd.x)
        _check_reach("grow", inputs.grow, spacing)
        margin = ceil(inputs.grow / min(spacing)) + 1 if inputs.grow else 0
        near = overlap(mask.box, expand(source.box, margin))
        if near is None:
            raise masks.outside()
        box = expand(near, margin)
        self.check_pixels(box, context.limits)
        at, paint = _tight(grow(mask.rasterize(box), spacing, inputs.grow), box, source)
        usual = 0.0 if card.copies else _FEATHER * min(spacing)  # copied land is joined pixel by pixel
        feather = usual if inputs.feather is None else inputs.feather
        _check_reach("feather", feather, spacing)
        return Target(work, at, paint, feather, new_land=card.pipeline == "surroundings")


PROCESS = Edit()


def _mask(inputs: EditInputs, source: Source, context: PlanContext) -> masks.PolygonMask | masks.RasterMask:
    """Return the mask on the raster's grid, out of polygons or another raster."""
    if isinstance(inputs.mask, Polygons):
        return masks.from_geojson(inputs.mask.geojson, inputs.mask.crs, source)
    return masks.from_raster(context.raster("mask", inputs.mask).path, source)


def _tight(paint: NDArray[np.bool_], box: Box, source: Source) -> tuple[Box, NDArray[np.bool_]]:
    """Return the masked pixels of the raster in the smallest box around them."""
    inside = overlap(box, source.box)
    if inside is not None:
        paint = paint[slices_in(inside, box)]
        rows, cols = np.flatnonzero(paint.any(1)), np.flatnonzero(paint.any(0))
        if len(rows):
            top, left = int(rows[0]), int(cols[0])
            height, width = int(rows[-1]) + 1 - top, int(cols[-1]) + 1 - left
            at = Box(col=inside.col + left, row=inside.row + top, width=width, height=height)
            return at, paint[top : top + height, left : left + width]
    detail = "The mask covers no pixel of the raster. Draw it on the raster, or larger."
    raise InvalidInput("mask", detail, allowed="a mask that covers the centre of a pixel")


def _check_reach(field: str, metres: float, spacing: tuple[float, float]) -> None:
    """Refuse to grow or feather a mask farther than is worked on."""
    most = REACH * min(spacing)
    if metres > most:
        rule = f"0 to {most:.4g} metres here ({REACH} pixels)"
        raise InvalidInput(field, f"`{field}` must be {rule}.", value=metres, allowed=rule)
