"""From pixels to a cloud-optimized GeoTIFF.

Pixels go by windows into a tiled staging file, are resampled once where the file's CRS is not the frame's,
get their tags there, and are copied by GDAL's COG driver (given an array, it would hold all in memory). The
finished file appears under its name at once or not at all. Knows recipes and files; knows no model.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import tifffile
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from model_backend.raster.crs import for_gdal
from model_backend.raster.grids import PixelGrid
from model_backend.raster.provenance import Provenance, generation_tags, tags, xmp
from model_backend.schemas import OutputGrid, Plan, Recipe

Pixels = NDArray[np.uint8]

_TILE = 512
_XMP_TAG = 700
_STAGING = {
    "driver": "GTiff",
    "count": 3,
    "dtype": "uint8",
    "photometric": "RGB",
    "tiled": True,
    "blockxsize": _TILE,
    "blockysize": _TILE,
    "compress": "ZSTD",
    "zstd_level": 1,
    "bigtiff": "IF_SAFER",
}
COG_OPTIONS = {
    "driver": "COG",
    "compress": "DEFLATE",  # the one codec that every GDAL has
    "predictor": "YES",
    "level": "6",
    "blocksize": str(_TILE),
    "overview_resampling": "AVERAGE",
    "bigtiff": "IF_SAFER",
    "num_threads": "ALL_CPUS",
    "copy_src_mdd": "YES",  # without it our own domain of tags is dropped
}


def write_scene(path: Path, pixels: Pixels, plan: Plan, recipe: Recipe, provenance: Provenance) -> None:
    """Write ``pixels``, (3, rows, columns) of ``recipe.grid``, as the GeoTIFF of ``plan``.

    Raises ValueError if the pixels are not those of the grid, or the grid does not cover the file.
    """
    grid = recipe.grid
    if pixels.shape != (3, grid.height, grid.width) or pixels.dtype != np.uint8:
        raise ValueError(f"{pixels.shape} {pixels.dtype} are not the pixels of {grid}")
    # PAM off: what a GeoTIFF cannot hold must not hide in a file beside it.
    with rasterio.Env(GDAL_PAM_ENABLED="NO", GDAL_CACHEMAX=128 << 20), scratch(path) as (made, warped, part):
        _stage(made, pixels, recipe)
        stage = made
        if recipe.resampled is not None:
            _warp(made, warped, recipe.resampled)
            stage = warped
        _describe(stage, plan, recipe, provenance)
        rasterio.shutil.copy(stage, part, **COG_OPTIONS)
        os.replace(part, path)


@contextmanager
def scratch(path: Path) -> Iterator[tuple[Path, Path, Path]]:
    """Give three names beside ``path`` and remove what is left of them."""
    names = tuple(path.with_name(f"{path.name}.{end}") for end in ("stage", "warped", "part"))
    try:
        yield names[0], names[1], names[2]
    finally:
        for name in names:
            name.unlink(missing_ok=True)


def _windows(width: int, height: int) -> Iterator[Window]:
    """Yield the blocks of a tiled file, row by row."""
    for row in range(0, height, _TILE):
        for col in range(0, width, _TILE):
            yield Window(col, row, min(_TILE, width - col), min(_TILE, height - row))


def _stage(path: Path, pixels: Pixels, recipe: Recipe) -> None:
    """Write the pixels of the frame, uncropped, into a tiled GeoTIFF."""
    frame = recipe.frame
    grid = PixelGrid((frame.pixel_size[0], frame.pixel_size[1]), (frame.anchor[0], frame.anchor[1]))
    size = {"width": recipe.grid.width, "height": recipe.grid.height}
    place = {"crs": for_gdal(frame.crs), "transform": Affine(*grid.transform(recipe.grid))}
    with rasterio.open(path, "w", **_STAGING, **size, **place) as file:
        for window in _windows(**size):
            rows, cols = window.toslices()
            file.write(pixels[:, rows, cols], window=window)


def _warp(source: Path, target: Path, output: OutputGrid) -> None:
    """Resample once into the file's own grid: cubic, as bilinear blurs what is nearly at the same scale."""
    size = {"width": output.width, "height": output.height}
    place = {"crs": for_gdal(output.crs), "transform": Affine(*output.transform)}
    how: dict[str, Any] = {"resampling": Resampling.cubic, "add_alpha": True, "tolerance": 0.01}
    with (
        rasterio.open(source) as made,
        WarpedVRT(made, **size, **place, **how) as view,
        rasterio.open(target, "w", **_STAGING, **size, **place) as file,
    ):
        for window in _windows(**size):
            block = view.read(window=window)
            if block[3].min() < 255:
                raise ValueError("the grid of the recipe does not cover the file")
            file.write(block[:3], window=window)


def _describe(stage: Path, plan: Plan, recipe: Recipe, provenance: Provenance) -> None:
    """Write bands, tags and XMP into the staging file: edits would break the layout of a COG."""
    with rasterio.open(stage, "r+") as file:
        file.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        file.descriptions = ("Red", "Green", "Blue")
        file.update_tags(**tags(recipe, plan, provenance))
        file.update_tags(ns="GENERATION", **generation_tags(recipe, provenance))
        file.update_tags(ns="xml:XMP", xmp="-")
    write_xmp(stage, xmp(provenance))


def write_xmp(stage: Path, packet: bytes) -> None:
    """Put an XMP packet into a staging file that has something in that place.

    rasterio can only write name=value there, which is no XMP: it makes the tag, tifffile its content.
    """
    with tifffile.TiffFile(stage, mode="r+b") as file:
        file.pages[0].tags[_XMP_TAG].overwrite(packet)
