"""Raster files as GDAL sees them, for worker threads: opening, pixels by strips, grids, failures in words.

Boxes are (col, row, width, height) in pixels of a file, points are (column, row), arrays are numpy's. Works
whether or not GDAL's exceptions are switched on, with bytes only, so that the numpy that GDAL was built for
does not matter. Knows no layer, mask or network.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, floor, isfinite
from typing import Any, Callable, Iterator, Optional, Sequence, Union

import numpy as np
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsMapLayer

from text2earth_qgis.core.errors import Cancelled, RasterRefused
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.layers import path_of
from text2earth_qgis.core.wire.schemas import Box

Stop = Callable[[], bool]  # whether the user wants to stop
Points = Union[Sequence[tuple[float, float]], np.ndarray]

STRIP = 32 << 20  # bytes of pixels that are held at once
FAR = 2**31  # pixels: beyond it a point is nowhere near a raster
_KINDS = {
    gdal.GDT_Byte: "u1",
    gdal.GDT_UInt16: "u2",
    gdal.GDT_Int16: "i2",
    gdal.GDT_UInt32: "u4",
    gdal.GDT_Int32: "i4",
    gdal.GDT_Float32: "f4",
    gdal.GDT_Float64: "f8",
    **{getattr(gdal, f"GDT_{name}", -1): kind for name, kind in (("UInt64", "u8"), ("Int64", "i8"))},
    **{getattr(gdal, "GDT_Int8", -2): "i1"},
}


@dataclass(frozen=True)
class RasterFile:
    """A raster of the ``gdal`` provider, as any thread may open it; ``name`` is what its user calls it."""

    name: str
    source: str
    options: tuple[str, ...]
    crs: QgsCoordinateReferenceSystem
    assigned: bool  # the CRS was set in QGIS: it is not the file's own

    def open(self) -> gdal.Dataset:
        """Return a dataset of the caller's own. Raises ``RasterRefused``."""
        with gdal_errors(tr("'{name}' cannot be read").format(name=self.name)):
            flags = gdal.OF_RASTER | gdal.OF_READONLY | gdal.OF_VERBOSE_ERROR
            return require(gdal.OpenEx(self.source, flags, open_options=list(self.options)))


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a file lie: GDAL's six numbers, size, CRS."""

    transform: tuple[float, ...]
    width: int
    height: int
    crs: QgsCoordinateReferenceSystem

    @property
    def box(self) -> Box:
        """All pixels."""
        return Box(0, 0, self.width, self.height)

    def near(self, x: np.ndarray) -> np.ndarray:
        """Return longitudes shifted by whole turns to where the raster counts them; other x as they are."""
        turn = turn_of(self.crs)
        origin, across, down = self.transform[:3]
        middle = origin + across * self.width / 2 + down * self.height / 2
        return x - turn * np.round((x - middle) / turn) if turn else x

    def pixels(self, points: Points) -> np.ndarray:
        """Return the columns and rows, (n, 2), of points in the CRS."""
        a, b, c, d, e, f = gdal.InvGeoTransform(self.transform)
        x, y = np.array(points, np.float64).reshape(-1, 2).T
        x = self.near(x)
        return np.stack([a + b * x + c * y, d + e * x + f * y], axis=1)

    def outline(self, box: Box, parts: int = 32) -> list[tuple[float, float]]:
        """Return points of the CRS along the outline of a box."""
        share = np.arange(parts) / parts
        cols = box.col + box.width * np.concatenate([share, share * 0 + 1, 1 - share, share * 0])
        rows = box.row + box.height * np.concatenate([share * 0, share, share * 0 + 1, 1 - share])
        a, b, c, d, e, f = self.transform
        return list(zip(a + b * cols + c * rows, d + e * cols + f * rows))


def turn_of(crs: QgsCoordinateReferenceSystem) -> float:
    """Return how many units of a CRS in degrees go around the Earth; 0 for other CRSs."""
    return 360.0 if crs.isGeographic() else 0.0


def grid_of(dataset: gdal.Dataset, file: RasterFile) -> Grid:
    """Return the grid of a file; of one with control points only, the plane that fits them best."""
    transform = dataset.GetGeoTransform(can_return_null=True)
    if transform is None and dataset.GetGCPCount() >= 3:
        transform = gdal.GCPsToGeoTransform(dataset.GetGCPs())
    if transform is None and dataset.GetMetadata("RPC"):
        raise RasterRefused(
            tr(
                "'{name}' is placed by a camera model (RPC), not by a pixel grid. Orthorectify it first "
                "(Raster > Projections > Warp)."
            ).format(name=file.name)
        )
    if transform is not None and gdal.InvGeoTransform(transform) is None:
        raise RasterRefused(
            tr("The pixels of '{name}' have no area: its georeference is damaged.").format(name=file.name)
        )
    if transform is None:
        raise RasterRefused(
            tr("'{name}' has no georeference. Georeference it first (Layer > Georeferencer).").format(
                name=file.name
            )
        )
    if not file.crs.isValid():
        raise RasterRefused(
            tr("'{name}' has no CRS. Set it in the properties of the layer first.").format(name=file.name)
        )
    return Grid(tuple(transform), dataset.RasterXSize, dataset.RasterYSize, file.crs)


@contextmanager
def gdal_errors(sentence: str, **options: str) -> Iterator[None]:
    """Set options of GDAL in this thread; its failures become ``RasterRefused`` with this ``sentence``."""
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    gdal.ErrorReset()
    try:
        with _options(options):
            yield
    except RuntimeError as error:  # how ``require`` fails, or GDAL where its exceptions are switched on
        reason = str(error).rstrip(".")
        raise RasterRefused(tr("{what}: {reason}.").format(what=sentence, reason=reason)) from error
    finally:
        gdal.PopErrorHandler()


@contextmanager
def no_statistics_kept(path: str) -> Iterator[None]:
    """Keep GDAL from writing what QGIS counts of a raster to ``.aux.xml`` beside it, in this thread.

    It holds for a raster that is opened within the block, also when it is closed after it. Before GDAL 3.8
    such a file that is there already is still added to, since it has to be read.
    """
    options = {"GDAL_PAM_ENABLE_MARK_DIRTY": "NO"}
    if gdal.VSIStatL(f"{path.split('|')[0]}.aux.xml") is None:
        options["GDAL_PAM_ENABLED"] = "NO"
    with _options(options):
        yield


@contextmanager
def _options(options: dict[str, str]) -> Iterator[None]:
    """Set options of GDAL in this thread."""
    before = {name: gdal.GetThreadLocalConfigOption(name) for name in options}
    for name, value in options.items():
        gdal.SetThreadLocalConfigOption(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            gdal.SetThreadLocalConfigOption(name, value)


def files_of(layer: Optional[QgsMapLayer]) -> list[str]:
    """Return the files that a layer of the ``gdal`` or ``ogr`` provider is made of, as far as they exist.

    What GDAL cannot open is its own file alone: whoever reads it says why it cannot be read.
    """
    provider = layer.providerType() if layer is not None else ""
    if layer is None or provider not in ("gdal", "ogr"):
        return []
    path = path_of(layer)
    kind = gdal.OF_RASTER if provider == "gdal" else gdal.OF_VECTOR
    try:
        dataset = gdal.OpenEx(path, kind | gdal.OF_READONLY)
    except RuntimeError:
        dataset = None
    names = [path, *((dataset.GetFileList() or []) if dataset is not None else [])]
    return [name for name in dict.fromkeys(names) if os.path.exists(name)]


def damaged(name: str) -> str:
    """Return what to say of a file that cannot be read to its end."""
    return tr("'{name}' is damaged, so there can be no copy of it with the edit in it").format(name=name)


def require(value: Any) -> Any:
    """Return what GDAL returned; a failure is raised, to be put into words by ``gdal_errors``."""
    failed = value is None or (isinstance(value, int) and value != gdal.CE_None)
    if failed:
        raise RuntimeError(gdal.GetLastErrorMsg() or tr("it is of no kind that GDAL reads"))
    return value


def require_written() -> None:
    """Raise what went wrong when files were closed: a full disk shows only there."""
    if gdal.GetLastErrorType() >= gdal.CE_Failure:
        raise RuntimeError(gdal.GetLastErrorMsg())


def gdal_callback(progress: Callable[[float], object], stop: Stop) -> Callable[..., int]:
    """Return a callback for GDAL's long functions: passes on the share done, and stops them."""

    def called(share: float, _message: str, _data: object) -> int:
        progress(share)
        return 0 if stop() else 1

    return called


def raise_if_stopped(stop: Stop) -> None:
    """Raise ``Cancelled`` if the user wants to stop."""
    if stop():
        raise Cancelled(tr("Cancelled."))


@contextmanager
def stoppable(stop: Stop) -> Iterator[None]:
    """Raise ``Cancelled`` if the user wants to stop: what GDAL was at within the block ends as a failure."""
    try:
        yield
    except RuntimeError:
        raise_if_stopped(stop)
        raise
    raise_if_stopped(stop)


def read(band: gdal.Band, box: Box, shape: Optional[tuple[int, int]] = None) -> np.ndarray:
    """Return pixels of a band, (rows, columns), in its own type; ``shape`` thins them out."""
    rows, cols = shape or (box.height, box.width)
    kind = _KINDS.get(band.DataType)
    if kind is None:
        raise RuntimeError(
            tr("its values are of type {kind}").format(kind=gdal.GetDataTypeName(band.DataType))
        )
    raw = require(band.ReadRaster(box.col, box.row, box.width, box.height, cols, rows))
    found = np.frombuffer(raw, kind).reshape(rows, cols)
    signed = kind == "u1" and band.GetMetadataItem("PIXELTYPE", "IMAGE_STRUCTURE") == "SIGNEDBYTE"
    return found.view("i1") if signed else found


def strips(box: Box, row_bytes: int) -> Iterator[Box]:
    """Yield a box in strips of whole rows of at most ``STRIP`` bytes."""
    rows = max(1, STRIP // max(1, row_bytes))
    for row in range(box.row, box.row + box.height, rows):
        yield Box(box.col, row, box.width, min(rows, box.row + box.height - row))


def box_around(points: np.ndarray) -> Box:
    """Return the smallest box of pixels around points, (n, 2), of at least one pixel."""
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return box_between(float(left), float(top), float(right), float(bottom))


def box_between(left: float, top: float, right: float, bottom: float) -> Box:
    """Return the smallest box of pixels with these ends in it, of at least one pixel."""
    if not isfinite(left + top + right + bottom):
        raise ValueError("points that are nowhere")
    left, top, right, bottom = (min(max(one, -FAR), FAR) for one in (left, top, right, bottom))
    col, row = floor(left + 1e-6), floor(top + 1e-6)
    return Box(col, row, max(1, ceil(right - 1e-6) - col), max(1, ceil(bottom - 1e-6) - row))


def grown(box: Box, by: int) -> Box:
    """Return a box with ``by`` more pixels on every side."""
    return Box(box.col - by, box.row - by, box.width + 2 * by, box.height + 2 * by)


def overlap(one: Box, other: Box) -> Optional[Box]:
    """Return the pixels that two boxes share, None if there are none."""
    col, row = max(one.col, other.col), max(one.row, other.row)
    width = min(one.col + one.width, other.col + other.width) - col
    height = min(one.row + one.height, other.row + other.height) - row
    return Box(col, row, width, height) if width > 0 and height > 0 else None


def union(one: Box, other: Box) -> Box:
    """Return the smallest box around two."""
    col, row = min(one.col, other.col), min(one.row, other.row)
    right = max(one.col + one.width, other.col + other.width)
    bottom = max(one.row + one.height, other.row + other.height)
    return Box(col, row, right - col, bottom - row)
