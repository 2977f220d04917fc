"""The outline of a region: from GeoJSON in any CRS to rings of a frame's pixels, in whole sixteenths.

What GEOS finds invalid is refused rather than guessed at. Knows polygons; no prompts and no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import shapely

from model_backend.arrays import Float64Array
from model_backend.raster.pixel_places import PixelPlaces, Unusable, whole_units


class RegionOutlines:
    """Places polygons of one CRS on a frame, or on the grid that an edit works on."""

    def __init__(self, places: PixelPlaces) -> None:
        self._places = places

    def rings(self, geometry: object) -> list[list[int]]:
        """Return the rings of a Polygon or MultiPolygon as ``schemas.Region`` has them; raises Unusable."""
        polygons = [[self._ring(ring) for ring in polygon] for polygon in _polygons(geometry)]
        polygons = [polygon for polygon in polygons if polygon]
        if not polygons:
            raise Unusable("is empty: draw it, or leave it out")
        _check(polygons)
        placed = [self._places.placed(ring) for polygon in polygons for ring in polygon]
        return [whole_units(ring[:-1]) for ring in placed]

    def _ring(self, ring: object) -> Float64Array:
        """Return the corners of a ring, x and y, the first one again at the end."""
        points = self._places.read(ring)
        if len(points) and (points[0] != points[-1]).any():
            points = np.concatenate([points, points[:1]])
        if len(points) < 4:
            raise Unusable("has a ring of fewer than three corners")
        return points


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


def _check(polygons: list[list[Float64Array]]) -> None:
    """Refuse what crosses itself, overlaps itself or has no area."""
    shapes = [shapely.Polygon(rings[0], rings[1:]) for rings in polygons]
    shape = shapely.MultiPolygon(shapes) if len(shapes) > 1 else shapes[0]
    reason = shapely.is_valid_reason(shape)
    if not shapely.is_valid(shape):
        raise Unusable(f"is no valid polygon ({reason}): repair its geometry")
    if not shape.area:
        raise Unusable("has no area")
