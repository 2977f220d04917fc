"""Cutting polygons to what lies near a raster, in their own CRS, before they are placed on it.

Far from a raster coordinates may have no counterpart in its CRS (the poles, the other side of the Earth), and
longitudes may be counted a turn apart. Rings are (n, 2), closed, x and y.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyproj

from model_backend.arrays import Float64Array
from model_backend.raster.files.source import Source
from model_backend.raster.georeference import geodesy
from model_backend.raster.georeference.grids import Bounds, expand
from model_backend.raster.georeference.longitudes import turn_of

_MARGIN = 1024  # pixels around a raster that are near it, besides its own size
_TURNS = (0, -1, 1)


class Nearby:
    """What is near a raster, in the CRS of some polygons."""

    def __init__(self, source: Source, crs: pyproj.CRS) -> None:
        """Raise NotDefined if nothing leads from one CRS to the other."""
        self._turn = turn_of(crs)
        self._bounds = self._around(source, crs)

    def parts(self, polygon: list[Float64Array]) -> Iterator[list[Float64Array]]:
        """Yield the parts of a polygon near the raster, shifted by a turn if they are counted so.

        A polygon that lies near it altogether is yielded as it is; where CRSs are no help all of it is.
        """
        if self._bounds is None:
            yield polygon
            return
        west, south, east, north = self._bounds
        low, high = polygon[0].min(0), polygon[0].max(0)
        for turns in _TURNS if self._turn else (0,):
            shift = turns * (self._turn or 0.0)
            box = west + shift, south, east + shift, north
            if low[0] > box[2] or high[0] < box[0] or low[1] > north or high[1] < south:
                continue
            whole = low[0] >= box[0] and high[0] <= box[2] and low[1] >= south and high[1] <= north
            part = polygon if whole else [clipped(ring, box) for ring in polygon]
            if len(part[0]):
                yield [ring - (shift, 0.0) if shift else ring for ring in part if len(ring)]

    def _around(self, source: Source, crs: pyproj.CRS) -> Bounds | None:
        """Return bounds around the raster, None where it has none (around a pole, beyond the CRS)."""
        box = expand(source.box, max(source.box.width, source.box.height) + _MARGIN)
        cols, rows = geodesy.outline((box.col, box.row, box.col + box.width, box.row + box.height), 32)
        x, y = geodesy.transformer(source.crs, crs).transform(*(source.transform @ (cols, rows)))
        x, y = np.asarray(x), np.asarray(y)
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            return None
        if self._turn:
            x = np.unwrap(x, period=self._turn)
            if np.ptp(x) >= self._turn / 2:
                return None
        margin = 0.05 * max(np.ptp(x), np.ptp(y))  # edges bend between the points of the outline
        return x.min() - margin, y.min() - margin, x.max() + margin, y.max() + margin


def clipped(ring: Float64Array, box: Bounds) -> Float64Array:
    """Return the part of a ring in a box (Sutherland and Hodgman 1974), (0, 2) if there is none."""
    for axis, bound, sign in ((0, box[0], 1), (1, box[1], 1), (0, box[2], -1), (1, box[3], -1)):
        if len(ring):
            ring = _half(ring, axis, bound, sign)
    return ring


def _half(ring: Float64Array, axis: int, bound: float, sign: int) -> Float64Array:
    """Return the part of a ring on one side of a line along an axis."""
    begin, end = ring[:-1], ring[1:]
    here, there = sign * (begin[:, axis] - bound) >= 0, sign * (end[:, axis] - bound) >= 0
    step = end[:, axis] - begin[:, axis]
    share = (bound - begin[:, axis]) / np.where(step == 0, 1, step)
    cut = begin + share[:, None] * (end - begin)
    cut[:, axis] = bound
    # Of every edge, in order: where it begins, if that is inside, and where it crosses the line.
    points = np.stack([begin, cut], axis=1).reshape(-1, 2)
    kept = points[np.stack([here, here != there], axis=1).ravel()]
    return np.concatenate([kept, kept[:1]])
