"""Writing an edit: the source again, with the masked pixels replaced and everything else as it was.

A raster that grew is the source's pixels in a larger grid, the new ones being the mask.

The source is copied block by block (as a file, where all bands stay), the patch is written into the copy, and
the copy becomes a lossless cloud-optimized GeoTIFF: same grid, CRS, type, nodata, scales, offsets, colour
meanings, ground control points, masks and metadata. What the file says about itself is added beside what the
source said. Memory depends on the patch. Knows files; knows no model.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import tifffile
from numpy.typing import NDArray
from rasterio.windows import Window

from model_backend.arrays import BoolArray, UInt8Array
from model_backend.raster.files.provenance import Provenance, generation_tags, tags, xmp
from model_backend.raster.files.scene_writer import COG_OPTIONS, scratch, write_xmp
from model_backend.raster.files.source import SEALED, Source, window
from model_backend.raster.georeference.grids import overlap, slices_in
from model_backend.schemas import Box, Plan, Recipe

_PREVIEW = 1024  # pixels of a side of a preview, at most
_THE_OWNERS = ("TIFFTAG_COPYRIGHT",)  # tags that speak of the whole picture
_BORROWED = "values where it was painted are borrowed from known pixels of similar colour, not predicted"


@dataclass(frozen=True)
class Patch:
    """New values of the masked pixels, per band (counted from 1): one for every True of ``mask``.

    ``mask`` are pixels of the raster's box ``at``. Alpha is made opaque and the mask band valid there.
    """

    at: Box
    mask: BoolArray
    values: Mapping[int, NDArray[Any]]


def write_edit(
    path: Path, source: Source, patch: Patch, plan: Plan, recipe: Recipe, provenance: Provenance
) -> dict[str, Any]:
    """Write the edited raster, whole or not at all, and return STAC's members for its bands."""
    dropped = recipe.edit is not None and recipe.edit.extra_bands == "drop"
    kept = [b for b in range(1, source.count + 1) if not (dropped and b in source.roles.extra)]
    with rasterio.Env(**SEALED), scratch(path) as (stage, _, part):
        if len(kept) == source.count and source.box == source.held:
            shutil.copyfile(source.path, stage)
        else:
            _copy(source, stage, kept)
        bands = _apply(stage, source, patch, kept)
        _describe(stage, tags(recipe, plan, provenance) | _about_bands(source, recipe), recipe, provenance)
        _lift_band_tags(stage)
        options = COG_OPTIONS | {"sparse_ok": "YES"}
        if source.bits is not None:  # there is no predictor for them
            options |= {"predictor": "NO"}
        rasterio.shutil.copy(stage, part, **options)
        _lower_band_tags(part)
        os.replace(part, path)
    return bands


def preview_pixels(
    path: Path, box: Box, bands: tuple[int, ...], ranges: tuple[tuple[float, float], ...]
) -> UInt8Array:
    """Return a box of a file's pixels as (rows, columns, 3) bytes of at most 1,024 a side, for looking at."""
    scale = max(1.0, max(box.width, box.height) / _PREVIEW)
    shape = len(bands), max(1, round(box.height / scale)), max(1, round(box.width / scale))
    with rasterio.Env(**SEALED), rasterio.open(path, driver="GTiff") as file:
        window = Window(box.col, box.row, box.width, box.height)
        values = file.read(list(bands), out_shape=shape, window=window).astype(np.float64)
    low, high = np.array(ranges).T[:, :, None, None]
    shown = np.nan_to_num((values - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)
    return np.broadcast_to(shown, (3, *shape[1:])).transpose(1, 2, 0)


def _apply(stage: Path, source: Source, patch: Patch, kept: list[int]) -> dict[str, Any]:
    rows, cols = slices_in(patch.at, source.box)
    here = Window.from_slices(rows, cols)
    with rasterio.open(stage, "r+", driver="GTiff") as file:
        for number, band in enumerate(kept, start=1):
            new: Any = patch.values.get(band)
            if band == source.roles.alpha:
                new = source.highest or (np.iinfo(source.dtype).max if source.dtype.kind == "i" else 1)
            if new is not None:
                block = file.read(number, window=here)
                block[patch.mask] = new
                file.write(block, number, window=here)
        if source.mask_band:
            valid = file.read_masks(kept.index(source.roles.visible[0]) + 1, window=here)
            file.write_mask(np.where(patch.mask, np.uint8(255), valid), window=here)
        names = [text or f"band {band}" for text, band in zip(file.descriptions, kept, strict=True)]
        return {"data_type": str(source.dtype), "bands": [{"name": name} for name in names]}


def placed(source: Source, dataset: Any) -> dict[str, Any]:
    """Return size and place of the whole raster, of which ``dataset`` is the file, as rasterio takes them."""
    whole = source.box
    size = {"width": whole.width, "height": whole.height}
    points, crs = dataset.gcps
    if not points:
        return {**size, "crs": dataset.crs, "transform": source.placed}
    for point in points:
        point.row, point.col = point.row - whole.row, point.col - whole.col
    return {**size, "crs": crs, "gcps": points}


def _copy(source: Source, stage: Path, kept: list[int]) -> None:
    """Write bands of the source as a raster of their own, with all that is said about them.

    Where the raster is larger than the source's file, blocks beyond it are left empty.
    """
    whole = source.box
    with rasterio.open(source.path, driver="GTiff") as old:
        place = placed(source, old)
        profile = {key: value for key, value in old.profile.items() if key != "transform"} | place
        profile |= {"count": len(kept), "interleave": "band", "bigtiff": "IF_SAFER"}
        with rasterio.open(stage, "w", **profile) as new:
            new.update_tags(**{k: v for k, v in old.tags().items() if k != "AREA_OR_POINT"})
            new.scales = [old.scales[b - 1] for b in kept]
            new.offsets = [old.offsets[b - 1] for b in kept]
            new.units = [old.units[b - 1] or "" for b in kept]
            new.colorinterp = [old.colorinterp[b - 1] for b in kept]
            for number, band in enumerate(kept, start=1):
                new.update_tags(number, **old.tags(band))
                if old.descriptions[band - 1]:
                    new.set_band_description(number, old.descriptions[band - 1])
            for _, block in new.block_windows(1):
                at = Box(
                    col=whole.col + block.col_off,
                    row=whole.row + block.row_off,
                    width=block.width,
                    height=block.height,
                )
                there = overlap(at, source.held)
                if there is None:
                    continue
                here = Window.from_slices(*slices_in(there, whole))
                new.write(old.read(kept, window=window(there)), window=here)
                if source.mask_band:
                    new.write_mask(old.read_masks(kept[0], window=window(there)), window=here)


def _about_bands(source: Source, recipe: Recipe) -> dict[str, str]:
    """Return a tag that says where the other bands' values come from, if they changed."""
    borrowed = recipe.edit is not None and recipe.edit.extra_bands == "match" and source.roles.extra
    return {"AI_EXTRA_BANDS": _BORROWED} if borrowed else {}


def _describe(stage: Path, new: Mapping[str, str], recipe: Recipe, provenance: Provenance) -> None:
    """Add what this file is to what the source said about itself, which is not overwritten."""
    with rasterio.open(stage, "r+", driver="GTiff") as file:
        old = file.tags()
        added = {k: v for k, v in new.items() if k.startswith("AI_") or k not in {*old, *_THE_OWNERS}}
        file.update_tags(**added)
        file.update_tags(ns="GENERATION", **generation_tags(recipe, provenance))
        has_xmp = bool(file.tags(ns="xml:XMP"))
        if not has_xmp:
            file.update_tags(ns="xml:XMP", xmp="-")
    if not has_xmp:
        write_xmp(stage, xmp(provenance, edited=True))


# GDAL's COG driver drops either the tags of bands or those of domains of one's own. So tags of bands travel
# as tags of the file, under a name of which these characters become an attribute of the same length.
_FOR_SAMPLE, _SAMPLE = b"~~~~~~~~~~", b'" sample="'
_GDAL_METADATA = 42112


def _lift_band_tags(stage: Path) -> None:
    """Repeat the tags of bands as tags of the file; statistics of the source are not true any more and go."""
    with rasterio.open(stage, "r+", driver="GTiff") as file:
        for band in file.indexes:
            kept = {k: v for k, v in file.tags(band).items() if not k.startswith("STATISTICS_")}
            file.update_tags(**{f"{k}{_FOR_SAMPLE.decode()}{band - 1}": v for k, v in kept.items()})


def _lower_band_tags(path: Path) -> None:
    """Make them tags of bands again, in place: no byte of the file moves, so its layout holds."""
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags[_GDAL_METADATA]
        offset, count = tag.valueoffset, tag.count
    with path.open("r+b") as raw:
        raw.seek(offset)
        text = raw.read(count)
        raw.seek(offset)
        raw.write(text.replace(_FOR_SAMPLE, _SAMPLE))
