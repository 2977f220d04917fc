"""Rasters of classes: which cell lies at a pixel, in any CRS, and what values are taken for classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest
from affine import Affine

from model_backend.errors import InvalidInput
from model_backend.raster.class_raster import NOTHING, CellPlaces, ClassRaster, cell_size
from model_backend.raster.files.source import read_header
from model_backend.schemas import Box, Frame
from tests.support.backend.raster_files import write

FRAMES = {
    "utm": Frame(crs="EPSG:32633", pixel_size=["0.5", "0.5"], anchor=[500000.0, 5400000.0]),
    "mercator": Frame(crs="EPSG:3857", pixel_size=["130", "130"], anchor=[1669792.0, 6215000.0]),
    "pole": Frame(crs="EPSG:5041", pixel_size=["130", "130"], anchor=[2000000.0, 2000000.0]),
}
RASTERS = {
    "degrees": ("EPSG:4326", Affine(1 / 12000, 0, 14.95, 0, -1 / 12000, 48.8)),
    "laea": ("EPSG:3035", Affine(100, 0, 4680000, 0, -100, 2880000)),
    "rotated": ("EPSG:32633", Affine(7, 3, 499000, 3, -7, 5401000)),
    "fine": ("EPSG:25833", Affine(0.2, 0, 499000, 0, -0.2, 5401000)),
    "world": ("EPSG:4326", Affine(0.05, 0, -180, 0, -0.05, 90)),
    "from 0 to 360": ("EPSG:4326", Affine(0.05, 0, 0, 0, -0.05, 90)),
}


def classes(path: Path, values: np.ndarray, **profile: object) -> ClassRaster:
    return ClassRaster.of(write(path, values[None], **profile), None)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("raster", RASTERS)
def test_cells_lie_where_they_are(tmp_path, frame, raster):
    crs, transform = RASTERS[raster]
    size = (3600, 7200) if "0.05" in str(transform.a) else (400, 400)
    path = write(tmp_path / "c.tif", np.zeros((1, *size), np.uint8), crs=crs, transform=transform)
    places = CellPlaces(read_header(path, codes=True), FRAMES[frame], Box(col=3, row=2, width=9, height=9))
    rows, cols = np.arange(-57, 200), np.arange(-1000, -700)
    down, right = places.at(rows, cols)
    where = FRAMES[frame]
    x, y = np.meshgrid(
        where.anchor[0] + (cols + 0.5) * float(where.pixel_size[0]),
        where.anchor[1] - (rows + 0.5) * float(where.pixel_size[1]),
    )
    x, y = pyproj.Transformer.from_crs(where.crs, crs, always_xy=True).transform(x, y)
    if raster == "from 0 to 360":
        x = x % 360
    col, row = ~transform @ (np.asarray(x), np.asarray(y))
    pixel = np.maximum(1.0, np.hypot(np.gradient(col, axis=1), np.gradient(row, axis=1)))
    known = np.isfinite(col) & (np.abs(col) < 1e8) & (np.abs(row) < 1e8)
    assert known.any()
    assert (np.abs(down / 256 - row + 2) / pixel)[known].max() < 0.35
    assert (np.abs(right / 256 - col + 3) / pixel)[known].max() < 0.35
    # And so they do for any part of it.
    for some_rows, some_cols in ((rows[5:90], cols[40:41]), (rows[60:], cols[::8])):
        part = places.at(some_rows, some_cols)
        at = np.ix_(np.searchsorted(rows, some_rows), np.searchsorted(cols, some_cols))
        assert np.array_equal(part[0], down[at])
        assert np.array_equal(part[1], right[at])


def test_the_cells_around_a_box_are_found(tmp_path):
    crs, transform = RASTERS["degrees"]
    raster = classes(tmp_path / "c.tif", np.zeros((2400, 2400), np.uint8), crs=crs, transform=transform)
    places = CellPlaces(raster.source, FRAMES["utm"], raster.source.box)
    box = Box(col=100, row=-50, width=4000, height=3000)
    around = places.around(box)
    assert around is not None
    down, right = places.at(np.arange(-50, 2950), np.arange(100, 4100))
    assert around.row <= (down >> 8).min() - 2
    assert around.row + around.height > (down >> 8).max() + 2
    assert around.col <= (right >> 8).min() - 2
    assert around.width < 1.2 * 4000 * 0.5 / 6.0 + 20
    assert places.around(Box(col=10**7, row=0, width=10, height=10)) is None


def test_cells_have_a_size_on_the_ground(tmp_path):
    crs, transform = RASTERS["degrees"]
    raster = classes(tmp_path / "c.tif", np.zeros((400, 400), np.uint8), crs=crs, transform=transform)
    assert cell_size(raster.source) == pytest.approx((9.27 * 6.12) ** 0.5, rel=0.01)


def test_every_value_is_asked_for_once_and_nodata_never(tmp_path):
    values = np.array([[10, 20, 0], [255, 10, 60_000]])
    asked: list[int] = []

    def label(value: int) -> int:
        asked.append(value)
        return {10: 1, 20: 2}.get(value, NOTHING)

    for number, kind in enumerate(("uint16", "int32", "float32", "float64")):
        asked.clear()
        path = tmp_path / f"{number}.tif"
        raster = classes(path, np.repeat(values, 3, 1).astype(kind), nodata=0)
        cells = raster.cells(raster.source.box, label)
        assert sorted(asked) == [10, 20, 255, 60_000]
        assert cells[:, ::3].tolist() == [[1, 2, NOTHING], [NOTHING, 1, NOTHING]]


def test_a_colour_table_is_no_hindrance(tmp_path):
    import rasterio

    path = write(tmp_path / "c.tif", np.full((1, 5, 5), 7, np.uint8))
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {7: (255, 0, 0, 255)})
    raster = ClassRaster.of(path, None)
    assert (raster.cells(raster.source.box, lambda value: value) == 7).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.linspace(0, 9, 400, dtype=np.float32).reshape(20, 20), "which are no classes"),
        (np.full((20, 20), 1e300), "which are no classes"),
        (np.arange(90_000, dtype=np.int32).reshape(300, 300), "more than 1,000 different values"),
        (70_000 * np.arange(90_000, dtype=np.int64).reshape(300, 300), "more than 1,000 different values"),
    ],
)
def test_measurements_are_no_classes(tmp_path, values, words):
    raster = classes(tmp_path / "c.tif", values)
    with pytest.raises(InvalidInput, match=words):
        raster.cells(raster.source.box, lambda _value: 0)


def test_the_band_is_named_where_there_are_several(tmp_path):
    path = write(tmp_path / "c.tif", np.stack([np.full((5, 5), n, np.uint8) for n in (1, 2, 3)]))
    with pytest.raises(InvalidInput, match="3 bands: name the one with the classes") as error:
        ClassRaster.of(path, None)
    assert error.value.field == "band"
    raster = ClassRaster.of(path, 2)
    assert (raster.cells(raster.source.box, lambda value: value) == 2).all()
    with pytest.raises(InvalidInput) as error:
        ClassRaster.of(path, 4)
    assert error.value.field == "band"
