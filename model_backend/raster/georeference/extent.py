"""The extent that a request names, checked: not empty, not boundless, in one piece; and where on earth it is.

Knows CRSs and ground metres; knows no pixels and no model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import pyproj

from model_backend.errors import InvalidInput
from model_backend.raster.georeference import geodesy
from model_backend.raster.georeference.crs import parse_reference
from model_backend.raster.georeference.grids import Bounds
from model_backend.schemas import Extent

_LONGEST = 2_500_000.0  # ground metres; no flat frame keeps its scale over more

R = TypeVar("R")


@dataclass(frozen=True)
class Area:
    """The extent that a request names, checked: bounds in x, y order in ``crs``, centre in WGS 84 degrees."""

    crs: pyproj.CRS
    bounds: Bounds
    lon: float
    lat: float


def area_of(extent: Extent) -> Area:
    """Return the extent of a request, refused if it is empty, boundless, or in two pieces."""
    reference = parse_reference(extent.crs, "extent.crs")
    crs, box = reference.crs, extent.bbox
    minx, miny, maxx, maxy = (box[1], box[0], box[3], box[2]) if reference.swapped else box
    bounds = (minx, miny, maxx, maxy)
    if crs.is_geographic:
        _check_degrees(bounds, crs, extent)
    if not (minx < maxx and miny < maxy):
        detail = "The extent is empty: west must be less than east, and south less than north."
        raise InvalidInput("extent.bbox", detail, value=box, allowed="west < east and south < north")
    defined(lambda: geodesy.check_domain(bounds, crs), "extent.bbox", box, crs)
    across, down = defined(lambda: geodesy.spans(bounds, crs), "extent.bbox", box, crs)
    if max(across, down) > _LONGEST:
        rule = f"at most {_LONGEST / 1000:,.0f} km from side to side"
        size = f"{across / 1000:,.0f} km by {down / 1000:,.0f} km"
        detail = f"The extent is {size} on the ground; allowed is {rule}."
        raise InvalidInput("extent.bbox", detail, value=box, allowed=rule)
    middle = (minx + maxx) / 2, (miny + maxy) / 2
    lon, lat = defined(lambda: geodesy.wgs84(crs, *middle), "extent.bbox", box, crs)
    return Area(crs, bounds, lon, lat)


def _check_degrees(bounds: Bounds, crs: pyproj.CRS, extent: Extent) -> None:
    """Refuse longitudes and latitudes that do not exist, and boxes over the antimeridian."""
    turn = 2 * 3.141592653589793 / crs.axis_info[0].unit_conversion_factor
    half, quarter = turn / 2 + 1e-9, turn / 4 + 1e-9
    minx, miny, maxx, maxy = bounds
    rule = f"longitudes within ±{turn / 2:g}, west < east, and latitudes within ±{turn / 4:g}"
    if minx > maxx and abs(minx) <= half and abs(maxx) <= half or minx <= half < maxx <= 2 * half:
        detail = "The extent crosses the antimeridian. Send two extents, one on either side."
        raise InvalidInput("extent.bbox", detail, value=extent.bbox, allowed=rule)
    if max(abs(minx), abs(maxx)) > half or max(abs(miny), abs(maxy)) > quarter:
        detail = f"The extent has coordinates that do not exist in {crs.name}; allowed are {rule}."
        raise InvalidInput("extent.bbox", detail, value=extent.bbox, allowed=rule)


def defined(compute: Callable[[], R], field: str, value: object, crs: pyproj.CRS) -> R:
    """Compute something on the ground; refuse the field where coordinates do not exist in ``crs``."""
    try:
        return compute()
    except geodesy.NotDefined as error:
        detail = f"The extent cannot be placed in {crs.name}: {error}."
        raise InvalidInput(
            field, detail, value=value, allowed=f"an extent where {crs.name} is defined"
        ) from None
