"""Masks on the raster that is edited: polygons in any CRS or another raster, turned into its pixels.

A pixel is masked if its centre lies in a polygon; of a polygon thinner than two pixels every pixel that it
touches is, so that no stroke vanishes. Where a polygon crosses itself, every part of it counts that an
even-odd fill paints. Boxes are pixels of the edited raster and may reach beyond it; arrays are (rows,
columns). Knows no model; growing and feathering are done elsewhere, on these arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from rasterio import features
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

from model_backend.arrays import BoolArray, Float64Array, UInt8Array
from model_backend.errors import InvalidInput
from model_backend.raster.clipping import Nearby
from model_backend.raster.files.source import Source, read, read_header, read_known, sealed
from model_backend.raster.georeference import geodesy
from model_backend.raster.georeference.crs import parse_reference
from model_backend.raster.georeference.longitudes import nearest, turn_of
from model_backend.schemas import Box

_KINDS = "a Polygon, MultiPolygon, GeometryCollection, Feature or FeatureCollection of polygons"
_DENSE = 40_000  # vertices that edges are cut into, so that a straight line of one CRS bends in another
_LINES = 16  # lines across a polygon that its filled area is taken from
_THIN = 1.0  # pixels: twice the area over the length of the outline, half of a thin polygon's width


@dataclass(frozen=True)
class PolygonMask:
    """Polygons in pixel coordinates (column, row) of a raster: each a list of closed rings, (n, 2)."""

    rings: tuple[tuple[Float64Array, ...], ...]

    @property
    def box(self) -> Box:
        """The smallest box of pixels around all of them."""
        every = np.concatenate([ring for polygon in self.rings for ring in polygon])
        return _around(every[:, 0], every[:, 1])

    def rasterize(self, box: Box) -> BoolArray:
        """Return the mask as an array of ``box``: True where a pixel is masked."""
        out = np.zeros((box.height, box.width), np.uint8)
        place = Affine.translation(box.col, box.row)
        for thin in (False, True):
            shapes = [(_geojson(polygon), 1) for polygon in self.rings if _is_thin(polygon) is thin]
            if shapes:
                features.rasterize(shapes, out=out, transform=place, all_touched=thin)
        return out > 0


@dataclass(frozen=True)
class RasterMask:
    """A raster whose values above zero are the mask: the part of it that holds them all."""

    values: UInt8Array
    transform: Affine
    crs: CRS
    source: Source
    box: Box

    def rasterize(self, box: Box) -> BoolArray:
        """Return which pixels of ``box`` are masked: those whose centre falls on a masked pixel."""
        out = np.zeros((box.height, box.width), np.uint8)
        crs, transform = self.source.ground
        reproject(
            self.values,
            out,
            src_transform=self.transform,
            src_crs=self.crs,
            dst_transform=transform @ Affine.translation(box.col, box.row),
            dst_crs=CRS.from_wkt(crs.to_wkt()),
            resampling=Resampling.nearest,
        )
        return out > 0


def from_geojson(geometry: Mapping[str, Any], crs: str, source: Source) -> PolygonMask:
    """Return the polygons of a GeoJSON object whose coordinates are in ``crs``, in pixels of ``source``.

    Raises InvalidInput for ``mask`` or ``mask.crs``.
    """
    reference = parse_reference(crs, "mask.crs")
    polygons = [[_ring(ring) for ring in polygon] for polygon in _polygons(geometry)]
    polygons = [polygon for polygon in polygons if polygon and len(polygon[0])]
    if not polygons:
        raise InvalidInput("mask", "The mask has no polygon: draw one where the raster shall change.")
    if reference.swapped:
        polygons = [[ring[:, ::-1] for ring in polygon] for polygon in polygons]
    same = reference.crs.equals(source.crs, ignore_axis_order=True)
    try:
        nearby, to_source = Nearby(source, reference.crs), geodesy.transformer(reference.crs, source.crs)
    except geodesy.NotDefined as error:
        raise _misplaced(source, str(error), crs) from None
    farthest = (turn_of(reference.crs) or 2.0**40) * 2
    if max(np.abs(ring).max() for polygon in polygons for ring in polygon if len(ring)) > farthest:
        raise _misplaced(source, "its coordinates do not exist in its own", crs)
    polygons = [part for polygon in polygons for part in nearby.parts(polygon)]
    if not polygons:
        raise outside()
    cuts = max(1, min(32, _DENSE // max(1, sum(len(ring) for polygon in polygons for ring in polygon))))

    def place(ring: Float64Array) -> Float64Array:
        if not same:
            ring = _cut(ring, cuts)
            x, y = to_source.transform(ring[:, 0], ring[:, 1])
            ring = np.stack([nearest(np.asarray(x), source.middle[0], source.crs), y], axis=1)
        pixels = np.stack(~source.transform @ (ring[:, 0], ring[:, 1]), axis=1)
        if not np.isfinite(pixels).all() or np.abs(pixels).max() > 2**40:
            raise _misplaced(source, "it lies where that is not defined", crs)
        return pixels

    return PolygonMask(tuple(tuple(place(ring) for ring in polygon) for polygon in polygons))


def outside() -> InvalidInput:
    """Return the error for a mask that does not touch the raster."""
    detail = "The mask lies outside of the raster. Draw it on the raster, or check its CRS."
    return InvalidInput("mask", detail, allowed="a mask that touches the raster")


def _misplaced(source: Source, reason: str, crs: str) -> InvalidInput:
    detail = f"The mask cannot be placed in the raster's CRS, {source.crs.name}: {reason}. Check its CRS."
    return InvalidInput("mask.crs", detail, value=crs[:200])


def from_raster(path: Path, source: Source) -> RasterMask:
    """Return the mask of a raster: its first band above zero, where it has values. Raises InvalidInput."""
    try:
        picture = read_header(path)
    except InvalidInput as error:
        raise error.named("mask") from None
    band = picture.roles.visible[:1]
    found = [box for box in _blocks(picture) if (read(picture, box, band)[0] > 0).any()]
    if not found:
        raise InvalidInput("mask", "The mask is empty: no pixel of it is above zero.")
    box = _union(found)
    if box.width * box.height > 2**28:
        detail = "The mask has more pixels than this server reads; cut it to what it covers."
        raise InvalidInput("mask", detail)
    values = (read(picture, box, band)[0] > 0) & read_known(picture, box)
    width, height = box.width, box.height
    x, y = geodesy.outline((box.col, box.row, box.col + width, box.row + height), 21)
    (crs, transform), (own, grid) = picture.ground, source.ground
    try:
        col, row = ~grid @ geodesy.transformer(crs, own).transform(*(transform @ (x, y)))
    except geodesy.NotDefined as error:
        raise _misplaced(source, str(error), crs.name) from None
    col, row = (np.where(np.isinf(values), np.nan, values) for values in (col, row))
    if not (np.isfinite(col).all() and np.isfinite(row).all()):
        raise _misplaced(source, "it reaches to where that is not defined", crs.name)
    return RasterMask(
        values=values.astype(np.uint8),
        transform=transform @ Affine.translation(box.col, box.row),
        crs=CRS.from_wkt(crs.to_wkt()),
        source=source,
        box=_around(col, row),
    )


def _blocks(picture: Source) -> Iterator[Box]:
    """Yield the raster in boxes of its own blocks."""
    with sealed(picture.path) as dataset:
        windows = [window for _, window in dataset.block_windows(1)]
    for window in windows:
        yield Box(col=window.col_off, row=window.row_off, width=window.width, height=window.height)


def _union(boxes: list[Box]) -> Box:
    col, row = min(box.col for box in boxes), min(box.row for box in boxes)
    right, bottom = max(box.col + box.width for box in boxes), max(box.row + box.height for box in boxes)
    return Box(col=col, row=row, width=right - col, height=bottom - row)


def _around(cols: Any, rows: Any) -> Box:
    """Return the smallest box of pixels around points, of at least one pixel."""
    left, top = floor(np.min(cols) + 1e-6), floor(np.min(rows) + 1e-6)
    right, bottom = ceil(np.max(cols) - 1e-6), ceil(np.max(rows) - 1e-6)
    return Box(col=left, row=top, width=max(1, right - left), height=max(1, bottom - top))


def _polygons(geometry: object) -> Iterator[list[Any]]:
    """Yield the coordinates of every polygon of a GeoJSON object (RFC 7946)."""
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    if not isinstance(geometry, Mapping) or kind not in _MEMBERS:
        raise InvalidInput("mask", f"The mask must be {_KINDS}.", value=kind, allowed=_KINDS)
    member = geometry.get(_MEMBERS[str(kind)])
    if kind == "Feature":
        yield from _polygons(member)
        return
    if not isinstance(member, list):
        detail = f"The mask's {kind} has no list of {_MEMBERS[str(kind)]}."
        raise InvalidInput("mask", detail, allowed=_KINDS)
    if kind == "Polygon":
        yield member
    elif kind == "MultiPolygon":
        yield from member
    else:
        for item in member:
            yield from _polygons(item)


_MEMBERS = {
    "Polygon": "coordinates",
    "MultiPolygon": "coordinates",
    "GeometryCollection": "geometries",
    "Feature": "geometry",
    "FeatureCollection": "features",
}


def _ring(ring: Any) -> Float64Array:
    """Return a ring's coordinates, (n, 2), closed; n is 0 for an empty one."""
    try:
        points: Float64Array = np.array([(float(x), float(y)) for x, y, *_ in ring], np.float64)
    except (TypeError, ValueError):
        detail = "The mask has coordinates that are not lists of [x, y] numbers."
        raise InvalidInput("mask", detail, allowed=_KINDS) from None
    if not np.isfinite(points).all():
        raise InvalidInput("mask", "The mask has coordinates that are not finite.")
    if len(points) == 0:
        return points.reshape(0, 2)
    if len(points) < 3:
        raise InvalidInput("mask", "The mask has a polygon of fewer than three corners.")
    return points if (points[0] == points[-1]).all() else np.concatenate([points, points[:1]])


def _cut(ring: Float64Array, parts: int) -> Float64Array:
    """Return the ring with every edge cut into equal parts."""
    share = np.arange(parts)[None, :, None] / parts
    return np.concatenate(
        [(ring[:-1, None] * (1 - share) + ring[1:, None] * share).reshape(-1, 2), ring[-1:]]
    )


def _is_thin(polygon: tuple[Float64Array, ...]) -> bool:
    """Tell whether a polygon may slip between the centres of pixels."""
    area = length = 0.0
    for ring in polygon:
        x, y = (ring - ring.mean(0)).T
        area += (1 if not area else -1) * abs(float(x[:-1] @ y[1:] - x[1:] @ y[:-1])) / 2
        length += float(np.hypot(np.diff(x), np.diff(y)).sum())
    # The halves of a ring that crosses itself cancel out above, so what looks thin is measured again.
    return 2 * area <= _THIN * length and 2 * _filled(polygon) <= _THIN * length


def _filled(polygon: tuple[Float64Array, ...]) -> float:
    """Return the area that an even-odd fill paints, from a few lines across."""
    begin = np.concatenate([ring[:-1] for ring in polygon])
    end = np.concatenate([ring[1:] for ring in polygon])
    low, high = begin[:, 1].min(), begin[:, 1].max()
    across = 0.0
    for y in low + (np.arange(_LINES) + 0.5) / _LINES * (high - low):
        here = (begin[:, 1] <= y) != (end[:, 1] <= y)
        (x0, y0), (x1, y1) = begin[here].T, end[here].T
        xs = np.sort(x0 + (y - y0) / (y1 - y0) * (x1 - x0))
        across += float((xs[1::2] - xs[::2]).sum())
    return across / _LINES * float(high - low)


def _geojson(polygon: tuple[Float64Array, ...]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring.tolist() for ring in polygon]}
