"""Rasters whose longitudes go from 0 to 360, begin at -190 or cross the antimeridian: masked and measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from numpy.typing import NDArray

from model_backend.raster.clipping import Nearby, clipped
from model_backend.raster.files.source import Source, read_header
from model_backend.raster.georeference.longitudes import from_meridian
from model_backend.raster.mask import from_geojson, from_raster
from model_backend.raster.working_grid import working_grid_for
from model_backend.schemas import Box
from tests.support.backend.raster_files import write
from tests.support.backend.tiny_models import tiny_card

STEP = 1e-5
RING = [(10.2, 8.1), (40.7, 8.3), (36.4, 30.2), (12.1, 25.9)]


def raster(folder: Path, west: float, name: str = "a.tif") -> Source:
    place = Affine(STEP, 0, west, 0, -STEP, 50)
    pixels = np.full((1, 40, 60), 90, np.uint8)
    return read_header(write(folder / name, pixels, crs="EPSG:4326", transform=place))


def polygon(west: float, turns: float = 0, crs: str = "EPSG:4326") -> dict[str, object]:
    """The same pixels' polygon of a raster, its longitudes some turns away, or in another CRS."""
    points = [(west + col * STEP + 360 * turns, 50 - row * STEP) for col, row in [*RING, RING[0]]]
    if crs != "EPSG:4326":
        there = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
        points = [there.transform(*point) for point in points]
    return {"type": "Polygon", "coordinates": [[list(point) for point in points]]}


def burnt(source: Source, geometry: dict[str, object], crs: str = "EPSG:4326") -> NDArray[np.bool_]:
    return from_geojson(geometry, crs, source).rasterize(source.box)


@pytest.mark.parametrize("west", [190.0, -190.0, 359.9, 180 - 30 * STEP, -180 - 30 * STEP, -30 * STEP])
def test_masks_lie_where_they_are_drawn(tmp_path: Path, west: float) -> None:
    expected = burnt(raster(tmp_path, 8.0, "b.tif"), polygon(8.0))
    assert expected.sum() > 300
    source = raster(tmp_path, west)
    for turns in (0, 1, -1):
        assert (burnt(source, polygon(west, turns)) == expected).all(), turns
    zone = int((west + 180) // 6) % 60 + 1
    assert (
        burnt(source, polygon(west, crs=f"EPSG:{32600 + zone}"), f"EPSG:{32600 + zone}") == expected
    ).all()


def test_a_mask_of_another_turn_as_a_raster(tmp_path: Path) -> None:
    source = raster(tmp_path, 190.0)
    values = np.zeros((1, 40, 60), np.uint8)
    values[0, 10:20, 20:40] = 1
    place = Affine(STEP, 0, -170.0, 0, -STEP, 50)
    mask = from_raster(write(tmp_path / "m.tif", values, crs="EPSG:4326", transform=place), source)
    assert mask.box == source.box
    assert (mask.rasterize(source.box) == (values[0] > 0)).all()


@pytest.mark.parametrize("west", [190.0, -190.0, 180 - 30 * STEP])
def test_the_working_grid_is_that_of_the_plain_longitude(tmp_path: Path, west: float) -> None:
    around = Box(col=10, row=8, width=30, height=22)
    here = working_grid_for(raster(tmp_path, west), around, tiny_card("inpaint"))
    assert here.gsd.x == pytest.approx(0.717, abs=0.01)
    box = here.source_box(here.box(around))
    assert box is not None
    assert box.col <= 10
    assert box.col + box.width >= 40
    view = np.full((3, 64, 64), 0.5, np.float32)
    canvas = here.box(around).model_copy(update={"width": 64, "height": 64})
    assert (here.onto_source(view, canvas, around)[:, 4:-4, 4:-4] > 0.49).all(), "the way back lands there"


def test_a_meridian_in_degrees_of_a_crs_of_its_own() -> None:
    paris = pyproj.CRS("EPSG:4275")  # NTF, its prime meridian Greenwich
    there = pyproj.Transformer.from_crs(paris, from_meridian(paris, 190.0), always_xy=True)
    assert there.transform(-170.0, 45.0) == pytest.approx((0.0, 45.0), abs=1e-9)


# ---- clipping


def test_clipping_is_what_geos_comes_to() -> None:
    chance = np.random.default_rng(3)
    for _ in range(200):
        angles = (np.arange(9) + chance.uniform(0, 0.9, 9)) * 2 * np.pi / 9
        ring = np.stack([np.cos(angles), np.sin(angles)], 1) * chance.uniform(0.3, 2, (9, 1))
        ring = np.concatenate([ring, ring[:1]])
        part = clipped(ring, (-0.5, -0.8, 0.9, 0.4))
        expected = shapely.Polygon(ring).intersection(shapely.box(-0.5, -0.8, 0.9, 0.4)).area
        x, y = part.T if len(part) else (np.zeros(1), np.zeros(1))
        assert abs(float(x[:-1] @ y[1:] - x[1:] @ y[:-1])) / 2 == pytest.approx(expected, abs=1e-9)


def test_the_whole_world_covers_a_raster(tmp_path: Path) -> None:
    world = {
        "type": "Polygon",
        "coordinates": [[[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]],
    }
    for crs, place in (
        ("EPSG:32632", Affine(1, 0, 5e5, 0, -1, 5.2e6)),
        ("EPSG:4326", Affine(STEP, 0, 190.0, 0, -STEP, 50)),
        ("EPSG:3857", Affine(1.5, 0, 1e6, 0, -1.5, 6e6)),
    ):
        path = write(tmp_path / "a.tif", np.full((1, 40, 60), 90, np.uint8), crs=crs, transform=place)
        assert burnt(read_header(path), world).all(), crs


def test_what_is_near_is_passed_as_it_is(tmp_path: Path) -> None:
    source = raster(tmp_path, 8.0)
    ring = np.array([(8.0, 50.0), (8.0001, 50.0), (8.0, 49.9999), (8.0, 50.0)])
    (part,) = Nearby(source, source.crs).parts([ring])
    assert part[0] is ring
    assert list(Nearby(source, source.crs).parts([ring + 3])) == []
