"""Files lie where an independent computation says: every latitude and kind of CRS, from request to GeoTIFF.

What is expected comes from GDAL (through rasterio), pyproj's geodesics and formulas, never from ``raster``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from math import ceil, cos, floor, pi, radians, sin, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.warp import transform
from rio_cogeo import cog_validate

from model_backend.models.registry import Registry
from model_backend.raster.files.provenance import Provenance
from model_backend.schemas import Plan
from model_backend.settings import Settings
from tests.support.backend.planning import planned as planned_by
from tests.support.backend.scene_files import write_pixels

GSD = 1.0
MADE = Provenance("Tiny", "none", "", "profile", False, datetime(2026, 1, 2, tzinfo=UTC))
WGS84 = pyproj.Geod(ellps="WGS84")
LATITUDES = (0, 33, 52, 65, -45, 78)
HALF = 20037508.342789244


def laea(lon: float, lat: float) -> str:
    """Return WKT2 of an azimuthal CRS that no registry has."""
    return pyproj.CRS.from_proj4(
        f"+proj=laea +lat_0={lat} +lon_0={lon} +x_0=1e5 +y_0=2e5 +datum=WGS84"
    ).to_wkt()


def utm(lon: float, lat: float) -> str:
    """Return the code of a place's UTM zone, as EPSG numbers them; Svalbard is zone 33 at 10 degrees east."""
    zone = 33 if lat > 72 else int((lon + 180) // 6) + 1
    return f"EPSG:{(32700 if lat < 0 else 32600) + zone}"


CASES: list[tuple[str, float, float, str]] = []
for _lat in LATITUDES:
    CASES += [
        ("utm", 10.3, _lat + 0.2, utm(10.3, _lat)),
        ("mercator", 10.3, _lat + 0.2, "EPSG:3857"),
        ("degrees", 10.3, _lat + 0.2, "EPSG:4326"),
        ("metric", 10.3, _lat + 0.2, laea(10, _lat)),
    ]
CASES += [
    ("feet", -74.0, 40.7, "EPSG:2263"),
    ("feet", -118.2, 34.0, "EPSG:2229"),
    ("polar", -100.0, 78.2, "EPSG:3413"),
    ("polar", 20.0, 65.3, "EPSG:3413"),
    ("polar", 100.0, -78.2, "EPSG:3031"),
    ("metric", 100.0, 88.2, "EPSG:5041"),
    ("metric", -100.0, -88.2, "EPSG:5042"),
    ("degrees", 10.3, 52.2, "EPSG:4258"),
    ("degrees", 10.3, 84.2, "EPSG:4326"),
]


@pytest.fixture(scope="module")
def backend(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Registry, Settings]:
    """The tiny model, on no server."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), model=str(tiny))
    return Registry(settings), settings


def planned(backend: tuple[Registry, Settings], lon: float, lat: float, crs: str | None, **more: Any) -> Plan:
    """Plan a request of about 200 x 150 m around a place."""
    high, wide = 75 / 111_000, 100 / (111_000 * cos(radians(lat)))
    extent = {"bbox": [lon - wide, lat - high, lon + wide, lat + high]}
    inputs = {"prompt": "a lake", "extent": extent, "gsd": GSD, "crs": crs, "seed": 1} | more
    registry, settings = backend
    return planned_by("generate", inputs, settings, registry=registry)


def bounds_by_gdal(lon: float, lat: float, crs: str) -> tuple[float, float, float, float]:
    """Return the bounds of the request's outline in ``crs``, by GDAL on 8,000 points."""
    high, wide = 75 / 111_000, 100 / (111_000 * cos(radians(lat)))
    side = np.linspace(-1, 1, 2000)
    ones = np.ones_like(side)
    xs = lon + wide * np.concatenate([side, ones, side, -ones])
    ys = lat + high * np.concatenate([-ones, side, ones, side])
    x, y = transform("EPSG:4326", rasterio.crs.CRS.from_user_input(crs), xs.tolist(), ys.tolist())
    return min(x), min(y), max(x), max(y)


def ground(crs: Any, x: float, y: float, dx: float, dy: float) -> float:
    """Return the geodesic length of a step (dx, dy) around a point of ``crs``, projected by GDAL."""
    ends = ([x - dx / 2, x + dx / 2], [y - dy / 2, y + dy / 2])
    lon, lat = transform(crs, "EPSG:4326", *ends)
    return float(WGS84.inv(lon[0], lat[0], lon[1], lat[1])[2])


def pixel_by_formula(kind: str, plan: Plan, x: float, y: float) -> tuple[float, float] | None:
    """Return the pixel size that the rules give for a kind of CRS; None where only the ground says."""
    if kind in ("utm", "metric"):
        return GSD, GSD
    if kind == "feet":
        return GSD * 3937 / 1200, GSD * 3937 / 1200
    if kind == "mercator":
        stretch = ground("EPSG:3857", x, y, 100, 0) / 100
        sizes = [2 * HALF / 256 / 2**zoom for zoom in range(25)]
        best = min(sizes, key=lambda size: abs(np.log(size * stretch / GSD)))
        return best, best
    if kind == "degrees":
        lat = radians(y)
        a, e2 = 6378137.0, 0.0066943799901413165
        prime = a / sqrt(1 - e2 * sin(lat) ** 2)
        meridian = a * (1 - e2) / (1 - e2 * sin(lat) ** 2) ** 1.5
        return GSD / (prime * cos(lat) * pi / 180), GSD / (meridian * pi / 180)
    return None


@pytest.mark.parametrize(("kind", "lon", "lat", "crs"), CASES, ids=lambda value: str(value)[:12])
def test_file(
    backend: tuple[Registry, Settings], tmp_path: Path, kind: str, lon: float, lat: float, crs: str
) -> None:
    plan = planned(backend, lon, lat, crs)
    grid, path = plan.recipe.grid, tmp_path / "scene.tif"
    pixels = np.random.default_rng(0).integers(0, 256, (3, grid.height, grid.width), dtype=np.uint8)
    write_pixels(path, pixels, plan, plan.recipe, MADE)
    assert cog_validate(path, quiet=True) == (True, [], [])
    with rasterio.open(path) as file:
        assert file.crs == rasterio.crs.CRS.from_user_input(crs)
        assert (file.width, file.height, file.count) == (plan.width, plan.height, 3)
        a, b, c, d, e, f = file.transform[:6]
        if plan.recipe.resampled is None:
            assert (file.read() == pixels).all()
    assert [a, b, c, d, e, f] == plan.transform
    assert b == d == 0

    # Pixel size, then corners: snapped outward from GDAL's bounds, exactly.
    west, south, east, north = bounds_by_gdal(lon, lat, crs)
    x, y = (west + east) / 2, (south + north) / 2
    size = pixel_by_formula(kind, plan, x, y)
    if size is not None:
        assert (a, -e) == pytest.approx(size, rel=1e-5 if kind == "degrees" else 1e-12)
    px, py = (Fraction(Fraction(str(value)).limit_denominator(10**16)) for value in (a, -e))
    x0, y0 = (-HALF, HALF) if kind == "mercator" else (0, 0)
    left, right = floor((Fraction(west) - Fraction(x0)) / px), ceil((Fraction(east) - Fraction(x0)) / px)
    top, bottom = floor((Fraction(y0) - Fraction(north)) / py), ceil((Fraction(y0) - Fraction(south)) / py)
    assert (plan.width, plan.height) == (right - left, bottom - top)
    assert abs(c - float(Fraction(x0) + left * px)) < 0.01 * a
    assert abs(f - float(Fraction(y0) - top * py)) < 0.01 * -e
    assert plan.bbox == pytest.approx([c, f + e * plan.height, c + a * plan.width, f], rel=1e-12)

    # Ground: reported truthfully, and as asked where a frame is metric.
    middle = c + a * plan.width / 2, f + e * plan.height / 2
    measured = ground(crs, *middle, 50 * a, 0) / 50, ground(crs, *middle, 0, 50 * e) / 50
    assert (plan.gsd.x, plan.gsd.y) == pytest.approx(measured, rel=1e-4)
    if kind == "mercator":
        assert measured[0] == pytest.approx(a * cos(radians(lat)), rel=5e-3)
    elif not crs.startswith("EPSG:504"):  # the UPS is 0.6 % off scale at its centre, by definition
        assert measured == pytest.approx((GSD, GSD), rel=1e-3)


def test_default_is_the_utm_zone(backend: tuple[Registry, Settings]) -> None:
    for lat in LATITUDES:
        assert planned(backend, 10.3, lat + 0.2, None).crs == utm(10.3, lat)


@pytest.mark.parametrize(
    ("lon", "lat", "crs"),
    [
        (10.3, 52.2, "EPSG:4326"),
        (10.3, -45.2, "EPSG:4326"),
        (-99.3, 78.2, "EPSG:4326"),
        (10.3, 0.2, "EPSG:3035"),
    ],
)
def test_resampling_puts_content_on_its_place(
    backend: tuple[Registry, Settings], tmp_path: Path, lon: float, lat: float, crs: str
) -> None:
    """A wave painted by ground coordinates is found at its ground coordinates, to 0.02 pixels."""
    plan = planned(backend, lon, lat, crs)
    assert plan.recipe.resampled is not None
    assert any("resampled" in warning for warning in plan.warnings)
    frame, grid = plan.recipe.frame, plan.recipe.grid
    step = 2 * pi / 24  # waves of 24 m

    def wave(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The picture, as a function of coordinates in the frame's CRS."""
        return np.stack([np.sin(step * x), np.sin(step * y), np.sin(step * (x + y))]) * 100 + 128

    px = float(frame.pixel_size[0])
    cols, rows = np.meshgrid(grid.col + np.arange(grid.width) + 0.5, grid.row + np.arange(grid.height) + 0.5)
    path = tmp_path / "scene.tif"
    write_pixels(path, np.rint(wave(cols * px, -rows * px)).astype(np.uint8), plan, plan.recipe, MADE)
    with rasterio.open(path) as file:
        found = file.read().astype(float)
        cols, rows = np.meshgrid(np.arange(file.width) + 0.5, np.arange(file.height) + 0.5)
        a, _, c, _, e, f = file.transform[:6]
    x, y = (c + a * cols).ravel().tolist(), (f + e * rows).ravel().tolist()
    fx, fy = transform(crs, rasterio.crs.CRS.from_user_input(frame.crs), x, y)
    error = found - wave(np.reshape(fx, cols.shape), np.reshape(fy, cols.shape))
    slope = 100 * step * px  # grey levels per pixel where the wave is steepest
    assert np.abs(error).mean() < 1
    assert abs((error[0] * np.cos(step * np.reshape(fx, cols.shape))).mean() * 2 / slope) < 0.02
    assert abs((error[1] * np.cos(step * np.reshape(fy, cols.shape))).mean() * 2 / slope) < 0.02
