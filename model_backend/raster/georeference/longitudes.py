"""Longitudes beyond ±180 degrees: rasters from 0 to 360, from -190, or across the antimeridian.

PROJ gives longitudes within half a turn of the prime meridian, so such a raster's pixels are out of its
reach. Counted from a meridian in the middle of the raster, all of them are within. Knows no pixels.
"""

from __future__ import annotations

from math import pi

import numpy as np
import pyproj
from affine import Affine

from model_backend.arrays import Float64Array

_HALF_TURN = 180 * (1 + 1e-9)


def turn_of(crs: pyproj.CRS) -> float | None:
    """Return how many units of a geographic CRS go around the Earth; None for other CRSs."""
    return 2 * pi / float(crs.axis_info[0].unit_conversion_factor) if crs.is_geographic else None


def nearest(x: Float64Array, middle: float, crs: pyproj.CRS) -> Float64Array:
    """Return x, in a geographic CRS shifted by whole turns to lie within half a turn of ``middle``."""
    turn = turn_of(crs)
    return x if turn is None else x - turn * np.round((x - middle) / turn)


def recentred(crs: pyproj.CRS, transform: Affine, width: int, height: int) -> tuple[pyproj.CRS, Affine]:
    """Return CRS and transform with longitudes within ±180; those given unless a raster reaches beyond."""
    if not crs.is_geographic or crs.is_bound or abs((turn_of(crs) or 0) - 360) > 1e-6:
        return crs, transform
    x, _ = transform @ (np.array([0, width, width, 0]), np.array([0, 0, height, height]))
    if np.abs(x).max() <= _HALF_TURN or np.ptp(x) > 2 * _HALF_TURN:
        return crs, transform
    meridian = float(round((x.min() + x.max()) / 2))
    return from_meridian(crs, meridian), Affine.translation(-meridian, 0) @ transform


def from_meridian(crs: pyproj.CRS, meridian: float) -> pyproj.CRS:
    """Return a geographic CRS in degrees with longitudes counted from a meridian, in degrees of its own."""
    parts = crs.to_json_dict()
    datum = parts.pop("datum", None) or parts.pop("datum_ensemble")
    zero = datum.get("prime_meridian", {}).get("longitude", 0.0)
    zero = (
        zero
        if isinstance(zero, int | float)
        else zero["value"] * zero["unit"]["conversion_factor"] * 180 / pi
    )
    parts["datum"] = {
        "type": "GeodeticReferenceFrame",
        "name": datum["name"].removesuffix(" ensemble"),
        "ellipsoid": datum["ellipsoid"],
        "prime_meridian": {"name": "of the raster", "longitude": zero + meridian},
    }
    kept = {key: parts[key] for key in ("$schema", "type", "datum", "coordinate_system")}
    return pyproj.CRS.from_json_dict({**kept, "name": f"{crs.name} from {meridian:g}"})
