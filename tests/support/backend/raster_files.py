"""Rasters of many kinds, written by rasterio, and how two of them differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

FACTS = ("crs", "transform", "width", "height", "count", "dtypes", "nodatavals", "scales", "offsets", "units",
         "descriptions", "colorinterp")  # fmt: skip


GRIDS = {
    "utm": ("EPSG:32632", Affine(1, 0, 500000, 0, -1, 5200000)),
    "degrees": ("EPSG:4326", Affine(2e-5, 0, 8.0, 0, -2e-5, 60.0)),  # 1.1 m by 2.2 m
    "mercator": ("EPSG:3857", Affine(2, 0, 890555, 0, -2, 8399737)),  # 1 m on the ground at 60 N
    "feet": ("EPSG:2263", Affine(3, 0, 983000, 0, -3, 210000)),  # New York, US survey feet
    "rotated": ("EPSG:32632", Affine(1, 0, 500000, 0, -1, 5200000) @ Affine.rotation(30)),
}
NODATA = {"uint8": 0, "uint16": 65535, "int16": -32768, "float32": -9999.0}
PLACE = Affine(1, 0, 500000, 0, -1, 5200000)


def write(path: Path, pixels: NDArray[Any], **profile: Any) -> Path:
    """Write pixels, (bands, rows, columns), at 1 m in UTM unless ``profile`` says otherwise."""
    count, height, width = pixels.shape
    size = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": pixels.dtype}
    with rasterio.open(path, "w", **{**size, "crs": "EPSG:32632", "transform": PLACE, **profile}) as file:
        file.write(pixels)
    return path


def rich_scene(path: Path, dtype: str, bands: int, grid: str, nodata: float | None) -> Path:
    """A scene with structure, holes of nodata, and everything that a header can say."""
    crs, transform = GRIDS[grid]
    height, width = 72, 90
    row, col = np.mgrid[:height, :width]
    chance = np.random.default_rng(bands)
    wave = (
        0.5 + 0.3 * np.sin(row / 9) * np.cos(col / 7) + 0.05 * chance.standard_normal((bands, height, width))
    )
    top = {"uint8": 250, "uint16": 12000, "int16": 9000, "float32": 0.4}[dtype]
    pixels = (wave.clip(0.02, 1) * top).astype(dtype)
    if nodata is not None:
        pixels[:, 20:40, 45:72] = nodata
    write(path, pixels, crs=crs, transform=transform, nodata=nodata)
    with rasterio.open(path, "r+") as file:
        file.scales = [0.5 + band for band in range(bands)]
        file.offsets = [float(band) for band in range(bands)]
        file.descriptions = [f"band of {band}" for band in range(bands)]
        file.update_tags(SENSOR="a camera", TIFFTAG_IMAGEDESCRIPTION="the field behind the house")
        file.update_tags(1, WAVELENGTH="red", STATISTICS_MEAN="5")
    return path


def polygon(path: Path, corners: list[tuple[float, float]]) -> tuple[dict[str, Any], str]:
    """Corners in pixels as GeoJSON in the raster's CRS."""
    with rasterio.open(path) as file:
        ring = [list(file.transform @ corner) for corner in [*corners, corners[0]]]
        return {"type": "Polygon", "coordinates": [ring]}, file.crs.to_string()


def differences(before: Path, after: Path) -> NDArray[np.bool_]:
    """Which values differ in any bit, (bands, rows, columns)."""
    with rasterio.open(before) as one, rasterio.open(after) as two:
        old, new = one.read(), two.read()
    assert old.dtype == new.dtype
    size = old.dtype.itemsize
    bits = [np.ascontiguousarray(item).view(np.uint8).reshape(*item.shape, size) for item in (old, new)]
    return (bits[0] != bits[1]).any(-1)


def facts(path: Path) -> dict[str, Any]:
    with rasterio.open(path) as file:
        return {name: getattr(file, name) for name in FACTS}


def rings(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The pixels just inside and just outside a mask."""

    def wider(part: NDArray[np.bool_]) -> NDArray[np.bool_]:
        out = part.copy()
        out[1:] |= part[:-1]
        out[:-1] |= part[1:]
        out[:, 1:] |= part[:, :-1]
        out[:, :-1] |= part[:, 1:]
        return out

    return mask & wider(~mask), ~mask & wider(mask)
