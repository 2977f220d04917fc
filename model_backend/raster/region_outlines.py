"""The outline of a region: from GeoJSON in any CRS to rings of a frame's pixels, in whole sixteenths.

An edge that is straight in the caller's CRS bends in another one: it is cut until it is met within a quarter
of a pixel. What GEOS finds invalid is refused rather than guessed at. Knows geometries, CRSs and frames; no
prompts and no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import pi
from typing import Any

import numpy as np
import shapely
from affine import Affine
from pyproj.exceptions import ProjError

from model_backend.arrays import Float64Array
from model_backend.raster.georeference import geodesy
from model_backend.raster.georeference.crs import parse_crs, parse_reference
from model_backend.raster.working_grid import WorkingGrid
from model_backend.schemas import REGION_UNITS, Frame

_BENT = 0.25  # pixels that a cut edge may lie beside its curve
_ROUNDS = 12  # of cutting every edge in two where it bends
_MOST_CUT = 100_000  # corners of one polygon, cut
_FARTHEST = 2**40  # pixels or units; beyond, coordinates have no digits left


class Unusable(ValueError):
    """A geometry cannot be a region; the message continues a sentence that begins with its name."""


def corners(geometry: object) -> int:
    """Count the corners of a geometry, whatever else is wrong with it."""
    if not isinstance(geometry, list):
        return sum(map(corners, geometry.values())) if isinstance(geometry, Mapping) else 0
    if geometry and not isinstance(geometry[0], list | Mapping):
        return 1
    return sum(map(corners, geometry))


class RegionOutlines:
    """Places geometries of one CRS on a frame, or on the grid that an edit works on."""

    def __init__(self, crs: str, where: Frame | WorkingGrid) -> None:
        """Raise InvalidInput if ``crs`` is none."""
        self._reference = parse_reference(crs, "regions.crs")
        if isinstance(where, WorkingGrid):
            self._target, self._transform = where.crs, where.transform
        else:
            (width, height), (x, y) = map(float, where.pixel_size), where.anchor
            self._target = parse_crs(where.crs, "crs")
            self._transform = Affine(width, 0, x, 0, -height, y)
        self._same = self._reference.crs.equals(self._target, ignore_axis_order=True)

    def rings(self, geometry: object) -> list[list[int]]:
        """Return the rings of a Polygon or MultiPolygon as ``schemas.Region`` has them; raises Unusable."""
        polygons = [[self._ring(ring) for ring in polygon] for polygon in _polygons(geometry)]
        polygons = [polygon for polygon in polygons if polygon]
        if not polygons:
            raise Unusable("is empty: draw it, or leave it out")
        _check(polygons)
        placed = [self._place(ring) for polygon in polygons for ring in polygon]
        return [np.rint(ring[:-1] * REGION_UNITS).astype(np.int64).ravel().tolist() for ring in placed]

    def _ring(self, ring: object) -> Float64Array:
        """Return the corners of a ring, x and y, the first one again at the end."""
        if not isinstance(ring, list) or not all(_is_point(point) for point in ring):
            raise Unusable("has coordinates that are not lists of two or more numbers")
        points = np.array([point[:2] for point in ring], np.float64).reshape(-1, 2)
        if not np.isfinite(points).all():
            raise Unusable("has coordinates that are not finite")
        if np.abs(points).max(initial=0) > _FARTHEST:
            raise self._outside()
        if len(points) and (points[0] != points[-1]).any():
            points = np.concatenate([points, points[:1]])
        if len(points) < 4:
            raise Unusable("has a ring of fewer than three corners")
        return points[:, ::-1] if self._reference.swapped else points

    def _place(self, ring: Float64Array) -> Float64Array:
        """Return a ring in pixels (column, row) of the frame, cut where it bends."""
        placed = self._pixels(ring)
        for _ in range(0 if self._same else _ROUNDS):
            middle = (ring[:-1] + ring[1:]) / 2
            there = self._pixels(middle)
            beside = np.abs(there - (placed[:-1] + placed[1:]) / 2).max(1)
            bent = np.flatnonzero(beside > _BENT)
            if not len(bent):
                break
            ring = np.insert(ring, bent + 1, middle[bent], axis=0)
            placed = np.insert(placed, bent + 1, there[bent], axis=0)
            if len(ring) > _MOST_CUT:
                raise Unusable("is too large: cut it to the surroundings of the extent")
        return placed

    def _pixels(self, points: Float64Array) -> Float64Array:
        found = points if self._same else self._project(points)
        pixels: Float64Array = np.stack(~self._transform @ (found[:, 0], found[:, 1]), axis=1)
        if not np.isfinite(pixels).all() or np.abs(pixels).max() > _FARTHEST:
            raise self._outside()
        return pixels

    def _project(self, points: Float64Array) -> Float64Array:
        """Return points in the frame's CRS, if they come back from there as they went."""
        try:
            way = geodesy.transformer(self._reference.crs, self._target)
            found = way.transform(points[:, 0], points[:, 1])
            back = np.stack(way.transform(*found, direction="INVERSE"), axis=1)
        except (geodesy.NotDefined, ProjError):
            raise self._outside() from None
        off = np.abs(back - points)
        if self._reference.crs.is_geographic:  # a longitude may come back a full turn later
            turn = 2 * pi / self._reference.crs.axis_info[0].unit_conversion_factor
            off[:, 0] = np.minimum(off[:, 0], np.abs(off[:, 0] - turn))
        if not (off <= 1e-6 * (np.abs(points) + 1)).all():
            raise self._outside()
        return np.stack(found, axis=1)

    def _outside(self) -> Unusable:
        name = self._target.name
        return Unusable(
            f"reaches beyond where {name} is defined: check `regions.crs`, or cut it to the extent's "
            "surroundings"
        )


def _polygons(geometry: object) -> Iterable[list[Any]]:
    """Return the lists of rings of a geometry."""
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    if not isinstance(geometry, Mapping) or kind not in ("Polygon", "MultiPolygon"):
        what = f"is a {kind[:40]}" if isinstance(kind, str) else "has no geometry"
        raise Unusable(f"{what}; a region is a Polygon or MultiPolygon")
    member = geometry.get("coordinates")
    found = [member] if kind == "Polygon" else member
    if not isinstance(found, list) or not all(isinstance(polygon, list) for polygon in found):
        raise Unusable("has no list of coordinates")
    return found


def _is_point(point: object) -> bool:
    return (
        isinstance(point, list)
        and len(point) >= 2
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in point[:2])
    )


def _check(polygons: list[list[Float64Array]]) -> None:
    """Refuse what crosses itself, overlaps itself or has no area."""
    shapes = [shapely.Polygon(rings[0], rings[1:]) for rings in polygons]
    shape = shapely.MultiPolygon(shapes) if len(shapes) > 1 else shapes[0]
    reason = shapely.is_valid_reason(shape)
    if not shapely.is_valid(shape):
        raise Unusable(f"is no valid polygon ({reason}): repair its geometry")
    if not shape.area:
        raise Unusable("has no area")
