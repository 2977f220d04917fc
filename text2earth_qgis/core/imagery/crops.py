"""The part of a raster that an edit sends: the mask's box and its surroundings, as the file has them.

Cut by GDAL out of the file itself: its own type, bands, nodata, colour meanings, scales, offsets, masks and
metadata; only what is in the box is read. How much has to be around a mask is the backend's to say: its
``plan`` names the pixels that it works on. Any thread; knows no network.
"""

from __future__ import annotations

from math import ceil, inf
from pathlib import Path
from typing import Optional

import numpy as np
from osgeo import gdal, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsPointXY,
)

from text2earth_qgis.core import origin
from text2earth_qgis.core.crs import crs_of, forgetting_crs
from text2earth_qgis.core.errors import JobFailed, RasterRefused
from text2earth_qgis.core.imagery import datasets
from text2earth_qgis.core.imagery.datasets import Grid, RasterFile, Stop
from text2earth_qgis.core.imagery.rasters import DisplayedBands
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Box, Json

Ranges = tuple[tuple[float, float], ...]

BANDS_SHOWN = (1, 3)  # how many bands can be looked at
PERCENT = (2, 98)
ALONE = {"GDAL_TIFF_INTERNAL_MASK": "YES", "GDAL_PAM_ENABLED": "NO"}  # what travels is one file
MUCH_METADATA = 1_000, 500_000  # items and characters that need not travel
SAMPLE = 1024  # pixels of a side that percentiles are taken from


def check_editable(dataset: gdal.Dataset, file: RasterFile) -> None:
    """Refuse rasters that cannot be edited: with colour tables, with bands of mixed or complex types."""
    bands = [dataset.GetRasterBand(number + 1) for number in range(dataset.RasterCount)]
    if not bands:
        raise RasterRefused(
            tr("'{name}' holds several rasters. Add the one to edit as a layer.").format(name=file.name)
        )
    if any(band.GetColorInterpretation() == gdal.GCI_PaletteIndex or band.GetColorTable() for band in bands):
        raise RasterRefused(
            tr(
                "The values of '{name}' are numbers of a colour table, which cannot be painted. Expand "
                "it to colours first (Raster > Conversion > PCT to RGB)."
            ).format(name=file.name)
        )
    kinds = {band.DataType for band in bands}
    if len(kinds) > 1 or any(gdal.DataTypeIsComplex(kind) for kind in kinds):
        raise RasterRefused(
            tr(
                "The bands of '{name}' are not all of one type of whole or real numbers. Convert it "
                "first (Raster > Conversion > Translate)."
            ).format(name=file.name)
        )
    nodata = {band.GetNoDataValue() for band in bands} - {None}
    if len({str(value) for value in nodata}) > 1:
        raise RasterRefused(
            tr(
                "The bands of '{name}' have different nodata values, which a GeoTIFF cannot say. Convert "
                "it first (Raster > Conversion > Translate)."
            ).format(name=file.name)
        )


def check_whole(dataset: gdal.Dataset, file: RasterFile) -> None:
    """Refuse a file that ends too early, of which there could be no copy, by its first and last pixels."""
    with datasets.gdal_errors(datasets.damaged(file.name)):
        for col, row in ((0, 0), (dataset.RasterXSize - 1, dataset.RasterYSize - 1)):
            datasets.require(dataset.ReadRaster(col, row, 1, 1))


def has_shades(dataset: gdal.Dataset, stop: Stop) -> bool:
    """Say whether a mask band has values between 0 and 255, as only one in a file beside has."""
    band = dataset.GetRasterBand(1)
    mask = band.GetMaskBand()
    if band.GetMaskFlags() != gdal.GMF_PER_DATASET or mask.GetMetadataItem("NBITS", "IMAGE_STRUCTURE") == "1":
        return False
    for strip in datasets.strips(Box(0, 0, dataset.RasterXSize, dataset.RasterYSize), dataset.RasterXSize):
        datasets.raise_if_stopped(stop)
        values = datasets.read(mask, strip)
        if ((values > 0) & (values < 255)).any():
            return True
    return False


def write(dataset: gdal.Dataset, file: RasterFile, box: Box, path: Path, stop: Stop) -> None:
    """Write a box of a raster to ``path``, a GeoTIFF like the raster."""
    crs = file.crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2019) if file.assigned else None
    options = gdal.TranslateOptions(
        format="GTiff",
        srcWin=[box.col, box.row, box.width, box.height],
        outputSRS=crs,
        creationOptions=["TILED=YES", "COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER"],
        callback=datasets.gdal_callback(lambda _share: None, stop),
    )
    with datasets.gdal_errors(tr("'{name}' cannot be read").format(name=file.name), **ALONE):
        with datasets.stoppable(stop):
            made = datasets.require(gdal.Translate(str(path), _without_metadata(dataset), options=options))
        _check_crs(made, file)
        made = None
        datasets.require_written()


def _without_metadata(dataset: gdal.Dataset) -> gdal.Dataset:
    """Return a file without what it was made of, and with no more metadata than a backend may take.

    A whole result has its metadata from the file.
    """
    bands = [dataset.GetRasterBand(number + 1) for number in range(dataset.RasterCount)]
    said = [one.GetMetadata() for one in (dataset, *bands)]
    length = sum(len(key) + len(value) for items in said for key, value in items.items())
    few = sum(map(len, said)) <= MUCH_METADATA[0] and length <= MUCH_METADATA[1]
    if few and not dataset.GetMetadata(origin.DOMAIN):
        return dataset
    view = datasets.require(gdal.Translate("", dataset, format="VRT"))
    view.SetMetadata({}, origin.DOMAIN)  # newer versions of GDAL copy every domain
    if few:
        return view
    for one in (view, *(view.GetRasterBand(number + 1) for number in range(view.RasterCount))):
        one.SetMetadata({})
    return view


def needed_box(plan: Json, crop: Box, grid: Grid, context: QgsCoordinateTransformContext) -> Box:
    """Return the raster's pixels that a plan of an edit of ``crop`` works on, as if more were there."""
    return box_in_raster(plan, plan["canvas"], crop, grid, context)


def box_in_raster(
    recipe: Json, box: Json, crop: Box, grid: Grid, context: QgsCoordinateTransformContext
) -> Box:
    """Return the raster's pixels around a box of a recipe's frame."""
    there = Box(**box)
    if recipe.get("resampled") is None:  # the frame is the crop's own grid
        return Box(crop.col + there.col, crop.row + there.row, there.width, there.height)
    frame = recipe["frame"]
    (width, height), (x, y) = (float(size) for size in frame["pixel_size"]), frame["anchor"]
    with forgetting_crs():
        crs = crs_of(frame["crs"])
        working = Grid((x, width, 0.0, y, 0.0, -height), 0, 0, crs)
        way = QgsCoordinateTransform(crs, grid.crs, context)
        try:
            points = [way.transform(QgsPointXY(*point)) for point in working.outline(there)]
            found = datasets.box_around(grid.pixels([(point.x(), point.y()) for point in points]))
        except (QgsCsException, ValueError) as error:
            raise JobFailed(tr("The backend works where the CRS of the raster is not defined.")) from error
    return datasets.grown(found, 2)  # the way back may differ from the backend's by a little


def covers(crop: Box, wanted: Box, raster: Box) -> bool:
    """Say whether a crop holds all that is wanted around it, as far as there is a raster.

    What ends at an edge of the crop may have been clipped there, so it has to lie inside.
    """
    edges = (
        (crop.col == raster.col or wanted.col > crop.col),
        (crop.row == raster.row or wanted.row > crop.row),
        (_right(crop) == _right(raster) or _right(wanted) < _right(crop)),
        (_bottom(crop) == _bottom(raster) or _bottom(wanted) < _bottom(crop)),
    )
    return all(edges)


def first_crop(mask: Box, window: int, reach: int, raster: Box) -> Optional[Box]:
    """Return a first guess of what to send: a window of the model on every side of the mask."""
    return datasets.overlap(datasets.grown(mask, window + reach), raster)


def larger_crop(crop: Box, wanted: Box, window: int, raster: Box) -> Box:
    """Return a larger crop: with what is wanted, and with room around it."""
    return datasets.overlap(datasets.grown(datasets.union(crop, wanted), ceil(window / 4)), raster) or crop


def bands_shown(dataset: gdal.Dataset, displayed: DisplayedBands) -> tuple[int, ...]:
    """Return the bands that a layer shows, none if one of them is no colour."""
    meanings = [dataset.GetRasterBand(band).GetColorInterpretation() for band in displayed.bands]
    return () if gdal.GCI_AlphaBand in meanings else displayed.bands


def stretch_as_displayed(
    dataset: gdal.Dataset, displayed: DisplayedBands, bands: tuple[int, ...]
) -> Optional[Ranges]:
    """Return the stretch of a layer for ``bands``, in the file's own values; None if it shows them as is."""
    if displayed.ranges is None or not set(bands) <= set(displayed.bands):
        return None
    return tuple(_stored(dataset, band, displayed.ranges[displayed.bands.index(band)]) for band in bands)


def stretch_by_percentiles(path: Path, bands: tuple[int, ...]) -> Optional[Ranges]:
    """Return the 2 and 98 % of the values of a crop, per band; None if there are none."""
    dataset = datasets.require(gdal.OpenEx(str(path), gdal.OF_RASTER))
    box = Box(0, 0, dataset.RasterXSize, dataset.RasterYSize)
    shape = min(box.height, SAMPLE), min(box.width, SAMPLE)
    found = []
    for number in bands:
        band = dataset.GetRasterBand(number)
        values = datasets.read(band, box, shape)
        good = values[(datasets.read(band.GetMaskBand(), box, shape) > 0) & np.isfinite(values)]
        if not good.size:
            return None
        low, high = (float(value) for value in np.percentile(good.astype("f8"), PERCENT))
        found.append((low, high) if low < high else (low - 0.5, low + 0.5))
    return tuple(found)


def stretch_from_text(text: str, bands: tuple[int, ...]) -> Ranges:
    """Return the stretch that ``min,max`` says, or ``min,max;min,max;min,max``."""
    try:
        pairs = [tuple(float(value) for value in part.split(",")) for part in text.split(";")]
    except ValueError:
        pairs = []
    count = len(bands) or len(pairs)
    pairs = pairs * count if len(pairs) == 1 and count in BANDS_SHOWN else pairs
    good = all(len(pair) == 2 and -inf < pair[0] < pair[1] < inf for pair in pairs)
    if len(pairs) != count or not good or not pairs:
        raise RasterRefused(
            tr(
                "The stretch '{text}' is none of: displayed; 2-98 %; min,max; or min,max;min,max;min,max "
                "with the smaller value first."
            ).format(text=text)
        )
    return tuple(pairs)  # type: ignore[arg-type]


def _check_crs(made: gdal.Dataset, file: RasterFile) -> None:
    """Refuse a CRS that a GeoTIFF cannot hold: what it reads back as lies elsewhere."""
    made.FlushCache()
    written = datasets.require(gdal.OpenEx(made.GetDescription(), gdal.OF_RASTER))
    found = written.GetSpatialRef() or written.GetGCPSpatialRef()
    meant = osr.SpatialReference()
    meant.ImportFromWkt(file.crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2019))
    if found is None or not _alike(found, meant, made):
        raise RasterRefused(
            tr(
                "A GeoTIFF cannot hold the CRS of '{name}', {crs}, in which the raster would travel. "
                "Warp it to another CRS first (Raster > Projections > Warp)."
            ).format(name=file.name, crs=file.crs.userFriendlyIdentifier())
        )


def _alike(one: osr.SpatialReference, other: osr.SpatialReference, raster: gdal.Dataset) -> bool:
    """Say whether the corners of a raster are at one place in both CRSs, to a hundredth of a pixel."""
    for system in (one, other):
        system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    if one.IsSame(other):
        return True
    a, b, c, d, e, f = raster.GetGeoTransform()
    corners = [
        (a + b * x + c * y, d + e * x + f * y)
        for x in (0, raster.RasterXSize)
        for y in (0, raster.RasterYSize)
    ]
    try:
        there = osr.CoordinateTransformation(one, other).TransformPoints(corners)
    except RuntimeError:
        return False
    pixel = max(abs(b), abs(c), abs(e), abs(f))
    off = [max(abs(x - p), abs(y - q)) for (x, y), (p, q, *_) in zip(corners, there)]
    return bool(off) and max(off) < pixel / 100


def _stored(dataset: gdal.Dataset, number: int, pair: tuple[float, float]) -> tuple[float, float]:
    """Return the file's values that QGIS shows as ``pair``."""
    band = dataset.GetRasterBand(number)
    scale, offset = band.GetScale() or 1.0, band.GetOffset() or 0.0
    low, high = sorted((value - offset) / scale for value in pair)
    return low, high


def _right(box: Box) -> int:
    return box.col + box.width


def _bottom(box: Box) -> int:
    return box.row + box.height
