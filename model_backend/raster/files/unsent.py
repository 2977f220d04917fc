"""A raster that is not here yet, as an empty file of its grid, so that an edit of it can be planned.

It has the CRS, transform, size and number of bands that were told, of bytes without any values on disk.
"""

from __future__ import annotations

from pathlib import Path

import rasterio
from affine import Affine
from rasterio.crs import CRS

from model_backend.errors import InvalidInput, TooLarge
from model_backend.raster.files.source import SEALED
from model_backend.raster.georeference.crs import parse_reference
from model_backend.schemas import UnsentRaster
from model_backend.settings import Settings


def write_unsent(raster: UnsentRaster, path: Path, limits: Settings) -> None:
    """Write the empty file. Raises InvalidInput for ``raster`` or a member, TooLarge above what is taken."""
    size = raster.width * raster.height * raster.bands
    if size > limits.max_raster:
        rule = f"at most {limits.max_raster:,} values"
        detail = f"The raster has {size:,} values; this server takes {rule}. Name the part around the mask."
        raise TooLarge("raster", detail, value=size, allowed=rule)
    transform = Affine(*raster.transform)
    if transform == Affine.identity() or not transform.determinant:
        raise InvalidInput("raster.transform", "The raster has no georeference.", value=raster.transform)
    crs = CRS.from_wkt(parse_reference(raster.crs, "raster.crs").crs.to_wkt())
    with (
        rasterio.Env(**SEALED),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=raster.width,
            height=raster.height,
            count=raster.bands,
            dtype="uint8",
            crs=crs,
            transform=transform,
            tiled=True,
            blockxsize=512,
            blockysize=512,
            photometric="MINISBLACK",  # else four bands had transparency, zero all over
            sparse_ok=True,
        ),
    ):
        pass
