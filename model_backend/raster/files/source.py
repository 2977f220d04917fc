"""The raster that is edited: what its bands are, which pixels have values, and reading them by windows.

Only files that this program wrote itself are opened (``upload_check`` made them, or a job of ours): a
GeoTIFF, with GDAL's one driver for it, no sidecar files and no look at the folder around it. Boxes are
(col, row, width, height) in pixels of the raster; arrays are (bands, rows, columns) in the raster's own
type. A raster that is to grow has room around the file's pixels, in which nothing is known yet; its boxes may
begin left of or above the file's first pixel. Knows no model and no mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.transform import from_gcps
from rasterio.windows import Window

from model_backend.arrays import BoolArray
from model_backend.errors import InvalidInput
from model_backend.raster.georeference.crs import ALLOWED, horizontal, parse_any, unusable
from model_backend.raster.georeference.grids import overlap, slices_in
from model_backend.raster.georeference.longitudes import recentred
from model_backend.schemas import Box

# No sidecar is read or written, no folder listed; the block cache stays small beside a loaded model.
SEALED = {
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_TIFF_INTERNAL_MASK": "YES",
    "GDAL_CACHEMAX": 128 << 20,  # bytes, as rasterio passes it on
}


@dataclass(frozen=True)
class Roles:
    """Which bands are what, counted from 1: one or three to look at, alpha, and the rest."""

    visible: tuple[int, ...]
    alpha: int | None
    extra: tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """A raster's header, checked: it has a CRS, a grid, and bands of real numbers of one type.

    ``width`` and ``height`` are the file's; ``room`` is what the raster is to become, None for no more.
    """

    path: Path
    width: int
    height: int
    count: int
    dtype: np.dtype[Any]
    nodata: float | None
    transform: Affine
    crs: pyproj.CRS
    roles: Roles
    mask_band: bool
    bits: int | None  # of a pixel, if fewer than its type has
    warnings: tuple[str, ...]
    room: Box | None = None

    @property
    def held(self) -> Box:
        """The pixels that the file has."""
        return Box(col=0, row=0, width=self.width, height=self.height)

    @property
    def box(self) -> Box:
        """The whole raster, with the room around the file's pixels."""
        return self.room or self.held

    @property
    def placed(self) -> Affine:
        """The transform of the whole raster."""
        return self.transform @ Affine.translation(self.box.col, self.box.row)

    @cached_property
    def ground(self) -> tuple[pyproj.CRS, Affine]:
        """CRS and transform to reckon with: those of the file, with longitudes that PROJ can give."""
        crs, placed = recentred(self.crs, self.placed, self.box.width, self.box.height)
        if crs is self.crs:
            return crs, self.transform
        return crs, placed @ Affine.translation(-self.box.col, -self.box.row)

    @property
    def middle(self) -> tuple[float, float]:
        """The coordinates of the raster's middle."""
        x, y = self.transform @ (self.width / 2, self.height / 2)
        return float(x), float(y)

    @property
    def highest(self) -> int | None:
        """The largest value of a pixel of whole numbers that are not negative."""
        if self.dtype.kind != "u":
            return None
        return int(np.iinfo(self.dtype).max) if self.bits is None else 2**self.bits - 1

    @property
    def all_known(self) -> bool:
        """Whether the raster cannot say of a pixel of the file that it has no value."""
        marked = self.nodata is not None or self.roles.alpha is not None or self.mask_band
        return not marked and self.dtype.kind != "f"


@contextmanager
def sealed(path: Path) -> Iterator[Any]:
    """Open one of our own GeoTIFFs, with the GTiff driver alone and nothing around the file."""
    with rasterio.Env(**SEALED), rasterio.open(path, driver="GTiff") as dataset:
        yield dataset


def read_header(path: Path, bands: Sequence[int] | None = None, *, codes: bool = False) -> Source:
    """Return the header of a raster; ``bands`` are the ones to look at, if the caller says.

    With ``codes`` values may be numbers of a colour table. Raises InvalidInput for ``source`` or ``bands``
    with what to do about it.
    """
    with sealed(path) as dataset:
        transform, warnings = _transform(dataset)
        dtype = _dtype(dataset)
        return Source(
            path=path,
            width=dataset.width,
            height=dataset.height,
            count=dataset.count,
            dtype=dtype,
            nodata=_nodata(dataset, dtype),
            transform=transform,
            crs=_crs(dataset),
            roles=_roles(dataset, bands, codes),
            mask_band=any(
                MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
                for flags in dataset.mask_flag_enums
            ),
            bits=_bits(dataset),
            warnings=warnings,
        )


def read(source: Source, box: Box, bands: Sequence[int]) -> NDArray[Any]:
    """Return (len(bands), height, width) of a box inside the raster, in its own type; 0 beyond the file."""
    here = overlap(box, source.held)
    if here != box:
        values: NDArray[Any] = np.zeros((len(bands), box.height, box.width), source.dtype)
        if here is not None:
            values[:, *slices_in(here, box)] = read(source, here, bands)
        return values
    with sealed(source.path) as dataset:
        values = dataset.read(list(bands), window=window(box))
        return values


def read_known(source: Source, box: Box) -> BoolArray:
    """Return which pixels of a box inside the raster have values: neither nodata, transparent nor NaN."""
    inside = overlap(box, source.held)
    if inside != box:
        known = np.zeros((box.height, box.width), np.bool_)
        if inside is not None:
            known[slices_in(inside, box)] = read_known(source, inside)
        return known
    with sealed(source.path) as dataset:
        here = window(box)
        values = dataset.read(list(source.roles.visible), window=here)
        known = np.ones(values.shape[1:], np.bool_)
        if values.dtype.kind == "f":
            known &= np.isfinite(values).all(0)
        if source.nodata is not None and not np.isnan(source.nodata):
            known &= (values != source.dtype.type(source.nodata)).any(0)
        if source.roles.alpha is not None:
            known &= dataset.read(source.roles.alpha, window=here) > 0
        elif source.mask_band:
            known &= dataset.read_masks(source.roles.visible[0], window=here) > 0
        return known


def window(box: Box) -> Window:
    """Return a box as rasterio's window."""
    return Window(box.col, box.row, box.width, box.height)


def _transform(dataset: Any) -> tuple[Affine, tuple[str, ...]]:
    transform = dataset.transform
    warnings: tuple[str, ...] = ()
    if transform == Affine.identity():
        points, _ = dataset.gcps
        if len(points) < 3:
            detail = "The raster has no georeference. Georeference it first (in QGIS: Layer > Georeferencer)."
            if dataset.rpcs is not None:
                detail = (
                    "The raster has rational polynomials (RPC) only, which need heights to be placed. Warp "
                    "it first (in QGIS: Raster > Projections > Warp)."
                )
            raise InvalidInput("source", detail, allowed="a raster with a transform")
        transform = from_gcps(points)
        warnings = (
            "The raster has ground control points only: the mask is placed by a plane fitted to them.",
        )
    # Numbers that are not finite, or too large to be multiplied, make an area that is none either.
    if not np.isfinite(list(transform)).all() or not 0 < abs(transform.determinant) < np.inf:
        detail = (
            "The raster's pixels have no area that could be on the ground. Georeference it first (in QGIS: "
            "Layer > Georeferencer)."
        )
        raise InvalidInput("source", detail, allowed="a raster with a transform")
    return transform, warnings


def _bits(dataset: Any) -> int | None:
    """Return the bits of a pixel of whole numbers where they are fewer than its type has."""
    bits = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    return int(bits) if bits and not dataset.dtypes[0].startswith("float") else None


def _dtype(dataset: Any) -> np.dtype[Any]:
    kinds = set(dataset.dtypes)
    if len(kinds) != 1:
        raise InvalidInput("source", "The raster's bands have different types; save it with one.")
    dtype: np.dtype[Any] = np.dtype(kinds.pop())
    if dtype.kind not in "uif":
        rule = "whole or real numbers"
        raise InvalidInput("source", f"The raster's values are {dtype}; an edit needs {rule}.", allowed=rule)
    return dtype


def _nodata(dataset: Any, dtype: np.dtype[Any]) -> float | None:
    """Return the nodata value, None if there is none or no pixel can have it."""
    value: float | None = dataset.nodata
    if value is None or dtype.kind == "f":
        return value
    info = np.iinfo(dtype)
    return value if float(value).is_integer() and info.min <= value <= info.max else None


def _crs(dataset: Any) -> pyproj.CRS:
    crs = dataset.crs or dataset.gcps[1]
    if not crs:
        detail = "The raster has no coordinate reference system. Assign one and send it again."
        raise InvalidInput("source", detail, allowed="a raster with a CRS")
    code = crs.to_epsg(confidence_threshold=100)
    advice = "Warp it to another one first (in QGIS: Raster > Projections > Warp)."
    try:
        found = horizontal(
            parse_any(f"EPSG:{code}" if code else crs.to_wkt(version="WKT2_2019"), "source").crs
        )
    except InvalidInput:
        detail = f"The raster has a coordinate reference system that this server does not read. {advice}"
        raise InvalidInput("source", detail, allowed=ALLOWED) from None
    reason = unusable(found)
    if reason:
        detail = f"The raster's coordinate reference system {reason}. {advice}"
        raise InvalidInput("source", detail, allowed=ALLOWED)
    return found


def _roles(dataset: Any, asked: Sequence[int] | None, codes: bool) -> Roles:
    meanings = list(dataset.colorinterp)
    if ColorInterp.palette in meanings and not codes:
        detail = (
            "The raster's values are numbers of a colour table, which cannot be painted. Expand it to "
            "RGB first (in QGIS: Raster > Conversion > PCT to RGB)."
        )
        raise InvalidInput("source", detail, allowed="a raster without a colour table")
    alpha = meanings.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in meanings else None
    others = [band for band in dataset.indexes if band != alpha]
    if not others:
        raise InvalidInput("source", "The raster has no band besides alpha.")
    visible = tuple(asked) if asked is not None else _visible(meanings, others)
    if len(visible) not in (1, 3) or len(set(visible)) != len(visible) or not set(visible) <= set(others):
        rule = f"one band, or three different ones, of {', '.join(map(str, others))}"
        raise InvalidInput("bands", f"The bands to paint must be {rule}.", value=list(visible), allowed=rule)
    return Roles(visible, alpha, tuple(band for band in others if band not in visible))


def _visible(meanings: list[ColorInterp], others: list[int]) -> tuple[int, ...]:
    """Return the bands that say they are red, green and blue; else the first three, or the only one."""
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in meanings for colour in colours):
        return tuple(meanings.index(colour) + 1 for colour in colours)
    return tuple(others[:3]) if len(others) >= 3 else (others[0],)
