"""From blocks of pixels to a cloud-optimized GeoTIFF.

A block is a small tiled GeoTIFF, written once (``write_block``). ``write_scene`` joins the blocks of a scene:
GDAL reads them through a virtual raster that carries the tags, resamples once where the file's CRS is not the
frame's, and its COG driver lays the result out with overviews, never holding more than a cache of it. Every
file appears under its name at once or not at all. Knows recipes and files; knows no model.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
import tifffile
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from model_backend.raster.files.mosaic import IMAGE, Bands, Mosaic
from model_backend.raster.files.provenance import Provenance, generation_tags, tags, xmp
from model_backend.raster.georeference.crs import for_gdal
from model_backend.raster.georeference.grids import PixelGrid
from model_backend.schemas import Box, Frame, OutputGrid, Plan, Recipe

_TILE = 512
_XMP_TAG = 700
_STAGING = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": _TILE,
    "blockysize": _TILE,
    "compress": "ZSTD",
    "zstd_level": 1,
    "bigtiff": "IF_SAFER",
}
# What GDAL may hold while it lays a file out, whatever its size: tiles, and blocks that are open.
_MEMORY = {"GDAL_CACHEMAX": 64 << 20, "GDAL_MAX_DATASET_POOL_SIZE": 16}
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


def staging(bands: Bands) -> dict[str, Any]:
    """Return how files that are joined or copied later hold some bands, as rasterio takes it."""
    colours = {"photometric": "RGB"} if bands.colours else {}
    return _STAGING | colours | {"count": len(bands.names), "dtype": bands.dtype, "nodata": bands.nodata}


def write_block(path: Path, pixels: NDArray[Any], box: Box, frame: Frame, bands: Bands = IMAGE) -> str:
    """Write the pixels of a box of a frame, (bands, rows, columns); return the SHA-256 of the file.

    Raises ValueError if the pixels are not those of the box, OSError if they cannot be written.
    """
    if pixels.shape != (len(bands.names), box.height, box.width) or pixels.dtype != bands.dtype:
        raise ValueError(f"{pixels.shape} {pixels.dtype} are not the pixels of {box}")
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.MemoryFile() as memory:
        with memory.open(**staging(bands), **_place(box, frame)) as file:
            file.write(pixels)
        content = memory.read()
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)  # by Python: GDAL does not always say that the disk was full
    os.replace(part, path)
    return hashlib.sha256(content).hexdigest()


def write_scene(
    path: Path, blocks: Sequence[tuple[Box, Path]], plan: Plan, recipe: Recipe, provenance: Provenance
) -> None:
    """Join ``blocks``, the parts of ``recipe.grid`` as ``write_block`` wrote them, as ``plan`` says.

    Raises ValueError if the blocks are not the grid, or the grid does not cover the file.
    """
    about = {"": tags(recipe, plan, provenance), "GENERATION": generation_tags(recipe, provenance)}
    write_joined(path, blocks, recipe, about, packet=xmp(provenance).decode())


def write_joined(
    path: Path,
    blocks: Sequence[tuple[Box, Path]],
    recipe: Recipe,
    about: Mapping[str, Mapping[str, str]],
    bands: Bands = IMAGE,
    packet: str = "",
) -> None:
    """Join blocks of some bands to the file of a recipe, with tags by domain and an XMP packet."""
    grid = recipe.grid
    if sum(box.width * box.height for box, _ in blocks) != grid.width * grid.height:
        raise ValueError(f"the blocks do not make up {grid}")
    # PAM off: what a GeoTIFF cannot hold must not hide in a file beside it.
    with rasterio.Env(GDAL_PAM_ENABLED="NO", **_MEMORY), scratch(path) as (view, warped, part):
        place = _place(grid, recipe.frame)
        whole = Mosaic(place, [(_moved(box, grid), file) for box, file in blocks], bands)
        if recipe.resampled is not None:
            whole.write(view)
            _warp(view, warped, recipe.resampled, bands)
            place = _output(recipe.resampled)
            size = Box(col=0, row=0, width=place["width"], height=place["height"])
            whole = Mosaic(place, [(size, warped)], bands)
        whole.write(view, about, packet)
        rasterio.shutil.copy(view, part, **cog_options(bands))
        _check_whole(part)
        os.replace(part, path)


def cog_options(bands: Bands) -> dict[str, str]:
    """Return how a file of some bands is laid out: numbers that are no colours have no mean."""
    return COG_OPTIONS if bands.colours else COG_OPTIONS | {"overview_resampling": "NEAREST"}


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


def _place(box: Box, frame: Frame) -> dict[str, Any]:
    """Return size and place of a box of a frame, as rasterio takes them."""
    grid = PixelGrid((frame.pixel_size[0], frame.pixel_size[1]), (frame.anchor[0], frame.anchor[1]))
    size = {"width": box.width, "height": box.height}
    return {**size, "crs": for_gdal(frame.crs), "transform": Affine(*grid.transform(box))}


def _output(output: OutputGrid) -> dict[str, Any]:
    """Return size and place of a file in a CRS other than the frame's."""
    size = {"width": output.width, "height": output.height}
    return {**size, "crs": for_gdal(output.crs), "transform": Affine(*output.transform)}


def _warp(source: Path, target: Path, output: OutputGrid, bands: Bands) -> None:
    """Resample once into the file's own grid.

    Colours are cubic, as bilinear blurs what is nearly at the same scale; other numbers are the nearest ones.
    """
    place, count = _output(output), len(bands.names)
    how: dict[str, Any] = {"resampling": Resampling.nearest, "nodata": bands.nodata}
    if bands.colours:
        how = {"resampling": Resampling.cubic, "add_alpha": True}
    with (
        rasterio.open(source, driver="VRT") as made,
        WarpedVRT(made, **place, **how, tolerance=0.01) as view,
        rasterio.open(target, "w", **staging(bands), **place) as file,
    ):
        for window in _windows(output.width, output.height):
            block = view.read(window=window)
            if block[count:].min(initial=255) < 255:
                raise ValueError("the grid of the recipe does not cover the file")
            file.write(block[:count], window=window)


def _moved(box: Box, origin: Box) -> Box:
    """Return a box counted from the corner of another."""
    return box.model_copy(update={"col": box.col - origin.col, "row": box.row - origin.row})


def _check_whole(path: Path) -> None:
    """Raise OSError if the last bytes of a TIFF are missing: GDAL closes a file on a full disk in silence."""
    size = path.stat().st_size
    with tifffile.TiffFile(path) as file:
        for page in file.pages:
            tiles = list(zip(page.dataoffsets, page.databytecounts, strict=True))
            if not all(length for _, length in tiles) or max(map(sum, tiles)) > size:
                raise OSError(errno.ENOSPC, "the file was cut short")


def write_xmp(stage: Path, packet: bytes) -> None:
    """Put an XMP packet into a staging file that has something in that place.

    rasterio can only write name=value there, which is no XMP: it makes the tag, tifffile its content.
    """
    with tifffile.TiffFile(stage, mode="r+b") as file:
        file.pages[0].tags[_XMP_TAG].overwrite(packet)
