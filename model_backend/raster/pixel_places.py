"""Where the coordinates of a drawing lie on a frame's pixels, whatever its CRS.

An edge that is straight in the caller's CRS bends in another one: it is cut until it is met within a quarter
of a pixel. Knows coordinates, CRSs and frames; not what they are the corners of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
import pyproj
from affine import Affine
from pyproj.exceptions import ProjError

from model_backend.arrays import Float64Array
from model_backend.raster.georeference import geodesy
from model_backend.raster.georeference.crs import parse_crs, parse_reference
from model_backend.raster.working_grid import WorkingGrid
from model_backend.schemas import REGION_UNITS, Box, Frame

_BENT = 0.25  # pixels that a cut edge may lie beside its curve
_ROUNDS = 12  # of cutting every edge in two where it bends
_MOST_CUT = 100_000  # corners of one polygon, cut
_FARTHEST = 2**40  # pixels or units; beyond, coordinates have no digits left


class Unusable(ValueError):
    """A geometry cannot be used; the message continues a sentence that begins with its name."""


def corners(geometry: object) -> int:
    """Count the corners of a geometry, whatever else is wrong with it."""
    if not isinstance(geometry, list):
        return sum(map(corners, geometry.values())) if isinstance(geometry, Mapping) else 0
    if geometry and not isinstance(geometry[0], list | Mapping):
        return 1
    return sum(map(corners, geometry))


def whole_units(points: Float64Array) -> list[int]:
    """Return column, row, column, row, ... of points in pixels, as recipes have them."""
    units: list[int] = np.rint(points * REGION_UNITS).astype(np.int64).ravel().tolist()
    return units


@dataclass(frozen=True)
class RingBounds:
    """The box around rings as recipes have them, in pixels of the frame."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, rings: Sequence[Sequence[int]]) -> RingBounds:
        """Return the bounds of rings, each column, row, column, row, ... of its corners."""
        cols = [value for ring in rings for value in ring[::2]]
        rows = [value for ring in rings for value in ring[1::2]]
        return cls(*(n / REGION_UNITS for n in (min(cols), min(rows), max(cols), max(rows))))

    @property
    def size(self) -> float:
        """Pixels along the longer side."""
        return max(self.right - self.left, self.bottom - self.top)

    def touches(self, box: Box, margin: float = 0) -> bool:
        """Say whether they meet a box of pixels, grown by a margin."""
        return (
            self.left < box.col + box.width + margin
            and self.right > box.col - margin
            and self.top < box.row + box.height + margin
            and self.bottom > box.row - margin
        )


def laid(where: Frame | WorkingGrid) -> tuple[pyproj.CRS, Affine]:
    """Return the CRS of a frame, or of the grid that an edit works on, and the transform of its pixels."""
    if isinstance(where, WorkingGrid):
        return where.crs, where.transform
    (width, height), (x, y) = map(float, where.pixel_size), where.anchor
    return parse_crs(where.crs, "crs"), Affine(width, 0, x, 0, -height, y)


class PixelPlaces:
    """Places coordinates of one CRS on a frame, or on the grid that an edit works on."""

    def __init__(self, crs: str, where: Frame | WorkingGrid, field: str) -> None:
        """Raise InvalidInput if ``crs``, of the input ``field``, is none."""
        self._field = f"{field}.crs"
        self._reference = parse_reference(crs, self._field)
        self._target, self._transform = laid(where)
        self._same = self._reference.crs.equals(self._target, ignore_axis_order=True)

    def read(self, coordinates: object) -> Float64Array:
        """Return a list of GeoJSON's points, x and y; raises Unusable."""
        if not isinstance(coordinates, list) or not all(_is_point(point) for point in coordinates):
            raise Unusable("has coordinates that are not lists of two or more numbers")
        try:
            points = np.array([point[:2] for point in coordinates], np.float64).reshape(-1, 2)
        except OverflowError:
            raise self._outside() from None
        if not np.isfinite(points).all():
            raise Unusable("has coordinates that are not finite")
        if np.abs(points).max(initial=0) > _FARTHEST:
            raise self._outside()
        return points[:, ::-1] if self._reference.swapped else points

    def placed(self, path: Float64Array) -> Float64Array:
        """Return a path in pixels (column, row) of the frame, cut where it bends; raises Unusable."""
        placed = self.pixels(path)
        for _ in range(0 if self._same else _ROUNDS):
            middle = (path[:-1] + path[1:]) / 2
            there = self.pixels(middle)
            beside = np.abs(there - (placed[:-1] + placed[1:]) / 2).max(1, initial=0)
            bent = np.flatnonzero(beside > _BENT)
            if not len(bent):
                break
            path = np.insert(path, bent + 1, middle[bent], axis=0)
            placed = np.insert(placed, bent + 1, there[bent], axis=0)
            if len(path) > _MOST_CUT:
                raise Unusable("is too large: cut it to the surroundings of the extent")
        return placed

    def pixels(self, points: Float64Array) -> Float64Array:
        """Return points in pixels (column, row) of the frame; raises Unusable."""
        found = points if self._same else self._project(points)
        pixels: Float64Array = np.stack(~self._transform @ (found[:, 0], found[:, 1]), axis=1)
        if not np.isfinite(pixels).all() or np.abs(pixels).max(initial=0) > _FARTHEST:
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
            f"reaches beyond where {name} is defined: check `{self._field}`, or cut it to the extent's "
            "surroundings"
        )


def _is_point(point: object) -> bool:
    return (
        isinstance(point, list)
        and len(point) >= 2
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in point[:2])
    )
