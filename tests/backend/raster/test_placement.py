"""Snapping, and which frame a request gets: exact numbers, every refusal with its field and range."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_backend.errors import InvalidInput
from model_backend.models.card import ModelCard
from model_backend.raster.georeference.geodesy import metric_crs, utm_zone
from model_backend.raster.georeference.grids import PixelGrid, common_anchor, decimal, significant
from model_backend.raster.georeference.placement import Placement, place
from model_backend.schemas import GenerateInputs
from tests.support.backend.crs import LAEA, ROTATED

pytestmark = pytest.mark.fast

CARD = ModelCard(id="card", title="Card", levels=tuple(range(10, 19)), gsd=(0.354, 181.0))
PLAIN = ModelCard(id="plain", title="Plain", levels=None, gsd=(0.05, 200.0))
BERLIN = [13.40, 52.50, 13.405, 52.503]


def put(bbox: list[float], of: str = "OGC:CRS84", card: ModelCard = CARD, **more: Any) -> Placement:
    """Place a request."""
    extent = {"bbox": [float(value) for value in bbox], "crs": of}
    return place(GenerateInputs.model_validate({"prompt": "", "extent": extent, **more}), card)


# --- snapping ---

tenths = st.integers(-(10**9), 10**9)


@given(
    low=tenths,
    length=st.integers(1, 10**5),
    step=st.sampled_from(["0.1", "0.2", "0.3", "0.5", "0.6", "1.1", "2"]),
)
def test_multiples_of_a_pixel_stay_where_they_are(low: int, length: int, step: str) -> None:
    """Floats nearest to exact multiples of 0.1 and the like, negative ones too, are pixel edges."""
    size = Decimal(step)
    west, east = float(low * size), float((low + length) * size)
    box = PixelGrid((step, step)).snap((west, west, east, east))
    assert (box.col, box.width) == (low, length)
    assert (box.row, box.height) == (-(low + length), length)


@given(
    low=st.floats(-3e7, 3e7),
    length=st.floats(0, 1e6),
    step=st.sampled_from(["0.1", "0.354", "0.98425", "1", "1.194328566955879", "120"]),
    anchor=st.floats(-3e7, 3e7),
)
def test_the_box_is_the_smallest_around_the_bounds(
    low: float, length: float, step: str, anchor: float
) -> None:
    size, high = Fraction(step), low + length
    box = PixelGrid((step, step), (anchor, anchor)).snap((low, low, high, high))
    first, last = (Fraction(value) - Fraction(anchor) for value in (low, high))
    slack = size / 10**6
    assert box.col * size <= first + slack
    assert (box.col + 1) * size > first - slack
    assert (box.col + box.width) * size >= last - slack
    assert box.width == 1 or (box.col + box.width - 1) * size < last + slack
    assert (box.row, box.height) == (-(box.col + box.width), box.width)


@given(st.integers(-(2**60), 2**60), st.integers(-(2**60), 2**60))
def test_indices_are_exact_beyond_floats(col: int, row: int) -> None:
    grid = PixelGrid(("0.1", "0.1"))
    assert grid.x(col) == float(Fraction(col, 10))
    assert grid.y(row) == float(Fraction(-row, 10))


@given(
    st.integers(-(10**8), 10**8),
    st.integers(-(10**8), 10**8),
    st.sampled_from(["0.3", "0.6", "2.5", "0.98425"]),
)
def test_every_corner_of_a_grid_gives_the_same_anchor(i: int, j: int, step: str) -> None:
    size = Decimal(step)
    corner = [float(Decimal("0.123") + i * size), float(Decimal("-0.05") + j * size)]
    expected = (float(Decimal("0.123") % size), float(Decimal("-0.05") % size + size))
    assert common_anchor(corner, [step, step]) == pytest.approx(expected, abs=0)


def test_numbers_become_plain_decimals() -> None:
    assert decimal(0.6) == "0.6"
    assert decimal(120.0) == "120"
    assert decimal(Fraction("0.6") / Fraction("0.30480060960121924")) == "1.9685"
    assert significant(1.4563e-05, 3) == "0.0000146"
    assert significant(98765.4, 2) == "98765"


# --- zones ---


@pytest.mark.parametrize(
    ("lon", "lat", "code"),
    [
        (-180, 0, 32601),
        (179.99, 0, 32660),
        (13.4, 52.5, 32633),
        (13.4, -52.5, 32733),
        (5.3, 60.4, 32632),  # Bergen: zone 32 reaches west
        (5.3, 64.1, 32631),
        (2.9, 60.4, 32631),
        (8.9, 78, 32631),  # Svalbard: 31, 33, 35, 37 are wide
        (9.0, 78, 32633),
        (20.9, 78, 32633),
        (21.0, 78, 32635),
        (33.0, 78, 32637),
        (0, 83.99, 32631),
        (0, 84, 5041),
        (0, -80, 32731),
        (0, -80.01, 5042),
    ],
)
def test_metric_crs(lon: float, lat: float, code: int) -> None:
    assert metric_crs(lon, lat) == pyproj.CRS.from_epsg(code)


@given(st.floats(-180, 179.999999), st.floats(-79.99, 55.9))
def test_utm_zones_agree_with_proj(lon: float, lat: float) -> None:
    assert utm_zone(lon, lat) == int((lon + 180) / 6) + 1
    area = metric_crs(lon, lat).area_of_use
    assert area is not None
    assert area.west - 1e-9 <= lon <= area.east + 1e-9


def test_metric_crs_of_another_datum_shifts_no_datum() -> None:
    nad = metric_crs(-74, 40.7, pyproj.CRS.from_epsg(4269))
    assert nad.name == "NAD83 / UTM zone 18N"
    there = pyproj.Transformer.from_crs(4269, nad, always_xy=True).transform(-74, 40.7)
    official = pyproj.Transformer.from_crs(4269, 26918, always_xy=True).transform(-74, 40.7)
    assert there == pytest.approx(official, abs=1e-6)
    paris = metric_crs(2.35, 48.86, pyproj.CRS.from_epsg(4807))  # grads, counted from Paris
    x, _ = pyproj.Transformer.from_crs(4807, paris, always_xy=True).transform(0, 54.3)
    assert x == pytest.approx(500_000 + (2.33722917 - 3) * 111_320 * 0.6584, abs=200)


# --- which CRS ---


def test_without_a_crs_it_is_the_utm_zone_and_pixels_are_the_gsd() -> None:
    placed = put(BERLIN, gsd=0.6)
    assert placed.crs == "EPSG:32633"
    assert placed.frame.pixel_size == ["0.6", "0.6"]
    assert placed.frame.anchor == [0.0, 0.0]
    assert placed.output is None
    assert placed.warnings == ()
    assert placed.gsd.x == pytest.approx(0.6, rel=1e-3)


def test_the_project_crs_is_taken_if_metric_and_true() -> None:
    assert put(BERLIN, gsd=1, project_crs="EPSG:25833").crs == "EPSG:25833"
    assert put(BERLIN, gsd=1, project_crs="EPSG:25832").crs == "EPSG:25832"  # next zone: 0.2 % off
    for other in ("EPSG:3857", "EPSG:4326", "EPSG:2263", "EPSG:7415", "EPSG:32610", "EPSG:3035"):
        placed = put(BERLIN, gsd=1, project_crs=other)
        expected = "EPSG:3035" if other == "EPSG:3035" else "EPSG:32633"
        assert placed.crs == expected
        assert bool(placed.warnings) is (placed.crs != other)
    with pytest.raises(InvalidInput, match="project_crs"):
        put(BERLIN, gsd=1, project_crs="http://127.0.0.1/crs")


def test_feet() -> None:
    placed = put([-73.99, 40.70, -73.985, 40.703], gsd=0.6, crs="EPSG:2263")
    assert placed.frame.pixel_size == ["1.9685", "1.9685"]  # US survey feet
    assert placed.gsd.x == pytest.approx(0.6, rel=1e-3)
    assert placed.output is None


def test_frames_depend_on_crs_and_gsd_alone() -> None:
    """Requests of different days and places join on the ground canvas only if their frames are equal."""
    for crs, where in (
        ("EPSG:32633", (12.1, 40.0)),
        ("EPSG:2263", (-74.2, 40.6)),
        ("EPSG:3857", (13.0, 52.0)),
        ("EPSG:3035", (9.5, 50.0)),
        ("EPSG:4326", (12.1, 40.0)),
    ):
        frames = set()
        for number in range(5):
            lon, lat = where[0] + 0.05 * number, where[1] + 0.03 * number
            placed = put([lon, lat, lon + 0.003, lat + 0.002], gsd=0.7, crs=crs)
            frames.add(placed.frame.model_dump_json())
        assert len(frames) == 1, crs


def test_web_mercator_takes_the_tiles_pixels_and_says_what_they_are() -> None:
    size = 40075016.685578488 / 256
    for lat, gsd, zoom in (
        (0, 1, 17),
        (33, 1, 17),
        (52.5, 1, 17),
        (65, 1, 16),
        (52.5, 0.4, 18),
        (52.5, 90, 10),
    ):
        placed = put([13.4, lat, 13.4 + 0.003 * gsd, lat + 0.002 * gsd], gsd=gsd, crs="EPSG:3857")
        assert float(placed.frame.pixel_size[0]) == pytest.approx(size / 2**zoom, rel=1e-15, abs=1e-15)
        assert f"zoom level {zoom}" in placed.warnings[0]
        col = (placed.transform[2] + 20037508.342789244) / placed.transform[0]
        assert col == pytest.approx(round(col), abs=1e-4)
    placed = put([13.4, 52.5, 13.403, 52.502], gsd=1, crs="EPSG:3857")
    assert "0.72" in placed.warnings[0]
    assert "1 m was asked for" in placed.warnings[0]
    assert placed.level == 17


def test_level_follows_the_ground_not_the_crs() -> None:
    for gsd, level in (
        (0.36, 18),
        (0.5, 18),
        (0.7, 18),
        (0.72, 17),
        (1, 17),
        (4, 15),
        (10, 14),
        (128, 10),
        (180, 10),
    ):
        assert put([13, 52, 13 + 0.001 * gsd, 52 + 0.001 * gsd], gsd=gsd).level == level
    assert put([13, 65, 13.004, 65.002], gsd=1, crs="EPSG:4326").level == 17
    assert put([-120, 78, -119.98, 78.004], gsd=1, crs="EPSG:3413").level == 17


def test_gsd_left_out_is_the_models_finest_level() -> None:
    assert put(BERLIN).frame.pixel_size == ["0.5", "0.5"]
    assert put(BERLIN, card=PLAIN).frame.pixel_size == ["1", "1"]
    assert put(BERLIN, card=PLAIN).level is None


def test_off_scale_crs_still_gives_the_ground_that_was_asked_for() -> None:
    for crs in ("EPSG:3395", "EPSG:3413", "EPSG:32631"):
        placed = put([24.0, 60.1, 24.01, 60.105], gsd=1, crs=crs)
        assert (placed.gsd.x * placed.gsd.y) ** 0.5 == pytest.approx(1, rel=1e-3)
        assert "off scale" in placed.warnings[0]


def test_poles() -> None:
    placed = put([-20, 88.0, 20, 88.02], gsd=30)
    assert placed.crs == "EPSG:5041"
    over = put([1_990_000, 1_990_000, 2_010_000, 2_010_000], "EPSG:5042", gsd=20)  # around the South Pole
    assert over.crs == "EPSG:5042"
    assert (over.width, over.height) == (1000, 1000)
    assert put([-180, 89.9, 180, 90], gsd=30).crs == "EPSG:5041"


def test_an_extent_over_the_antimeridian_in_its_own_utm_zone_is_no_problem() -> None:
    west = pyproj.Transformer.from_crs(4326, 32660, always_xy=True).transform(179.999, 10)
    bbox = [west[0] - 300, west[1], west[0] + 300, west[1] + 400]
    placed = put(bbox, "EPSG:32660", gsd=1, crs="EPSG:32660")
    assert (placed.width, placed.height) == (601, 401) or (placed.width, placed.height) == (600, 400)
    for crs in ("EPSG:4326", "EPSG:3857"):
        with pytest.raises(InvalidInput, match="not in one piece"):
            put(bbox, "EPSG:32660", gsd=1, crs=crs)


def test_axis_order_of_uris() -> None:
    west, south, east, north = BERLIN
    uri = "http://www.opengis.net/def/crs/EPSG/0/4326"
    assert put([south, west, north, east], uri, gsd=1).grid == put(BERLIN, gsd=1).grid


# --- align ---


def test_align_puts_pixels_on_those_of_another_raster() -> None:
    anchor = [569_123.4, 5_812_345.6]
    align = {"crs": "EPSG:32633", "pixel_size": ["0.6", "0.6"], "anchor": anchor}
    placed = put(BERLIN, align=align)
    for edge, corner in ((placed.transform[2], anchor[0]), (placed.transform[5], anchor[1])):
        pixels = (Fraction(edge) - Fraction(corner)) / Fraction("0.6")
        assert abs(pixels - round(pixels)) < 1e-6
    shifted = align | {"anchor": [anchor[0] + 600, anchor[1] - 1200]}
    assert put(BERLIN, align=shifted) == placed
    assert put(BERLIN, align=align, gsd=0.6) == placed
    assert put(BERLIN, align=align, crs="EPSG:32633") == placed


def test_align_to_degrees_resamples_onto_their_grid() -> None:
    align = {"crs": "EPSG:4326", "pixel_size": ["0.00002", "0.00001"], "anchor": [13.4000051, 52.5]}
    placed = put(BERLIN, align=align)
    assert placed.output is not None
    assert placed.transform[0] == 0.00002
    assert placed.transform[4] == -0.00001
    col = (Fraction(placed.transform[2]) - Fraction(13.4000051)) / Fraction("0.00002")
    assert abs(col - round(col)) < 1e-3
    assert placed.frame.crs == "EPSG:32633"
    assert placed.gsd.x == pytest.approx(0.00002 * 111_320 * 0.6088, rel=3e-3)


def refused(field: str, bbox: list[float], of: str = "OGC:CRS84", **more: Any) -> InvalidInput:
    """Return the refusal of a request, of that field and with a range."""
    with pytest.raises(InvalidInput) as caught:
        put(bbox, of, **more)
    assert caught.value.field == field
    assert caught.value.allowed
    assert str(caught.value).endswith(".")
    return caught.value


def test_align_refusals() -> None:
    align = {"crs": "EPSG:32633", "pixel_size": ["0.6", "0.6"], "anchor": [0.0, 0.0]}
    assert "0.6" in str(refused("gsd", BERLIN, align=align, gsd=1.0))
    refused("crs", BERLIN, align=align, crs="EPSG:32632")
    refused("align.pixel_size", BERLIN, align=align | {"pixel_size": ["0", "0.6"]})
    refused("align.pixel_size", BERLIN, align=align | {"pixel_size": ["0.01", "0.01"]})
    refused("align.pixel_size", BERLIN, align=align | {"pixel_size": ["999999999999", "1"]})
    refused("align.pixel_size", BERLIN, align=align | {"pixel_size": ["0.000000000000001"] * 2})
    refused("align.anchor", BERLIN, align=align | {"anchor": [1e300, 0.0]})
    refused("align.crs", BERLIN, align=align | {"crs": "EPSG:4978"})


# --- refusals ---


@pytest.mark.parametrize(
    ("bbox", "crs", "words"),
    [
        ([13, 52, 13, 53], "OGC:CRS84", "empty"),
        ([13, 52, 14, 52], "OGC:CRS84", "empty"),
        ([13, 53, 14, 52], "OGC:CRS84", "empty"),
        ([500, 0, 400, 100], "EPSG:32633", "empty"),
        ([-180, -90, 180, 90], "OGC:CRS84", "40,075 km by 20,004 km"),
        ([-2e7, -2e7, 2e7, 2e7], "EPSG:3857", "km"),
        ([170, 0, -170, 1], "OGC:CRS84", "antimeridian"),
        ([179, 0, 181, 1], "OGC:CRS84", "antimeridian"),
        ([190, 0, 191, 1], "OGC:CRS84", "do not exist"),
        ([13, 89, 14, 91], "OGC:CRS84", "do not exist"),
        ([1e300, 0, 1.1e300, 1], "OGC:CRS84", "do not exist"),
        ([0, 0, 1e300, 1e300], "EPSG:32633", "outside"),
        ([0, 0, 1e9, 1e9], "EPSG:32633", "outside"),
        ([1e9, 0, 1e9 + 100, 100], "EPSG:3857", "outside"),
        ([500000, 0, 500100, 3e7], "EPSG:32633", "outside"),
        ([199, 0, 201, 1], "EPSG:4807", "antimeridian"),
        ([0, 99, 1, 101], "EPSG:4807", "do not exist"),
    ],
)
def test_extents_that_cannot_be(bbox: list[float], crs: str, words: str) -> None:
    assert words in str(refused("extent.bbox", bbox, crs, gsd=1.0))


@pytest.mark.parametrize("gsd", [1e-9, 0.3, 200.0, 1e300])
def test_gsd_beyond_half_a_level_names_the_range(gsd: float) -> None:
    error = refused("gsd", BERLIN, gsd=gsd)
    assert error.allowed == "0.354 to 181 metres per pixel on the ground"
    assert error.value == gsd


def test_the_range_of_a_model_with_few_levels() -> None:
    one = ModelCard(id="one", title="One", levels=(17,), gsd=(0.1, 100))
    assert put(BERLIN, card=one, gsd=0.71).level == 17
    assert put(BERLIN, card=one, gsd=1.41).level == 17
    for gsd in (0.70, 1.42):
        assert (
            refused("gsd", BERLIN, card=one, gsd=gsd).allowed
            == "0.7071 to 1.414 metres per pixel on the ground"
        )
    # A zoom level within the range exists everywhere, as zoom levels are one octave apart.
    for lat in range(-84, 85, 7):
        assert put([13, lat, 13.002, lat + 0.001], card=one, gsd=1.0, crs="EPSG:3857").level == 17


@pytest.mark.parametrize(
    ("crs", "words"),
    [
        ("EPSG:3395", "off scale"),  # World Mercator, next to the pole
        ("EPSG:3857", "off scale"),
        (ROTATED, "cannot hold"),
        ("EPSG:4978", "Geocentric"),
        ("http://127.0.0.1/x", "no CRS"),
    ],
)
def test_crs_that_cannot_be(crs: str, words: str) -> None:
    assert words in str(refused("crs", [13, 88, 13.1, 88.01], gsd=1.0, crs=crs))


def test_a_custom_crs_is_its_own_frame() -> None:
    placed = put([13.30, 47.50, 13.305, 47.503], gsd=1, crs=LAEA)
    assert placed.frame.crs.startswith("PROJCRS[")
    assert placed.frame.pixel_size == ["1", "1"]
    assert placed.output is None
