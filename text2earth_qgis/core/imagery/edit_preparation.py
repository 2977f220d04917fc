"""Preparing an edit: the mask is sent, and as much of the raster around it as the backend works on.

Finds where the mask lies, crops the raster there, sends both, and asks the backend's ``plan`` whether what
was sent is all it works on. An extension is the same, with new land in place of a mask. What becomes of the
part that comes back is ``assembly``'s. Any thread; no rule of the engine is here.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Callable, Mapping, Optional, Union

from osgeo import gdal

from text2earth_qgis.core.imagery import crops, datasets, mask_raster, masks, patch, samples
from text2earth_qgis.core.imagery.assembly import Assembly, stamp_of
from text2earth_qgis.core.imagery.edit_request import EditRequest, fetch_edit_models, window_size
from text2earth_qgis.core.imagery.extension import Extension, extension_area
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.threads import pool_thread_released
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.schemas import Box, EditInputs, ExtendInputs, GenerateInputs, Json
from text2earth_qgis.core.wire.transport import open_client
from text2earth_qgis.core.wire.uploads import Uploads, uploads_of

RASTER = "raster"  # as the backend calls the one that is edited
ROUNDS = 3  # crops that are tried before the largest one has to do


@dataclass(frozen=True)
class SentRequest:
    """A request whose files are on the backend: what is left is to run it.

    An edit or extension has an ``assembly``, which says how its part is put in its place.
    ``warnings`` are what the backend's plan says of it. ``corners`` are columns and rows in the user's
    rasters where the parts of them begin that were sent, by the names that the backend has for them.
    """

    inputs: Union[EditInputs, ExtendInputs, GenerateInputs]
    assembly: Optional[Assembly] = None
    warnings: tuple[str, ...] = ()
    corners: Mapping[str, tuple[int, int]] = field(default_factory=dict)


Prepare = Callable[[Listener], SentRequest]  # sends the files of a request, in a worker


def prepare(access: Access, request: EditRequest, listener: Listener) -> SentRequest:
    """Send what an edit needs. Raises a ``PluginError``, after what was sent is removed again."""
    request.check()
    with tempfile.TemporaryDirectory(prefix="text2earth-") as folder:
        source = request.source.open()
        patch.check_target(request.target, source)
        crops.check_editable(source, request.source)
        if request.result == "whole":
            crops.check_whole(source, request.source)
        uploads = Uploads(access, open_client(access, listener), listener)
        try:
            ready = _send(request, source, uploads, Path(folder))
        except BaseException:
            uploads.keep([])
            raise
        uploads.keep(uploads_of(ready.inputs.to_json()))
        return ready


@dataclass(frozen=True)
class _Target:
    """What is to be painted: the pixels around it, the result's if larger, and the inputs that say so."""

    box: Box
    whole: Optional[Box]
    inputs: Callable[..., Union[EditInputs, ExtendInputs]]


def _send(request: EditRequest, source: gdal.Dataset, uploads: Uploads, folder: Path) -> SentRequest:
    """Send the mask and as much of the raster as the backend works on."""
    grid = datasets.grid_of(source, request.source)
    placement = masks.MaskPlacement(grid, request.context, float(request.options.get("grow") or 0.0))
    target = _target(request.mask, source, placement, uploads, folder)
    corners: dict[str, tuple[int, int]] = {}
    if request.samples:
        sent = samples.send(request.samples, uploads, folder)
        request = replace(request, options={**request.options, "samples": sent.inputs})
        corners = sent.corners
    window = window_size(fetch_edit_models(uploads.client, request.options.get("model")))
    stamp = stamp_of(source)
    crop = crops.first_crop(target.box, window, placement.reach, grid.box)
    if crop is None:
        raise masks.outside_raster()
    for turn in range(ROUNDS):
        inputs = _send_crop(request, source, crop, target, uploads, folder / f"source{turn}.tif")
        with pool_thread_released():
            plan = uploads.client.plan(request.process, inputs.to_json())
        recipe = plan.recipe
        wanted = crops.needed_box(recipe, crop, grid, request.context)
        if crops.covers(crop, wanted, grid.box) or turn == ROUNDS - 1:
            break
        crop = crops.larger_crop(crop, wanted, window, grid.box)
    with datasets.gdal_errors(tr("'{name}' cannot be read").format(name=request.source.name)):
        if crops.has_shades(source, uploads.listener.stop):
            uploads.listener.say(
                tr(
                    "The mask of '{name}' has values between 0 and 255, which that of a GeoTIFF does not "
                    "have: in the result they are 255."
                ).format(name=request.source.name)
            )
    painted = crops.box_in_raster(recipe, recipe["grid"], crop, grid, request.context)
    at = crop if target.whole is None else datasets.union(crop, target.box)
    assembly = Assembly(
        source=request.source,
        stamp=stamp,
        part=request.part(),
        result=request.result,
        at=at,
        changed=datasets.overlap(painted, at) or at,
        bands=_bands(source, recipe["edit"]),
        layer=request.layers[0],
        mask=request.layers[1],
        whole=target.whole,
    )
    corners[RASTER] = crop.col, crop.row
    return SentRequest(replace(inputs, seed=plan.seed), assembly, tuple(plan.warnings), corners)


def _target(
    mask: Union[masks.Mask, Extension],
    source: gdal.Dataset,
    placement: masks.MaskPlacement,
    uploads: Uploads,
    folder: Path,
) -> _Target:
    """Return what is to be painted; a mask that is a file is sent."""
    path, stop = folder / "mask.tif", uploads.listener.stop
    if isinstance(mask, Extension):
        area = extension_area(mask, source, placement.grid, placement.context, stop)
        more = partial(ExtendInputs, extent=area.extent, fill_holes=area.fill_holes)
        return _Target(area.box, area.whole, more)
    if isinstance(mask, masks.MaskPolygons):
        polygons, box = masks.polygons_to_send(mask, placement, stop)
        if polygons is not None:
            return _Target(box, None, partial(EditInputs, mask=polygons))
        box = mask_raster.write(mask, placement, box, path, stop)
    else:
        box = masks.raster_mask(mask, placement, path, stop)
    return _Target(box, None, partial(EditInputs, mask=uploads.send(path)))


def _send_crop(
    request: EditRequest, source: gdal.Dataset, crop: Box, target: _Target, uploads: Uploads, path: Path
) -> Union[EditInputs, ExtendInputs]:
    """Send a crop of the raster, by way of a file ``path``; return the inputs of its edit."""
    listener = uploads.listener
    with pool_thread_released():
        crops.write(source, request.source, crop, path, listener.stop)
    bands, stretch = _shown(request, source, path)
    said = (
        tr("{part} of {whole} pixels of '{name}' and the mask are sent to {backend} ({size:.1f} MB).")
        if target.whole is None
        else tr("{part} of {whole} pixels of '{name}' are sent to {backend} ({size:.1f} MB).")
    )
    listener.say(
        said.format(
            part=f"{crop.width} x {crop.height}",
            whole=f"{source.RasterXSize} x {source.RasterYSize}",
            name=request.source.name,
            backend=calls.site(uploads.client.base_url),
            size=path.stat().st_size / 1e6,
        )
    )
    sent = uploads.send(path)
    path.unlink()
    return target.inputs(source=sent, **{**request.options, "bands": bands or None, "stretch": stretch})


def _shown(
    request: EditRequest, source: gdal.Dataset, crop: Path
) -> tuple[tuple[int, ...], Optional[crops.Ranges]]:
    """Return the bands that the model sees, and the values shown black and white; none: backend's choice."""
    asked = request.options.get("bands")
    bands = tuple(asked) if asked else crops.bands_shown(source, request.displayed)
    wanted = request.stretch.strip().lower()
    if wanted in ("", "displayed"):
        return bands, crops.stretch_as_displayed(source, request.displayed, bands)
    if wanted.replace(" ", "") in ("2-98%", "2-98"):
        with datasets.gdal_errors(tr("'{name}' cannot be read").format(name=request.source.name)):
            return bands, crops.stretch_by_percentiles(crop, bands) if bands else None
    return bands, crops.stretch_from_text(request.stretch, bands)


def _bands(source: gdal.Dataset, recipe: Json) -> tuple[int, ...]:
    """Return the bands of the source that its edit has."""
    bands = range(1, source.RasterCount + 1)
    if recipe["extra_bands"] != "drop":
        return tuple(bands)
    alpha = gdal.GCI_AlphaBand
    first = [band for band in bands if source.GetRasterBand(band).GetColorInterpretation() == alpha][:1]
    return tuple(band for band in bands if band in recipe["bands"] or band in first)
