"""The land that a raster is to be extended by, in pixels of the raster's own grid, endless on all sides.

What is sent of the raster is what lies around that land, as for an edit; so the raster's far sides never
travel. The backend paints what lies beyond the part it gets, and pixels of it without a value: the extent
that is sent with a part therefore ends where the new land does. Any thread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsPointXY,
    QgsRectangle,
)

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery import datasets
from text2earth_qgis.core.imagery.datasets import Grid, Stop
from text2earth_qgis.core.imagery.rasters import extent_of
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Box, Extent

PARTS = 10  # parts of an edge of the extent, which bends on its way
NEAR = 1e-3  # pixels by which an extent may miss a pixel's edge and still mean it
FARTHEST = 2**20  # pixels beyond the raster: no backend makes so much


@dataclass(frozen=True)
class Extension:
    """The extent that a raster is to cover besides its own, and whether its holes in there are filled."""

    extent: QgsRectangle
    crs: QgsCoordinateReferenceSystem
    fill_holes: bool


@dataclass(frozen=True)
class ExtensionArea:
    """New land on a raster: ``box`` holds all pixels to paint, ``whole`` all pixels of the result.

    Boxes are pixels of the raster, and may begin left of or above it. ``extent`` and ``fill_holes`` are what
    says so to a backend that has only a part of the raster.
    """

    box: Box
    whole: Box
    extent: Extent
    fill_holes: bool


def extension_area(
    extension: Extension,
    dataset: gdal.Dataset,
    grid: Grid,
    context: QgsCoordinateTransformContext,
    stop: Stop,
) -> ExtensionArea:
    """Return where new land lies on a raster. Raises ``RasterRefused`` with what to do."""
    wanted = pixels_of(extension, grid, context)
    if datasets.overlap(datasets.grown(wanted, 1), grid.box) is None:
        raise RasterRefused(
            tr(
                "The extent does not touch the raster, so there is nothing to continue. Draw it so that "
                "it overlaps the raster."
            )
        )
    whole = datasets.union(grid.box, wanted)
    inside = datasets.overlap(wanted, grid.box)
    holes = extension.fill_holes and inside is not None and _has_holes(dataset, inside, stop)
    parts = [*_sides(grid.box, whole), *([wanted] if holes else [])]
    if not parts:
        raise RasterRefused(
            tr(
                "Every pixel of the extent has a value already: there is nothing to make. Draw the "
                "extent beyond the raster, or use Edit imagery to change what is there."
            )
        )
    box = parts[0]
    for part in parts[1:]:
        box = datasets.union(box, part)
    _, _, turn_x, _, turn_y, _ = grid.transform
    if holes or turn_x or turn_y:  # holes of the extent count; and a box of turned pixels is no extent
        return ExtensionArea(
            datasets.union(box, wanted), whole, extent_of(extension.extent, extension.crs), holes
        )
    left, width, _, top, _, height = grid.transform
    near, far = (
        QgsPointXY(left + box.col * width, top + box.row * height),
        QgsPointXY(left + (box.col + box.width) * width, top + (box.row + box.height) * height),
    )
    return ExtensionArea(box, whole, extent_of(QgsRectangle(near, far), grid.crs), False)


def pixels_of(extension: Extension, grid: Grid, context: QgsCoordinateTransformContext) -> Box:
    """Return the smallest box of the grid around an extent. Raises ``RasterRefused``."""
    way = QgsCoordinateTransform(extension.crs, grid.crs, context)
    share = np.linspace(0, 1, PARTS + 1)
    x = extension.extent.xMinimum() + share * extension.extent.width()
    y = extension.extent.yMinimum() + share * extension.extent.height()
    edges = [(one, side) for one in x for side in (y[0], y[-1])] + [
        (side, one) for one in y for side in (x[0], x[-1])
    ]
    try:
        points = [way.transform(QgsPointXY(*point)) for point in edges]
        found = grid.pixels([(point.x(), point.y()) for point in points])
    except QgsCsException as error:
        raise RasterRefused(tr("The extent reaches to where the raster's CRS is not defined.")) from error
    if not np.isfinite(found).all():
        raise RasterRefused(tr("The extent reaches to where the raster's CRS is not defined."))
    low, high = (
        found.min(0).clip(-FARTHEST, None),
        found.max(0).clip(None, max(grid.width, grid.height) + FARTHEST),
    )
    col, row = (int(value) for value in np.floor(low + NEAR))
    right, bottom = (int(value) for value in np.ceil(high - NEAR))
    return Box(col, row, max(1, right - col), max(1, bottom - row))


def _sides(raster: Box, whole: Box) -> list[Box]:
    """Return the parts of the whole beyond the raster, side by side and maybe overlapping."""
    right, bottom = whole.col + whole.width, whole.row + whole.height
    spans = (
        (whole.col, whole.row, whole.width, -whole.row),
        (whole.col, raster.height, whole.width, bottom - raster.height),
        (whole.col, whole.row, -whole.col, whole.height),
        (raster.width, whole.row, right - raster.width, whole.height),
    )
    return [Box(*span) for span in spans if span[2] > 0 and span[3] > 0]


def _has_holes(dataset: gdal.Dataset, box: Box, stop: Stop) -> bool:
    """Say whether any pixel of a box may have no value."""
    bands = [dataset.GetRasterBand(number + 1) for number in range(dataset.RasterCount)]
    real = [band for band in bands if gdal.GetDataTypeName(band.DataType).startswith("Float")]
    masked = [band for band in bands if band.GetMaskFlags() != gdal.GMF_ALL_VALID]
    for strip in datasets.strips(box, box.width * 8) if real or masked else ():
        datasets.raise_if_stopped(stop)
        with datasets.gdal_errors(tr("The raster cannot be read")):
            if any((datasets.read(band.GetMaskBand(), strip) == 0).any() for band in masked):
                return True
            if not all(np.isfinite(datasets.read(band, strip)).all() for band in real):
                return True
    return False
