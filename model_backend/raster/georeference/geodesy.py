"""Measuring on the ground: geodesic lengths, scale of a CRS, outlines, the metric CRS of a place.

Lengths are geodesics on the ellipsoid of the CRS (Karney 2013, through ``pyproj.Geod``). Longitudes and
latitudes in here are degrees in x, y order, from the CRS's own prime meridian unless said otherwise. Knows no
pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import degrees, pi

import numpy as np
import pyproj
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import PolarStereographicAConversion, TransverseMercatorConversion
from pyproj.exceptions import ProjError

from model_backend.arrays import Float64Array
from model_backend.raster.georeference.crs import base_crs
from model_backend.raster.georeference.grids import Bounds

#: Points of an outline per edge: a bulge of 400 m between two corners is then met within a millimetre.
_PER_EDGE = 1000
_WGS84 = pyproj.CRS.from_epsg(4326)


class NotDefined(ValueError):
    """Coordinates cannot be transformed into the other CRS, or not in one piece."""


@lru_cache(maxsize=64)
def transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    """Return PROJ's best transformation between two CRSs, both in x, y order; raises NotDefined."""
    try:
        return pyproj.Transformer.from_crs(source, target, always_xy=True)
    except ProjError:
        raise NotDefined(f"nothing leads from {source.name} to {target.name}") from None


@dataclass(frozen=True)
class Scale:
    """Ground metres per unit of a CRS at one point: along x and y, and where it is most and least."""

    x: float
    y: float
    most: float
    least: float

    @property
    def mean(self) -> float:
        """Ground metres per unit that keep the area."""
        return float((self.most * self.least) ** 0.5)


def scale_at(crs: pyproj.CRS, x: float, y: float, unit: tuple[float, float]) -> Scale:
    """Return ground metres per ``unit`` (lengths along x and y, in CRS units) at a point of ``crs``.

    Raises NotDefined where the CRS has no scale (a pole in degrees, outside of its domain).
    """
    xs = x + np.array([0.0, -0.5, 0.5, 0.0, 0.0]) * unit[0]
    ys = y + np.array([0.0, 0.0, 0.0, -0.5, 0.5]) * unit[1]
    lon, lat = _degrees(crs, xs, ys)
    geod = _geod(crs)
    _, _, (east, up) = geod.inv(lon[[1, 3]], lat[[1, 3]], lon[[2, 4]], lat[[2, 4]])
    # Directions are those at the point itself: next to a pole they turn within a pixel.
    azimuths, _, _ = geod.inv(lon[[0, 0]], lat[[0, 0]], lon[[2, 4]], lat[[2, 4]])
    ax, ay = np.radians(azimuths)
    # Singular values of the map (unit x, unit y) -> ground, whose columns have these lengths and directions.
    square, cross = east**2 + up**2, 2 * east * up * abs(np.sin(ax - ay))
    most = ((square + cross) ** 0.5 + max(square - cross, 0.0) ** 0.5) / 2
    least = ((square + cross) ** 0.5 - max(square - cross, 0.0) ** 0.5) / 2
    if not (np.isfinite(most) and least > 1e-9):
        raise NotDefined("the CRS has no scale there")
    return Scale(x=float(east), y=float(up), most=float(most), least=float(least))


def _geod(crs: pyproj.CRS) -> pyproj.Geod:
    """Return the ellipsoid of ``crs`` for geodesic computations."""
    geod = crs.get_geod()
    if geod is None:
        raise NotDefined("the CRS has no ellipsoid")
    return geod


def _degrees(crs: pyproj.CRS, xs: Float64Array, ys: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return longitudes and latitudes in degrees on the datum of ``crs`` itself."""
    base = base_crs(crs)
    lon, lat = (xs, ys) if crs == base else transformer(crs, base).transform(xs, ys)
    factor = 180 / pi * base.axis_info[0].unit_conversion_factor
    lon, lat = np.asarray(lon) * factor, np.asarray(lat) * factor
    if not (np.isfinite(lon).all() and np.isfinite(lat).all() and (np.abs(lat) <= 90).all()):
        raise NotDefined("the coordinates lie outside of where the CRS is defined")
    return lon, lat


def wgs84(crs: pyproj.CRS, x: float, y: float) -> tuple[float, float]:
    """Return longitude (-180..180) and latitude of a point of ``crs`` in WGS 84; raises NotDefined."""
    lon, lat = transformer(crs, _WGS84).transform(x, y)
    if not (np.isfinite(lon) and np.isfinite(lat)):
        raise NotDefined("the coordinates lie outside of where the CRS is defined")
    return (lon + 180) % 360 - 180, lat


def outline(bounds: Bounds, per_edge: int = _PER_EDGE) -> tuple[Float64Array, Float64Array]:
    """Return x and y of points along the closed outline of ``bounds``, counterclockwise from the lower left.

    The same number of points on each edge, corners twice.
    """
    minx, miny, maxx, maxy = bounds
    xs, ys = np.linspace(minx, maxx, per_edge + 1), np.linspace(miny, maxy, per_edge + 1)
    low, high = np.full(per_edge + 1, miny), np.full(per_edge + 1, maxy)
    left, right = np.full(per_edge + 1, minx), np.full(per_edge + 1, maxx)
    return (
        np.concatenate([xs, right, xs[::-1], left]),
        np.concatenate([low, ys, high, ys[::-1]]),
    )


def project(bounds: Bounds, source: pyproj.CRS, target: pyproj.CRS) -> Bounds:
    """Return the bounds in ``target`` of the whole outline of ``bounds`` in ``source``.

    Raises NotDefined where the outline leaves the domain of ``target`` or jumps in it (at the antimeridian).
    """
    if source.equals(target, ignore_axis_order=True):
        return bounds
    x, y = outline(bounds)
    xs, ys = transformer(source, target).transform(x, y)
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise NotDefined("it lies outside of where the CRS is defined")
    for values in (xs, ys):
        steps = np.abs(np.diff(values.reshape(4, -1), axis=1))
        if (steps.max(axis=1) > 100 * np.median(steps, axis=1) + 1e-3 * (np.ptp(values) + 1e-9)).any():
            raise NotDefined("it is not in one piece there")
    return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())


def check_domain(bounds: Bounds, crs: pyproj.CRS) -> None:
    """Raise NotDefined unless every point of the outline comes back from the ellipsoid as it went."""
    x, y = outline(bounds, 20)
    base = base_crs(crs)
    if crs == base:
        return
    there = transformer(crs, base)
    lon, lat = there.transform(x, y)
    back = there.transform(lon, lat, direction="INVERSE")
    for before, after in zip((x, y), back, strict=True):
        if not (np.abs(np.asarray(after) - before) <= 1e-6 * (np.abs(before) + 1)).all():
            raise NotDefined("it lies outside of where the CRS is defined")


def spans(bounds: Bounds, crs: pyproj.CRS) -> tuple[float, float]:
    """Return the ground metres of ``bounds`` along its two middle lines; raises NotDefined."""
    minx, miny, maxx, maxy = bounds
    steps = np.linspace(0, 1, 41)
    middle_x, middle_y = np.full(41, (minx + maxx) / 2), np.full(41, (miny + maxy) / 2)
    geod = _geod(crs)
    across = geod.line_length(*_degrees(crs, minx + steps * (maxx - minx), middle_y))
    down = geod.line_length(*_degrees(crs, middle_x, miny + steps * (maxy - miny)))
    return float(across), float(down)


def utm_zone(lon: float, lat: float) -> int:
    """Return the UTM zone of a place, with the exceptions of Norway and Svalbard (DMA TM 8358.2)."""
    if 56 <= lat < 64 and 3 <= lon < 12:
        return 32
    if 72 <= lat < 84:
        for west, east, zone in ((0, 9, 31), (9, 21, 33), (21, 33, 35), (33, 42, 37)):
            if west <= lon < east:
                return zone
    return int((lon + 180) // 6) % 60 + 1


def _prime_meridian(base: pyproj.CRS) -> float:
    """Return the prime meridian of a geographic CRS in degrees east of Greenwich."""
    meridian = base.prime_meridian
    return degrees(meridian.longitude * float(meridian.unit_conversion_factor)) if meridian else 0.0


def metric_crs(lon: float, lat: float, crs: pyproj.CRS | None = None) -> pyproj.CRS:
    """Return the UTM zone of a place (longitude, latitude in WGS 84), beyond 84 N and 80 S the UPS.

    With ``crs``, the same projection on the datum of ``crs``, so that going between the two shifts no datum.
    """
    base = base_crs(crs) if crs is not None else _WGS84
    polar, south = not -80 <= lat < 84, lat < 0
    zone = utm_zone(lon, lat)
    if base.equals(_WGS84, ignore_axis_order=True):
        ups, utm = (5042, 32700) if south else (5041, 32600)
        return pyproj.CRS.from_epsg(ups if polar else utm + zone)
    letter = "S" if south else "N"
    meridian = 6 * zone - 183 - _prime_meridian(base)
    # PROJ takes a transverse Mercator with UTM's numbers for UTM, which has no spheres.
    sphere = base.ellipsoid is not None and base.ellipsoid.inverse_flattening == 0
    easting = 400_000 if sphere else 500_000
    conversion = (
        PolarStereographicAConversion(-90 if south else 90, 0, 2_000_000, 2_000_000, 0.994)
        if polar
        else TransverseMercatorConversion(0, meridian, easting, 10_000_000 if south else 0, 0.9996)
    )
    name = f"{base.name} / {'UPS ' + letter if polar else f'UTM zone {zone}{letter}'}"
    return ProjectedCRS(conversion=conversion, name=name, geodetic_crs=base)
