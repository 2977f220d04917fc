"""Masks: polygons of every kind in any CRS, and rasters, onto the pixels of the raster that is edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from model_backend.errors import InvalidInput
from model_backend.models.card import ModelCard
from model_backend.processes import edit
from model_backend.processes.painting import Prepared
from model_backend.raster.files.source import Source, read_header
from model_backend.raster.georeference.grids import slices_in
from model_backend.raster.mask import from_geojson
from model_backend.schemas import Box
from model_backend.settings import Settings
from tests.support.backend.planning import plan_context
from tests.support.backend.tiny_models import tiny_card

pytestmark = pytest.mark.fast

UTM = "EPSG:32632"
NORTH_UP = Affine(2, 0, 500000, 0, -2, 5200000)


def raster(
    folder: Path, transform: Affine = NORTH_UP, crs: str = UTM, size: tuple[int, int] = (60, 80)
) -> Path:
    path = folder / "source.tif"
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": size[0], "width": size[1]}
    with rasterio.open(path, "w", **profile, crs=crs, transform=transform) as file:
        file.write(np.full((3, *size), 100, np.uint8))
    return path


def square(
    col: float, row: float, width: float, height: float, transform: Affine = NORTH_UP
) -> dict[str, Any]:
    """A rectangle of pixels as GeoJSON in the raster's CRS."""
    corners = [(col, row), (col + width, row), (col + width, row + height), (col, row + height), (col, row)]
    return {"type": "Polygon", "coordinates": [[list(transform @ corner) for corner in corners]]}


def burnt(source: Source, geometry: dict[str, Any], crs: str = UTM) -> NDArray[np.bool_]:
    return from_geojson(geometry, crs, source).rasterize(source.box)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return read_header(raster(tmp_path))


def pixels(rows: slice, cols: slice) -> NDArray[np.bool_]:
    out = np.zeros((60, 80), np.bool_)
    out[rows, cols] = True
    return out


def test_a_pixel_counts_by_its_centre(source: Source) -> None:
    assert np.array_equal(burnt(source, square(10, 20, 5, 3)), pixels(slice(20, 23), slice(10, 15)))
    assert np.array_equal(burnt(source, square(10.4, 20.4, 5, 3)), pixels(slice(20, 23), slice(10, 15)))
    assert np.array_equal(burnt(source, square(10.6, 20.6, 5, 3)), pixels(slice(21, 24), slice(11, 16)))


@pytest.mark.parametrize(
    "transform",
    [NORTH_UP @ Affine.rotation(30), Affine(2, 0.4, 5e5, 0.2, -2, 5.2e6), Affine(2, 0, 5e5, 0, 2, 5e6)],
)
def test_rotated_sheared_and_south_up_rasters(tmp_path: Path, transform: Affine) -> None:
    source = read_header(raster(tmp_path, transform))
    found = burnt(source, square(10, 20, 5, 3, transform))
    assert np.array_equal(found, pixels(slice(20, 23), slice(10, 15)))


def test_holes_multipolygons_features_and_collections(source: Source) -> None:
    outer, hole, other = square(10, 10, 10, 10), square(13, 13, 4, 4), square(40, 10, 5, 5)
    holed = {"type": "Polygon", "coordinates": [outer["coordinates"][0], hole["coordinates"][0]]}
    both = {"type": "MultiPolygon", "coordinates": [holed["coordinates"], other["coordinates"]]}
    expected = pixels(slice(10, 20), slice(10, 20)) | pixels(slice(10, 15), slice(40, 45))
    expected[13:17, 13:17] = False
    features = [{"type": "Feature", "properties": {}, "geometry": item} for item in (holed, other)]
    for mask in (
        both,
        {"type": "GeometryCollection", "geometries": [holed, other]},
        {"type": "Feature", "properties": None, "geometry": both},
        {"type": "FeatureCollection", "features": features},
    ):
        assert np.array_equal(burnt(source, mask), expected), mask["type"]


def test_overlapping_polygons_join(source: Source) -> None:
    both = {"type": "GeometryCollection", "geometries": [square(10, 10, 10, 10), square(15, 10, 10, 10)]}
    assert np.array_equal(burnt(source, both), pixels(slice(10, 20), slice(10, 25)))


def test_a_polygon_that_crosses_itself_is_filled_on_both_sides(source: Source) -> None:
    corners = [NORTH_UP @ at for at in ((10, 10), (30, 30), (30, 10), (10, 30), (10, 10))]
    found = burnt(source, {"type": "Polygon", "coordinates": [[list(at) for at in corners]]})
    assert found[20, 11]
    assert found[20, 28]
    assert not found[12, 20]
    assert not found[28, 20]
    row, col = np.mgrid[:60, :80] + 0.5
    down, right = np.abs(row - 20), np.abs(col - 20)
    clear = down != right  # no centre on the outline
    assert np.array_equal(found[clear], ((down < right) & (right < 10))[clear])  # by centres: it is not thin


def test_thin_strokes_and_specks_do_not_vanish(source: Source) -> None:
    stroke = burnt(source, square(10.1, 20.6, 30, 0.2))
    assert np.array_equal(stroke, pixels(slice(20, 21), slice(10, 41)))
    assert burnt(source, square(33.1, 12.1, 0.1, 0.1)).sum() == 1
    slope = [NORTH_UP @ at for at in ((5, 5), (45, 30), (45, 30.2), (5, 5.2), (5, 5))]
    found = burnt(source, {"type": "Polygon", "coordinates": [[list(at) for at in slope]]})
    assert found.any(0)[5:45].all()  # no gap


def test_any_crs_and_axis_order(source: Source) -> None:
    here = square(10, 20, 20, 16)
    ring = np.array(here["coordinates"][0])
    expected = pixels(slice(20, 36), slice(10, 30))
    for crs, swapped in (
        ("OGC:CRS84", False),
        ("EPSG:3857", False),
        ("http://www.opengis.net/def/crs/EPSG/0/4326", True),
    ):
        target = crs if not swapped else "EPSG:4326"
        to = pyproj.Transformer.from_crs(UTM, target, always_xy=True)
        x, y = to.transform(ring[:, 0], ring[:, 1])
        moved = np.stack([y, x] if swapped else [x, y], axis=1).tolist()
        assert np.array_equal(burnt(source, {"type": "Polygon", "coordinates": [moved]}, crs), expected), crs


def test_straight_lines_of_another_crs_bend(tmp_path: Path) -> None:
    # 60 km along a parallel: its chord in UTM is off by some 100 m.
    source = read_header(raster(tmp_path, Affine(100, 0, 500000, 0, -100, 6_650_000), size=(700, 700)))
    to = pyproj.Transformer.from_crs("EPSG:4326", UTM, always_xy=True)
    found = burnt(
        source,
        {
            "type": "Polygon",
            "coordinates": [[[9.05, 59.7], [10, 59.7], [10, 59.9], [9.05, 59.9], [9.05, 59.7]]],
        },
        "OGC:CRS84",
    )
    x, y = to.transform(9.5, 59.9)
    top = int((6_650_000 - y) / 100)
    col = int((x - 500000) / 100)
    assert abs(int(np.flatnonzero(found[:, col])[0]) - top) <= 1


@pytest.mark.parametrize(
    ("geometry", "crs", "field", "says"),
    [
        ({"type": "FeatureCollection", "features": []}, UTM, "mask", "no polygon"),
        ({"type": "Polygon", "coordinates": []}, UTM, "mask", "no polygon"),
        ({"type": "Point", "coordinates": [1, 2]}, UTM, "mask", "must be"),
        ({"type": "Feature", "geometry": None}, UTM, "mask", "must be"),
        ({"type": "Polygon"}, UTM, "mask", "no list"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, UTM, "mask", "three corners"),
        ({"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [2, 2]]]}, UTM, "mask", "not lists"),
        ({"type": "Polygon", "coordinates": [[5, 6, 7]]}, UTM, "mask", "not lists"),
        (
            {"type": "Polygon", "coordinates": [[[1e300, 0], [1, 1], [2, 2]]]},
            UTM,
            "mask.crs",
            "cannot be placed",
        ),
        (
            {"type": "Polygon", "coordinates": [[[500000, 5e6], [5e5, 6e6], [6e5, 6e6]]]},
            "OGC:CRS84",
            "mask.crs",
            "cannot",
        ),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}, "nowhere", "mask.crs", "no CRS"),
    ],
)
def test_masks_that_mean_nothing(
    source: Source, geometry: dict[str, Any], crs: str, field: str, says: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        burnt(source, geometry, crs)
    assert raised.value.field == field
    assert says in str(raised.value)


# ---- what an edit makes of them -------------------------------------------------------------------------


CARD = tiny_card("inpaint")


def prepare(source: Path, mask: dict[str, Any] | Path, card: ModelCard = CARD, **inputs: Any) -> Prepared:
    named: dict[str, Any] = {"upload": "0" * 32}
    wanted = edit.PROCESS.parse(
        {
            "prompt": "a lake",
            "source": named,
            "mask": named if isinstance(mask, Path) else {"geojson": mask, "crs": UTM},
            **inputs,
        }
    )
    rasters = {"source": source} | ({"mask": mask} if isinstance(mask, Path) else {})
    return edit.PROCESS.prepare(wanted, card, plan_context(Settings(), rasters=rasters))


def mask_raster(
    folder: Path, values: NDArray[Any], transform: Affine, crs: str = UTM, **profile: Any
) -> Path:
    path = folder / "mask.tif"
    size = {"count": 1, "height": values.shape[0], "width": values.shape[1], "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **size, **profile) as file:
        file.write(values[None])
    return path


def painted(prepared: Prepared) -> NDArray[np.bool_]:
    out = np.zeros((prepared.source.height, prepared.source.width), np.bool_)
    out[slices_in(prepared.at, prepared.source.box)] = prepared.paint
    return out


def test_a_raster_as_mask(tmp_path: Path) -> None:
    values = np.zeros((60, 80), np.float32)
    values[20:23, 10:15] = 0.5
    values[40, 40] = -1
    path = raster(tmp_path)
    prepared = prepare(path, mask_raster(tmp_path, values, NORTH_UP))
    assert prepared.at == Box(col=10, row=20, width=5, height=3)
    assert np.array_equal(painted(prepared), values > 0)
    # On a grid of its own, finer and moved by a whole pixel: the same ground.
    fine = np.kron(values, np.ones((2, 2), np.float32))
    moved = prepare(
        path, mask_raster(tmp_path, fine, NORTH_UP @ Affine.translation(1, 1) @ Affine.scale(0.5))
    )
    assert np.array_equal(painted(moved), np.roll(values, (1, 1), (0, 1)) > 0)
    # Nodata is not the mask.
    masked = np.where(values > 0, np.float32(1), np.float32(9))
    prepared = prepare(path, mask_raster(tmp_path, masked, NORTH_UP, nodata=9))
    assert np.array_equal(painted(prepared), values > 0)
    with pytest.raises(InvalidInput, match="empty"):
        prepare(path, mask_raster(tmp_path, np.zeros((60, 80), np.uint8), NORTH_UP))


def test_growing_is_in_metres_and_reaches_into_the_raster(tmp_path: Path) -> None:
    path = raster(tmp_path)
    grown = painted(prepare(path, square(20, 20, 1, 1), grow=6.0))
    rows, cols = np.nonzero(grown)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (17, 23, 17, 23)  # 3 pixels of 2 m
    outside = painted(prepare(path, square(-4, 20, 2, 2), grow=8.0))
    assert outside[20:22, 0].all()
    assert not outside[:, 4:].any()


@pytest.mark.parametrize(
    ("mask", "at"),
    [
        (square(0, 0, 80, 60), Box(col=0, row=0, width=80, height=60)),
        (square(-500, -500, 5000, 5000), Box(col=0, row=0, width=80, height=60)),
        (square(79, 59, 1, 1), Box(col=79, row=59, width=1, height=1)),
        (square(70, -10, 40, 20), Box(col=70, row=0, width=10, height=10)),
    ],
)
def test_whole_beyond_and_at_the_edge(tmp_path: Path, mask: dict[str, Any], at: Box) -> None:
    assert prepare(raster(tmp_path), mask).at == at


def test_outside_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="outside") as raised:
        prepare(raster(tmp_path), square(200, 200, 10, 10))
    assert raised.value.field == "mask"
    with pytest.raises(InvalidInput, match="covers no pixel"):
        prepare(raster(tmp_path), square(79.7, 10, 10, 10))


def test_limits_are_sentences(tmp_path: Path) -> None:
    path = raster(tmp_path)
    for field in ("grow", "feather"):
        with pytest.raises(InvalidInput, match="256 pixels") as raised:
            prepare(path, square(20, 20, 4, 4), **{field: 600.0})
        assert raised.value.field == field
    large = raster(tmp_path, size=(6000, 6000))
    with pytest.raises(InvalidInput, match="in parts"):
        prepare(large, square(0, 0, 6000, 6000))
