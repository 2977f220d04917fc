"""What a layout draws, as rings of a frame's pixels: areas as they are, lines and points as wide as they are.

Knows geometries and metres; not what they show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import shapely

from model_backend.arrays import Float64Array
from model_backend.raster.pixel_places import PixelPlaces, Unusable, whole_units
from model_backend.raster.region_outlines import RegionOutlines
from model_backend.raster.working_grid import WorkingGrid
from model_backend.schemas import REGION_UNITS, Frame, GroundSampleDistance

Shape = Literal["polygon", "line", "point"]

LEAST = 1.5  # pixels that a line or a point is wide at least, so that it is seen
_QUARTER = 3  # edges of a quarter of a circle
_SHAPES: Mapping[str, Shape] = {
    **dict.fromkeys(("Polygon", "MultiPolygon"), "polygon"),
    **dict.fromkeys(("LineString", "MultiLineString"), "line"),
    **dict.fromkeys(("Point", "MultiPoint"), "point"),
}


@dataclass(frozen=True)
class Drawn:
    """Rings as recipes have them; ``thickness`` in pixels; ``widened``: it would not have been seen."""

    rings: list[list[int]]
    thickness: float
    widened: bool = False


def shape_of(geometry: object) -> Shape:
    """Return what a geometry draws; raises Unusable."""
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    if not isinstance(kind, str):
        raise Unusable("has no geometry")
    if kind not in _SHAPES:
        raise Unusable(f"is a {kind[:40]}; a layout has polygons, lines and points")
    return _SHAPES[kind]


class LayoutShapes:
    """Places geometries of one CRS on a frame, or on the grid that an edit works on."""

    def __init__(self, places: PixelPlaces, gsd: GroundSampleDistance) -> None:
        self._places, self._outlines = places, RegionOutlines(places)
        self._metres = np.array([gsd.x, gsd.y])

    @classmethod
    def on(cls, crs: str, where: Frame | WorkingGrid, gsd: GroundSampleDistance) -> LayoutShapes:
        """Return what places a layout in ``crs``; raises InvalidInput if that is none."""
        if isinstance(where, WorkingGrid) and not where.own:
            gsd = GroundSampleDistance(x=where.transform.a, y=-where.transform.e)
        return cls(PixelPlaces(crs, where, "layout"), gsd)

    def area(self, geometry: object) -> Drawn:
        """Return a Polygon or MultiPolygon; raises Unusable."""
        rings = self._outlines.rings(geometry)
        corners = [np.array(ring, np.float64).reshape(-1, 2) / REGION_UNITS for ring in rings]
        return Drawn(rings, _thickness(corners))

    def line(self, geometry: object, metres: float) -> Drawn:
        """Return a LineString or MultiLineString of a width; raises Unusable."""
        paths = []
        for part in _parts(geometry, "LineString"):
            path = self._places.read(part)
            if len(path) < 2 or not (path != path[0]).any():
                raise Unusable("has a line of fewer than two places")
            paths.append(shapely.LineString(self._places.placed(path) * self._metres))
        width, widened = self._seen(metres)
        merged = shapely.line_merge(shapely.MultiLineString(paths))
        wide = shapely.buffer(merged, width / 2, quad_segs=_QUARTER, cap_style="flat", join_style="round")
        return Drawn(self._rings(wide), width / float(self._metres.max()), widened)

    def points(self, geometry: object, metres: float, is_round: bool) -> Drawn:
        """Return a Point or MultiPoint as discs or squares of a size; raises Unusable."""
        member = _member(geometry)
        places = self._places.read([member] if _type(geometry) == "Point" else member)
        if not len(places):
            raise Unusable("is empty: draw it, or leave it out")
        width, widened = self._seen(metres)
        dots = shapely.MultiPoint(self._places.pixels(places) * self._metres)
        wide = shapely.buffer(
            dots, width / 2, quad_segs=_QUARTER, cap_style="round" if is_round else "square"
        )
        return Drawn(self._rings(wide), width / float(self._metres.max()), widened)

    def _seen(self, metres: float) -> tuple[float, bool]:
        """Return a width in metres that is seen, and whether it is more than was asked for."""
        least = LEAST * float(self._metres.max())
        return max(metres, least), metres < least

    def _rings(self, shape: Any) -> list[list[int]]:
        """Return the rings of a shape in metres."""
        found = []
        for polygon in shapely.get_parts(shape):
            for ring in (polygon.exterior, *polygon.interiors):
                found.append(whole_units(shapely.get_coordinates(ring)[:-1] / self._metres))
        return found


def _type(geometry: object) -> object:
    return geometry.get("type") if isinstance(geometry, Mapping) else None


def _member(geometry: object) -> Any:
    return geometry.get("coordinates") if isinstance(geometry, Mapping) else None


def _parts(geometry: object, single: str) -> list[Any]:
    """Return the coordinates of a geometry's parts."""
    member = _member(geometry)
    found = [member] if _type(geometry) == single else member
    if not isinstance(found, list):
        raise Unusable("has no list of coordinates")
    if not found:
        raise Unusable("is empty: draw it, or leave it out")
    return found


def _thickness(rings: list[Float64Array]) -> float:
    """Return about how wide the largest area is: of a strip its width, of a disc half of its diameter."""
    largest = max((shapely.Polygon(ring) for ring in rings), key=lambda one: float(one.area))
    return 2 * float(largest.area) / float(largest.length)
