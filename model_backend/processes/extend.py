"""The process ``extend``: a raster continued over more land. Says which pixels, from the extent.

The same as an edit on a larger grid: what is painted are the pixels beyond the raster and, in the extent,
those of it that have no value. All others stay as they are, to the byte. Reads the values of no pixel but
those around the new land; whether pixels have one, only inside the extent. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from model_backend.errors import InvalidInput
from model_backend.models.card import ModelCard
from model_backend.processes.base import PlanContext
from model_backend.processes.painting import PaintingProcess, Prepared, Target
from model_backend.raster.files.source import Source, read_known
from model_backend.raster.georeference import geodesy
from model_backend.raster.georeference.crs import parse_reference
from model_backend.raster.georeference.grids import expand, overlap, slices_in, union
from model_backend.raster.georeference.longitudes import nearest
from model_backend.raster.working_grid import working_grid_for
from model_backend.schemas import Box, ExtendInputs, Extent, Polygons

# New land begins as the tone of the land around it under noise, which hides all shapes but leaves the model
# some of the tone: from noise alone, flat land differs from its neighbours by far more than they differ.
_STRENGTH = 0.8
_LOOK = 1024  # pixels of a side of the pieces in which holes are looked for
_NEAR = 1e-3  # pixels by which an extent may miss a pixel's edge and still mean it
_FARTHEST = 2**31  # pixels from the raster: beyond, an extent is nowhere near it


class Extend(PaintingProcess[ExtendInputs]):
    """Paints what lies beyond a raster, as an edit of a larger grid."""

    id = "extend"
    title = "Extend imagery"
    text = "Continues a raster over more land from a prompt. The pixels that it has stay as they are."
    keywords = ("outpainting", "synthetic imagery", "diffusion", "COG")
    inputs = ExtendInputs
    result_title = "Extended imagery"
    field = "extent"
    noun = "new land"
    advice = "Extend the raster by less, or one side at a time: each result can be extended."
    other_bands = ("drop",)

    def strength(self, inputs: ExtendInputs) -> float:
        """Return a strength that leaves new land the tone of its surroundings."""
        return _STRENGTH

    def regions(self, inputs: ExtendInputs) -> Polygons | None:
        """Return the regions that were asked for."""
        return inputs.regions

    def target(self, inputs: ExtendInputs, source: Source, card: ModelCard, context: PlanContext) -> Target:
        """Return the pixels of the extent without a value, and those of the box around both beyond it."""
        extent = _pixels_of(inputs.extent, source)
        if overlap(expand(extent, 1), source.held) is None:
            detail = (
                "The extent does not touch the raster, so there is nothing to continue. Draw it so that it "
                "overlaps the raster, or check its CRS."
            )
            raise InvalidInput(
                "extent.bbox", detail, value=inputs.extent.bbox, allowed="an extent at the raster"
            )
        source = replace(source, room=union(source.held, extent))
        at = _needed(source, extent, inputs.fill_holes)
        self.check_pixels(at, context.limits)
        paint = _unknown(source, at, extent if inputs.fill_holes else None)
        work = working_grid_for(source, at, card)
        return Target(work, at, paint, feather=0.0, new_land=True, warnings=_filled(source, at, paint))

    def prepare(self, inputs: ExtendInputs, card: ModelCard, context: PlanContext) -> Prepared:
        """Do as every painting process, and refuse land with nothing beside it to continue."""
        prepared = super().prepare(inputs, card, context)
        _check_surroundings(prepared, inputs)
        return prepared


PROCESS = Extend()


def _check_surroundings(prepared: Prepared, inputs: ExtendInputs) -> None:
    """Refuse land around which the raster has no value: there would be nothing to continue."""
    near = prepared.work.source_box(prepared.canvas)
    if prepared.source.all_known or (near is not None and read_known(prepared.source, near).any()):
        return
    detail = (
        "The raster has no values near the new land, so there is nothing to continue. Draw the extent over "
        "some of its values, and let the holes between be filled."
    )
    raise InvalidInput("extent.bbox", detail, value=inputs.extent.bbox)


def _pixels_of(extent: Extent, source: Source) -> Box:
    """Return the smallest box of the raster's grid around an extent; raises InvalidInput."""
    reference = parse_reference(extent.crs, "extent.crs")
    box = extent.bbox
    minx, miny, maxx, maxy = (box[1], box[0], box[3], box[2]) if reference.swapped else box
    if not (minx < maxx and miny < maxy):
        detail = "The extent is empty: west must be less than east, and south less than north."
        raise InvalidInput("extent.bbox", detail, value=box, allowed="west < east and south < north")
    x, y = geodesy.outline((minx, miny, maxx, maxy), 41)  # edges bend on the way
    try:
        x, y = geodesy.transformer(reference.crs, source.crs).transform(x, y)
    except geodesy.NotDefined as error:
        detail = f"The extent cannot be placed in the raster's CRS: {error}. Check its CRS."
        raise InvalidInput("extent.crs", detail, value=extent.crs[:200]) from None
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        detail = f"The extent cannot be placed in the raster's CRS, {source.crs.name}. Check its CRS."
        raise InvalidInput("extent.bbox", detail, value=box)
    cols, rows = ~source.transform @ (nearest(np.asarray(x), source.middle[0], source.crs), np.asarray(y))
    cols, rows = np.clip(cols, -_FARTHEST, _FARTHEST), np.clip(rows, -_FARTHEST, _FARTHEST)
    left, top = floor(cols.min() + _NEAR), floor(rows.min() + _NEAR)
    right, bottom = ceil(cols.max() - _NEAR), ceil(rows.max() - _NEAR)
    return Box(col=left, row=top, width=max(1, right - left), height=max(1, bottom - top))


def _filled(source: Source, at: Box, paint: NDArray[np.bool_]) -> tuple[str, ...]:
    """Return what to say of the raster's own pixels that are painted."""
    both = overlap(at, source.held)
    count = 0 if both is None else int(paint[slices_in(both, at)].sum())
    if not count:
        return ()
    black = " Black land counts, since the raster's nodata is 0." if source.nodata == 0 else ""
    return (f"{count:,} pixels of the raster that have no value are painted, too.{black}",)


def _needed(source: Source, extent: Box, fill_holes: bool) -> Box:
    """Return the smallest box around everything to paint; raises InvalidInput if there is nothing."""
    found = list(_beyond(source))
    if fill_holes:
        found += _holes(source, extent)
    if not found:
        what = "has a value already" if fill_holes else "is one of the raster's"
        detail = (
            f"Every pixel of the extent {what}: there is nothing to make. Draw the extent beyond the raster, "
            "or use an edit to change what is there."
        )
        raise InvalidInput("extent.bbox", detail, allowed="an extent that reaches beyond the raster")
    whole = found[0]
    for box in found[1:]:
        whole = union(whole, box)
    return whole


def _beyond(source: Source) -> Iterator[Box]:
    """Yield the four sides of the raster's room that lie beyond its file, as far as there are any."""
    room, held = source.box, source.held
    right, bottom = room.col + room.width, room.row + room.height
    spans = (
        (room.col, room.row, room.width, -room.row),
        (room.col, held.height, room.width, bottom - held.height),
        (room.col, room.row, -room.col, room.height),
        (held.width, room.row, right - held.width, room.height),
    )
    for col, row, width, height in spans:
        if width > 0 and height > 0:
            yield Box(col=col, row=row, width=width, height=height)


def _holes(source: Source, extent: Box) -> list[Box]:
    """Return boxes around the pixels of the extent that the file has, but without a value."""
    inside = overlap(extent, source.held)
    if inside is None or source.all_known:
        return []
    found = []
    for top in range(inside.row, inside.row + inside.height, _LOOK):
        for left in range(inside.col, inside.col + inside.width, _LOOK):
            here = overlap(Box(col=left, row=top, width=_LOOK, height=_LOOK), inside)
            assert here is not None
            empty = ~read_known(source, here)
            rows, cols = np.flatnonzero(empty.any(1)), np.flatnonzero(empty.any(0))
            if len(rows):
                size = int(cols[-1] - cols[0]) + 1, int(rows[-1] - rows[0]) + 1
                col, row = left + int(cols[0]), top + int(rows[0])
                found.append(Box(col=col, row=row, width=size[0], height=size[1]))
    return found


def _unknown(source: Source, at: Box, holes_in: Box | None) -> NDArray[np.bool_]:
    """Return which pixels of ``at`` are painted: those beyond the file, and holes in a box."""
    paint = np.ones((at.height, at.width), np.bool_)
    both = overlap(at, source.held)
    if both is not None:
        paint[slices_in(both, at)] = False
    looked = None if both is None or holes_in is None else overlap(both, holes_in)
    if looked is not None and not source.all_known:
        paint[slices_in(looked, at)] = ~read_known(source, looked)
    return paint
