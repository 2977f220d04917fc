"""The outline of a raster as GeoJSON (RFC 7946): WGS 84, split at the antimeridian, closed over a pole."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pyproj

from model_backend.raster.georeference.geodesy import outline, transformer
from model_backend.raster.georeference.grids import Bounds

Ring = list[tuple[float, float]]

_PER_EDGE = 16


def footprint(bounds: Bounds, crs: pyproj.CRS) -> tuple[dict[str, Any], list[float]]:
    """Return the geometry of ``bounds`` (in ``crs``, x and y) and its bounding box west, south, east, north.

    A box over the antimeridian has west > east; one around a pole takes in every longitude.
    """
    lon, lat = transformer(crs, pyproj.CRS.from_epsg(4326)).transform(*outline(bounds, _PER_EDGE))
    lon = np.unwrap(np.asarray(lon), period=360)
    south, north = float(min(lat)), float(max(lat))
    if abs(lon[-1] - lon[0]) > 180:
        south, north = (south, 90.0) if north > 0 else (-90.0, north)
        return _geometry([_rectangle(south, north)]), [-180.0, south, 180.0, north]
    lon -= 360 * np.floor((lon.min() + 180) / 360)
    ring = list(zip(lon.tolist(), lat, strict=True))
    west, east = float(lon.min()), float(lon.max())
    if east <= 180:
        return _geometry([ring]), [west, south, east, north]
    beyond = [(x - 360, y) for x, y in _clip(ring, east_of=True)]
    return _geometry([_clip(ring, east_of=False), beyond]), [west, south, east - 360, north]


def _rectangle(south: float, north: float) -> Ring:
    """Return the ring around all longitudes between two latitudes."""
    return [(-180.0, south), (180.0, south), (180.0, north), (-180.0, north), (-180.0, south)]


def _clip(ring: Ring, east_of: bool) -> Ring:
    """Return the part of a ring on one side of longitude 180 (Sutherland and Hodgman 1974)."""
    kept: Ring = []
    for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True):
        inside0, inside1 = (x0 >= 180) == east_of, (x1 >= 180) == east_of
        if inside0:
            kept.append((x0, y0))
        if inside0 != inside1:
            kept.append((180.0, y0 + (180 - x0) / (x1 - x0) * (y1 - y0)))
    return [*kept, kept[0]]


def _geometry(rings: list[Ring]) -> dict[str, Any]:
    """Return rings as a Polygon or MultiPolygon, counterclockwise, at a millimetre, without repeats."""
    rounded = [[(round(x, 8), round(y, 8)) for x, y in _counterclockwise(ring)] for ring in rings]
    polygons = [[[list(point) for point, _ in groupby(ring)]] for ring in rounded]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _counterclockwise(ring: Ring) -> Ring:
    """Return ``ring`` in the order that RFC 7946 asks of an outer ring."""
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, ring[1:], strict=False))
    return ring if area >= 0 else ring[::-1]
