"""Polygons as the pixels of a grid, for masks with more corners than a request may have.

Comes to the pixels that the backend makes of the same polygons: those whose centre lies in one, and of one
thinner than two pixels all that it touches. Held equal by a test. Any thread.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import numpy as np
from osgeo import gdal, ogr
from qgis.core import QgsGeometry, QgsRectangle

from text2earth_qgis.core.imagery import datasets, masks
from text2earth_qgis.core.imagery.datasets import Stop
from text2earth_qgis.core.imagery.masks import MaskPlacement, MaskPolygons
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Box

FINEST = 32  # parts of an edge, at most
LINES = 16  # lines across a polygon that its filled area is taken from
THIN = 1.0  # pixels: twice the area over the length of the outline, half of a thin polygon's width
AT_ONCE = 10_000  # polygons that are drawn together


@dataclass(frozen=True)
class _Polygon:
    """A polygon in columns and rows: as WKB, whether it is thin, the rows between which it lies."""

    wkb: bytes
    thin: bool
    top: float
    bottom: float


def write(shapes: MaskPolygons, placement: MaskPlacement, box: Box, path: Path, stop: Stop) -> Box:
    """Write where polygons lie on a grid to ``path``, 1 there and 0 elsewhere; return the pixels it has.

    ``box`` are the pixels around the polygons (``masks.polygons_to_send``). Raises ``PluginError``.
    """
    at = datasets.overlap(box, datasets.grown(placement.grid.box, 2 * placement.reach + 1))
    if at is None:
        raise masks.outside_raster()
    polygons = list(_placed(shapes, placement, stop))

    def ones(strip: Box) -> np.ndarray:
        canvas = datasets.require(
            gdal.GetDriverByName("MEM").Create("", strip.width, strip.height, 1, gdal.GDT_Byte)
        )
        canvas.SetGeoTransform((strip.col, 1.0, 0.0, strip.row, 0.0, 1.0))
        first, last = strip.row - 1, strip.row + strip.height + 1
        here = [one for one in polygons if one.bottom >= first and one.top <= last]
        for thin in (False, True):
            _burn(canvas, [one.wkb for one in here if one.thin == thin], thin, stop)
        return datasets.read(canvas.GetRasterBand(1), Box(0, 0, strip.width, strip.height))

    with datasets.gdal_errors(tr("The mask '{name}' cannot be drawn").format(name=shapes.name)):
        masks.write_mask(placement.grid, at, path, ones)
    return at


def _placed(shapes: MaskPolygons, placement: MaskPlacement, stop: Stop) -> Iterator[_Polygon]:
    """Yield the polygons in columns and rows."""
    corners = sum(
        shape.constGet().nCoordinates() for shape in masks.polygons_near_grid(shapes, placement, stop)
    )
    cuts = max(1, min(FINEST, masks.DENSE // max(1, corners))) - 1
    way = placement.way(shapes.crs)
    for shape in masks.polygons_near_grid(shapes, placement, stop):
        flat = masks.in_pixels(shape, way, cuts, shapes, placement)
        for part in flat.asGeometryCollection() if flat.isMultipart() else [flat]:
            part.get().dropZValue()
            part.get().dropMValue()
            box = part.boundingBox()
            yield _Polygon(bytes(part.asWkb()), _is_thin(part, box), box.yMinimum(), box.yMaximum())


def _burn(canvas: gdal.Dataset, polygons: list[bytes], thin: bool, stop: Stop) -> None:
    """Draw polygons, as WKB in columns and rows, on a canvas whose coordinates these are."""
    driver = ogr.GetDriverByName("Memory") or ogr.GetDriverByName("MEM")  # the one was merged into the other
    for begin in range(0, len(polygons), AT_ONCE):
        datasets.raise_if_stopped(stop)
        drawn = driver.CreateDataSource("")
        layer = drawn.CreateLayer("mask", geom_type=ogr.wkbPolygon)
        for polygon in polygons[begin : begin + AT_ONCE]:
            feature = ogr.Feature(layer.GetLayerDefn())
            feature.SetGeometryDirectly(ogr.CreateGeometryFromWkb(polygon))
            layer.CreateFeature(feature)
        options = ["ALL_TOUCHED=TRUE"] if thin else []
        datasets.require(gdal.RasterizeLayer(canvas, [1], layer, burn_values=[1], options=options))


def _is_thin(polygon: QgsGeometry, box: QgsRectangle) -> bool:
    """Say whether a polygon in columns and rows may slip between the centres of pixels."""
    most = THIN * polygon.length() / 2
    if box.area() <= most:  # as all do that are smaller than a pixel
        return True
    # The halves of a ring that crosses itself cancel out in its area, so what looks thin is measured again.
    return polygon.area() <= most and _filled(_rings(polygon)) <= most


def _rings(polygon: QgsGeometry) -> list[np.ndarray]:
    """Return the rings of a polygon, each (corners, 2)."""
    raw = bytes(polygon.asWkb())
    order, at = "<" if raw[0] else ">", 9
    rings = []
    for _ in range(struct.unpack_from(f"{order}I", raw, 5)[0]):
        corners = struct.unpack_from(f"{order}I", raw, at)[0]
        ring = np.frombuffer(raw, f"{order}f8", 2 * corners, at + 4).reshape(corners, 2)
        at += 4 + ring.nbytes
        if corners:
            rings.append(ring)
    return rings


def _filled(polygon: list[np.ndarray]) -> float:
    """Return the area that an even-odd fill paints, from a few lines across."""
    begin = np.concatenate([ring[:-1] for ring in polygon])
    end = np.concatenate([ring[1:] for ring in polygon])
    low, high = begin[:, 1].min(), begin[:, 1].max()
    across = 0.0
    for y in low + (np.arange(LINES) + 0.5) / LINES * (high - low):
        here = (begin[:, 1] <= y) != (end[:, 1] <= y)
        (x0, y0), (x1, y1) = begin[here].T, end[here].T
        xs = np.sort(x0 + (y - y0) / (y1 - y0) * (x1 - x0))
        across += float((xs[1::2] - xs[::2]).sum())
    return across / LINES * float(high - low)
