"""The mask of an edit: polygons of a layer, or a raster above zero; and where on the raster that lies.

Polygons travel as GeoJSON in the layer's own CRS (those with too many corners as ``mask_raster`` draws them),
rasters as a small file of zeros and ones in their own grid: which pixels that comes to, the backend decides.
Here only the box of the edited raster's pixels is found in which the mask lies, so that no more than that and
its surroundings is sent. Any thread.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Callable, Iterator, Optional, Union

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsAbstractFeatureSource,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeatureRequest,
    QgsFeatureSource,
    QgsGeometry,
    QgsPointXY,
    QgsRectangle,
    QgsWkbTypes,
)
from qgis.PyQt.QtGui import QTransform

from text2earth_qgis.core.crs import distance_area
from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery import datasets
from text2earth_qgis.core.imagery.datasets import Grid, RasterFile, Stop
from text2earth_qgis.core.imagery.rasters import crs_text
from text2earth_qgis.core.imagery.roles import MASK, Role
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Box, Json, Polygons

CUTS = 7  # corners of an edge more, where a straight line of the mask bends in the raster's CRS
DIGITS = 15
MOST = 900_000  # characters of GeoJSON: a request may have a little more
LEAST = 6  # characters of a corner, at least
AROUND = 5  # times the size of the raster that polygons are cut to
DENSE = 40_000  # corners that the edges of all polygons are cut into, where they bend on the way to the grid


@dataclass(frozen=True)
class MaskPolygons:
    """Polygons of a vector layer: ``source`` is a snapshot for any thread, ``ids`` a selection of it.

    ``role`` is what sentences say of them.
    """

    name: str
    source: Union[QgsAbstractFeatureSource, QgsFeatureSource]
    crs: QgsCoordinateReferenceSystem
    ids: Optional[frozenset[int]]
    role: Role = MASK


Mask = Union[MaskPolygons, RasterFile]


@dataclass(frozen=True)
class MaskPlacement:
    """The grid that masks are placed on, the user's transformations, and how far a mask is to grow (m)."""

    grid: Grid
    context: QgsCoordinateTransformContext
    grow: float = 0.0

    @property
    def reach(self) -> int:
        """Pixels by which the mask grows, at most."""
        return ceil(self.grow / min(ground_pixel(self.grid, self.context))) + 1 if self.grow else 0

    @property
    def to_pixels(self) -> QTransform:
        """The transformation from the grid's CRS to columns and rows."""
        x, a, b, y, c, d = gdal.InvGeoTransform(self.grid.transform)
        return QTransform(a, c, b, d, x, y)

    def way(self, crs: QgsCoordinateReferenceSystem) -> QgsCoordinateTransform:
        """Return the transformation from another CRS to the grid's."""
        return QgsCoordinateTransform(crs, self.grid.crs, self.context)


def polygons_to_send(
    shapes: MaskPolygons, placement: MaskPlacement, stop: Stop
) -> tuple[Optional[Polygons], Box]:
    """Return the polygons on the grid as they travel, and the pixels around them, some beyond the raster.

    None instead of the polygons if they are too much for a request. Raises ``RasterRefused`` with what to do.
    """
    found: list[Json] = []
    size, box, way = 0, None, placement.way(shapes.crs)
    for shape in polygons_near_grid(shapes, placement, stop):
        here = _around(shape, way, shapes, placement)
        box = here if box is None else datasets.union(box, here)
        least = size + LEAST * shape.constGet().nCoordinates()
        text = shape.asJson(DIGITS) if least <= MOST else ""
        size = max(least, size + len(text))
        if size <= MOST:
            found.append(json.loads(text))
        else:
            found.clear()
    geojson: Json = {"type": "GeometryCollection", "geometries": found}
    inside = _inside(box, placement, shapes.role)
    return Polygons(geojson, crs_text(shapes.crs)) if size <= MOST else None, inside


def polygons_near_grid(shapes: MaskPolygons, placement: MaskPlacement, stop: Stop) -> Iterator[QgsGeometry]:
    """Yield what of polygons may touch a grid. Raises ``RasterRefused`` if there are none anywhere."""
    request = QgsFeatureRequest().setSubsetOfAttributes([])
    if shapes.ids is not None:
        request.setFilterFids(list(shapes.ids))
    near, seen = None, False
    for feature in shapes.source.getFeatures(request):
        datasets.raise_if_stopped(stop)
        for shape in _polygons_in(feature.geometry()):
            if not seen and not shapes.crs.isValid():
                raise RasterRefused(shapes.role.without_crs.format(name=shapes.name))
            near, seen = near if seen else _near(shapes.crs, placement), True
            yield from _parts_near(shape, near, datasets.turn_of(shapes.crs))
    if not seen:
        said = shapes.role.empty if shapes.ids is None else shapes.role.none_selected
        raise RasterRefused(said.format(name=shapes.name))


def raster_mask(file: RasterFile, placement: MaskPlacement, path: Path, stop: Stop) -> Box:
    """Write the part of a mask raster that lies on the grid to ``path``; return the pixels around it.

    The copy is 1 where the first band is above zero and has a value. Raises ``RasterRefused``.
    """
    dataset, grid, box = _located(file, placement, stop)
    with datasets.gdal_errors(tr("The mask '{name}' cannot be read").format(name=file.name)):
        write_mask(grid, box, path, lambda strip: _above(dataset, strip))
    return _on_grid(file, grid, box, placement)


def box_around(mask: Mask, placement: MaskPlacement, stop: Stop) -> Box:
    """Return the pixels of the grid around a mask. Raises ``RasterRefused`` with what to do."""
    if isinstance(mask, MaskPolygons):
        return polygons_to_send(mask, placement, stop)[1]
    _dataset, grid, box = _located(mask, placement, stop)
    return _on_grid(mask, grid, box, placement)


def _located(file: RasterFile, placement: MaskPlacement, stop: Stop) -> tuple[gdal.Dataset, Grid, Box]:
    """Return a mask raster and those of its pixels around the mask, as far as that is on the grid."""
    dataset = file.open()
    grid = datasets.grid_of(dataset, file)
    back = MaskPlacement(grid, placement.context).way(placement.grid.crs)
    raster = datasets.grown(placement.grid.box, placement.reach + 1)
    part = datasets.overlap(_through(placement.grid, raster, back, grid, file.name), grid.box)
    if part is None:
        raise outside_raster()
    with datasets.gdal_errors(tr("The mask '{name}' cannot be read").format(name=file.name)):
        box = _ones(dataset, part, stop)
        if box is None:
            everywhere = part == grid.box or _ones(dataset, grid.box, stop) is None
            if everywhere:
                raise RasterRefused(
                    tr("The mask '{name}' is empty: no pixel of it is above zero.").format(name=file.name)
                )
            raise outside_raster()
    return dataset, grid, box


def _on_grid(file: RasterFile, grid: Grid, box: Box, placement: MaskPlacement) -> Box:
    """Return the pixels of the grid around those of a mask raster."""
    there = _through(grid, box, placement.way(file.crs), placement.grid, file.name)
    return _inside(there, placement)


def outside_raster(role: Role = MASK) -> RasterRefused:
    """Return the error for a mask, or another area, that does not touch the raster."""
    return RasterRefused(role.outside)


def ground_pixel(grid: Grid, context: QgsCoordinateTransformContext) -> tuple[float, float]:
    """Return ground metres of a column and of a row in the middle of a grid, roughly: for margins only."""
    x0, a, b, y0, d, e = grid.transform
    x = x0 + a * grid.width / 2 + b * grid.height / 2
    y = y0 + d * grid.width / 2 + e * grid.height / 2
    sizes = []
    area = distance_area(grid.crs, context)
    for step_x, step_y in ((a, d), (b, e)):
        try:
            found = area.measureLine(QgsPointXY(x, y), QgsPointXY(x + step_x, y + step_y))
        except QgsCsException as error:
            raise RasterRefused(tr("The raster's CRS is not defined where the raster lies.")) from error
        sizes.append(found)
    if not all(np.isfinite(size) and size > 0 for size in sizes):
        raise RasterRefused(tr("The raster's CRS is not defined where the raster lies."))
    return sizes[0], sizes[1]


def _polygons_in(shape: QgsGeometry) -> Iterator[QgsGeometry]:
    """Yield a polygon, or those of a collection of all kinds of geometries."""
    kind = QgsWkbTypes.GeometryType
    if shape.isEmpty():
        return
    if shape.type() == kind.PolygonGeometry:
        yield shape
    elif shape.type() == kind.UnknownGeometry:
        for part in shape.asGeometryCollection():
            yield from _polygons_in(part)


def _parts_near(shape: QgsGeometry, near: Optional[QgsRectangle], turn: float) -> Iterator[QgsGeometry]:
    """Yield what of a polygon is near a box, its longitudes counted as the box's.

    Of one as large as a country or the world no more is taken than a few times the box: far away it may have
    no place in the raster's CRS.
    """
    if near is None:
        yield shape
        return
    box = shape.boundingBox()
    for turns in (0, -1, 1) if turn else (0,):
        here = QgsRectangle(near)
        here.setXMinimum(near.xMinimum() + turns * turn)
        here.setXMaximum(near.xMaximum() + turns * turn)
        if not here.intersects(box):
            continue
        here.scale(AROUND)
        part = shape
        if not here.contains(box) and shape.isGeosValid():
            part = shape.clipped(here)
        if turns:
            part = QgsGeometry(part)
            part.translate(-turns * turn, 0)
        if not part.isEmpty():
            yield part


def _near(crs: QgsCoordinateReferenceSystem, placement: MaskPlacement) -> Optional[QgsRectangle]:
    """Return a box of the mask's CRS beyond which nothing touches the raster, None if there is none."""
    way = QgsCoordinateTransform(placement.grid.crs, crs, placement.context)
    box = datasets.grown(placement.grid.box, placement.reach + 1)
    points = [QgsPointXY(*point) for point in placement.grid.outline(box)]
    try:
        found = [way.transform(point) for point in points]
    except QgsCsException:
        return None
    xs, ys = [point.x() for point in found], [point.y() for point in found]
    if not np.isfinite(xs + ys).all():
        return None
    near = QgsRectangle(min(xs), min(ys), max(xs), max(ys))
    near.scale(1.05)
    return near


def _around(
    shape: QgsGeometry, way: QgsCoordinateTransform, shapes: MaskPolygons, placement: MaskPlacement
) -> Box:
    """Return the pixels around a polygon."""
    cuts = min(CUTS, DENSE // max(1, shape.constGet().nCoordinates()))
    box = in_pixels(shape, way, cuts, shapes, placement).boundingBox()
    turn = datasets.turn_of(placement.grid.crs) / abs(placement.grid.transform[1] or 1)
    if turn and box.width() > turn / 2:  # it crosses the antimeridian: it may be anywhere on the raster
        return datasets.grown(placement.grid.box, placement.reach)
    try:
        return datasets.box_between(box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
    except ValueError as error:
        raise _nowhere(shapes) from error


def in_pixels(
    shape: QgsGeometry,
    way: QgsCoordinateTransform,
    cuts: int,
    shapes: MaskPolygons,
    placement: MaskPlacement,
) -> QgsGeometry:
    """Return a polygon in columns and rows, its edges with ``cuts`` corners more, so that they can bend."""
    placed = QgsGeometry(shape)
    if not way.isShortCircuited():
        placed = shape.densifyByCount(cuts) if cuts else placed
        try:
            placed.transform(way)
        except QgsCsException as error:
            raise _nowhere(shapes) from error
        if placement.grid.crs.isGeographic():
            middle = placed.boundingBox().center().x()
            placed.translate(float(placement.grid.near(np.array(middle))) - middle, 0)
    placed.convertToStraightSegment()
    placed.transform(placement.to_pixels)
    return placed


def _nowhere(shapes: MaskPolygons) -> RasterRefused:
    return RasterRefused(shapes.role.misplaced.format(name=shapes.name))


def _inside(box: Optional[Box], placement: MaskPlacement, role: Role = MASK) -> Box:
    """Return the box of a mask if the mask, grown, touches the raster."""
    if box is None or datasets.overlap(datasets.grown(box, placement.reach), placement.grid.box) is None:
        raise outside_raster(role)
    return box


def _through(grid: Grid, box: Box, way: QgsCoordinateTransform, other: Grid, name: str) -> Box:
    """Return the pixels of another grid around a box of a grid."""
    try:
        points = [way.transform(QgsPointXY(*point)) for point in grid.outline(box)]
        return datasets.box_around(other.pixels([(point.x(), point.y()) for point in points]))
    except (QgsCsException, ValueError) as error:
        sentence = tr("The mask '{name}' and the raster have CRSs that do not meet. Check both.").format(
            name=name
        )
        raise RasterRefused(sentence) from error


def _ones(dataset: gdal.Dataset, part: Box, stop: Stop) -> Optional[Box]:
    """Return the smallest box around the mask in a part of its raster, None if there is no mask."""
    found = None
    for strip in datasets.strips(part, part.width * 8):
        datasets.raise_if_stopped(stop)
        if _empty(dataset, strip):
            continue
        rows, cols = np.nonzero(_above(dataset, strip))
        if len(rows):
            low, high = (int(cols.min()), int(rows.min())), (int(cols.max()), int(rows.max()))
            here = Box(part.col + low[0], strip.row + low[1], high[0] - low[0] + 1, high[1] - low[1] + 1)
            found = here if found is None else datasets.union(found, here)
    return found


def _empty(dataset: gdal.Dataset, box: Box) -> bool:
    """Say whether the file has no pixels stored in a box: of large masks most is not."""
    flags = dataset.GetRasterBand(1).GetDataCoverageStatus(box.col, box.row, box.width, box.height)[0]
    return flags == gdal.GDAL_DATA_COVERAGE_STATUS_EMPTY


def _above(dataset: gdal.Dataset, box: Box) -> np.ndarray:
    band = dataset.GetRasterBand(1)
    return (datasets.read(band, box) > 0) & (datasets.read(band.GetMaskBand(), box) > 0)


def write_mask(grid: Grid, box: Box, path: Path, ones: Callable[[Box], np.ndarray]) -> None:
    """Write a box of a grid to ``path``, by strips: ``ones`` returns where the mask is in one."""
    options = ["TILED=YES", "COMPRESS=DEFLATE", "SPARSE_OK=TRUE", "BIGTIFF=IF_SAFER"]
    driver = gdal.GetDriverByName("GTiff")
    made = datasets.require(driver.Create(str(path), box.width, box.height, 1, gdal.GDT_Byte, options))
    a, b, c, d, e, f = grid.transform
    x, y = a + b * box.col + c * box.row, d + e * box.col + f * box.row
    made.SetGeoTransform((x, b, c, y, e, f))
    made.SetProjection(grid.crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2019))
    for strip in datasets.strips(box, box.width * 8):
        here = ones(strip).astype("u1").tobytes()
        there = strip.row - box.row
        datasets.require(made.GetRasterBand(1).WriteRaster(0, there, strip.width, strip.height, here))
    made = None
    datasets.require_written()
