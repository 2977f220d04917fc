"""Polygons as the pixels of a grid, for masks with more corners than a request may have.

Comes to the pixels that the backend makes of the same polygons: those whose centre lies in one, and of one
thinner than two pixels all that it touches. Held equal by a test. Any thread.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Iterator

import numpy as np
from osgeo import gdal, ogr
from qgis.core import QgsGeometry

from text2earth_qgis.core.imagery import datasets, masks
from text2earth_qgis.core.imagery.datasets import Stop
from text2earth_qgis.core.imagery.masks import MaskPlacement, MaskPolygons
from text2earth_qgis.core.wire.schemas import Box

Polygon = list[np.ndarray]  # rings, (n, 2), in columns and rows

FINEST = 32  # parts of an edge, at most
LINES = 16  # lines across a polygon that its filled area is taken from
THIN = 1.0  # pixels: twice the area over the length of the outline, half of a thin polygon's width
AT_ONCE = 100_000  # corners that are burnt together


def write(shapes: MaskPolygons, placement: MaskPlacement, box: Box, path: Path, stop: Stop) -> Box:
    """Write where polygons lie on a grid to ``path``, 1 there and 0 elsewhere; return the pixels it has.

    ``box`` are the pixels around the polygons (``masks.polygons_to_send``). Raises ``PluginError``.
    """
    at = datasets.overlap(box, datasets.grown(placement.grid.box, 2 * placement.reach + 1))
    if at is None:
        raise masks.outside_raster()
    corners = sum(
        shape.constGet().nCoordinates() for shape in masks.polygons_near_grid(shapes, placement, stop)
    )
    cuts = max(1, min(FINEST, masks.DENSE // max(1, corners))) - 1

    def ones(strip: Box) -> np.ndarray:
        canvas = datasets.require(
            gdal.GetDriverByName("MEM").Create("", strip.width, strip.height, 1, gdal.GDT_Byte)
        )
        canvas.SetGeoTransform((strip.col, 1.0, 0.0, strip.row, 0.0, 1.0))
        batch: dict[bool, list[Polygon]] = {False: [], True: []}
        held = 0
        for polygon in _placed(shapes, placement, cuts, stop):
            batch[_is_thin(polygon)].append(polygon)
            held += sum(map(len, polygon))
            if held > AT_ONCE:
                _burn(canvas, batch, stop)
                batch, held = {False: [], True: []}, 0
        _burn(canvas, batch, stop)
        return datasets.read(canvas.GetRasterBand(1), Box(0, 0, strip.width, strip.height))

    with datasets.gdal_errors(f"The mask '{shapes.name}' cannot be drawn"):
        masks.write_mask(placement.grid, at, path, ones)
    return at


def _placed(shapes: MaskPolygons, placement: MaskPlacement, cuts: int, stop: Stop) -> Iterator[Polygon]:
    way = placement.way(shapes.crs)
    for shape in masks.polygons_near_grid(shapes, placement, stop):
        for polygon in _polygons(masks.transformed(shape, way, cuts, shapes)):
            yield [placement.grid.pixels(ring) for ring in polygon]


def _polygons(shape: QgsGeometry) -> Iterator[Polygon]:
    """Yield the polygons of a geometry, their corners in its own coordinates."""
    flat = QgsGeometry(shape)
    flat.convertToStraightSegment()
    for part in flat.asGeometryCollection() if flat.isMultipart() else [flat]:
        part.get().dropZValue()
        part.get().dropMValue()
        raw = bytes(part.asWkb())
        order, count = "<" if raw[0] else ">", 9
        rings = []
        for _ in range(struct.unpack_from(f"{order}I", raw, 5)[0]):
            corners = struct.unpack_from(f"{order}I", raw, count)[0]
            ring = np.frombuffer(raw, f"{order}f8", 2 * corners, count + 4).reshape(corners, 2)
            count += 4 + ring.nbytes
            if corners:
                rings.append(ring)
        if rings:
            yield rings


def _burn(canvas: gdal.Dataset, batch: dict[bool, list[Polygon]], stop: Stop) -> None:
    """Draw polygons, thin and other ones, on a canvas whose coordinates are columns and rows."""
    driver = ogr.GetDriverByName("Memory") or ogr.GetDriverByName("MEM")  # the one was merged into the other
    for thin, polygons in batch.items():
        datasets.raise_if_stopped(stop)
        if not polygons:
            continue
        drawn = driver.CreateDataSource("")
        layer = drawn.CreateLayer("mask", geom_type=ogr.wkbPolygon)
        for polygon in polygons:
            feature = ogr.Feature(layer.GetLayerDefn())
            feature.SetGeometryDirectly(ogr.CreateGeometryFromWkb(_wkb(polygon)))
            layer.CreateFeature(feature)
        options = ["ALL_TOUCHED=TRUE"] if thin else []
        datasets.require(gdal.RasterizeLayer(canvas, [1], layer, burn_values=[1], options=options))


def _wkb(polygon: Polygon) -> bytes:
    rings = (struct.pack("<I", len(ring)) + ring.astype("<f8").tobytes() for ring in polygon)
    return struct.pack("<BII", 1, 3, len(polygon)) + b"".join(rings)


def _is_thin(polygon: Polygon) -> bool:
    """Say whether a polygon may slip between the centres of pixels."""
    area = length = 0.0
    for ring in polygon:
        x, y = (ring - ring.mean(0)).T
        area += (1 if not area else -1) * abs(float(x[:-1] @ y[1:] - x[1:] @ y[:-1])) / 2
        length += float(np.hypot(np.diff(x), np.diff(y)).sum())
    # The halves of a ring that crosses itself cancel out above, so what looks thin is measured again.
    return 2 * area <= THIN * length and 2 * _filled(polygon) <= THIN * length


def _filled(polygon: Polygon) -> float:
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
