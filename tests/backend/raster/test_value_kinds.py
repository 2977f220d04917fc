"""Values of rasters: of few bits, all the same, none, codes of classes, undeclared nodata; and spheres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from model_backend.arrays import Float32Array
from model_backend.engine.editing.composite import cast
from model_backend.errors import InvalidInput
from model_backend.processes.painting import Prepared
from model_backend.raster.files.source import read_header
from model_backend.raster.files.upload_check import Refused, rewrite
from model_backend.raster.stretch import stretch_for
from model_backend.raster.value_warnings import leaves_range, value_warnings
from model_backend.raster.working_grid import working_grid_for
from model_backend.schemas import Box
from tests.support.backend.file_editor import FileEditor
from tests.support.backend.raster_files import polygon, write
from tests.support.backend.tiny_models import tiny_card

KNOWN = np.ones((40, 40), np.bool_)


def scene(most: float, dtype: str) -> NDArray[Any]:
    row, col = np.mgrid[:72, :90]
    bands = [0.5 + 0.45 * np.sin((row + number) / 9) * np.cos(col / 7) for number in range(3)]
    return (np.stack(bands) * most).astype(dtype)


def glaring(prepared: Prepared) -> Float32Array:
    """A view much brighter than white in the middle of the mask."""
    view = np.full((3, prepared.canvas.height, prepared.canvas.width), 0.5, np.float32)
    at, canvas = prepared.at, prepared.canvas
    col, row = at.col - canvas.col + at.width // 2, at.row - canvas.row + at.height // 2
    view[:, row - 6 : row + 6, col - 6 : col + 6] = 9
    return view


@pytest.mark.parametrize(
    ("bits", "dtype"), [(7, "uint8"), (10, "uint16"), (12, "uint16"), (15, "uint16"), (24, "uint32")]
)
def test_few_bits_stay_few(editor: FileEditor, tmp_path: Path, bits: int, dtype: str) -> None:
    path = write(tmp_path / "a.tif", scene(2**bits - 1, dtype), nbits=bits)
    mask, crs = polygon(path, [(30, 12), (66, 20), (58, 50), (34, 44)])
    with rasterio.open(editor.run(path, mask, crs, glaring)) as out, rasterio.open(path) as source:
        painted = out.read()[:, editor.mask]
        assert painted.max() == 2**bits - 1
        assert (out.read()[:, ~editor.mask] == source.read()[:, ~editor.mask]).all()
        assert out.tags(1, ns="IMAGE_STRUCTURE")["NBITS"] == str(bits)


def test_no_value_becomes_nodata_that_is_the_highest() -> None:
    found = cast(np.array([9e9, 4095.0, 3.2]), np.dtype("uint16"), 4095.0, 4095)
    assert found.tolist() == [4094, 4094, 3]


@pytest.mark.parametrize(
    "crs",
    [
        "+proj=sinu +R=6371007.181 +units=m",
        "ESRI:53008",
        "+proj=longlat +R=6371229",
        "+proj=laea +lat_0=45 +R=6371228",
    ],
)
def test_a_sphere_is_measured(tmp_path: Path, crs: str) -> None:
    place = Affine(1e-5, 0, 8, 0, -1e-5, 50) if "longlat" in crs else Affine(2, 0, 60000, 0, -2, 50000)
    source = read_header(write(tmp_path / "a.tif", scene(200, "uint8"), crs=crs, transform=place))
    work = working_grid_for(source, Box(col=20, row=20, width=20, height=20), tiny_card("inpaint"))
    expected = (0.715, 1.112) if "longlat" in crs else (2.0, 2.0)
    assert (work.gsd.x, work.gsd.y) == pytest.approx(expected, rel=0.02)


def test_complex_numbers_are_refused_in_words(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.ones((1, 9, 9), np.complex64), dtype="complex_int16")
    with pytest.raises(Refused, match="complex numbers"):
        rewrite(path, tmp_path / "b.tif", 1 << 20)


# ---- the stretch


def test_a_flat_band_takes_the_range_of_the_others() -> None:
    values = np.stack([np.full((40, 40), 400.0), np.arange(1600.0).reshape(40, 40)])
    (flat, _) = stretch_for(None, values, KNOWN).ranges
    assert flat[0] < 400 < flat[1]
    assert flat[1] - flat[0] > 1000


def test_a_few_bright_pixels_are_a_range() -> None:
    values = np.full((1, 40, 40), 3.0)
    values[0, 0, 0] = 9
    assert stretch_for(None, values, KNOWN).ranges == ((3.0, 9.0),)


@pytest.mark.parametrize(
    ("values", "known", "says"),
    [
        (np.full((1, 40, 40), 400, np.uint16), KNOWN, "one value, 400"),
        (np.ones((1, 40, 40)), ~KNOWN, "has no value"),
    ],
)
def test_no_range_is_refused(values: NDArray[Any], known: NDArray[np.bool_], says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as raised:
        stretch_for(None, values, known)
    assert raised.value.field == "stretch"
    assert stretch_for([[0, 1000]], values, known).ranges == ((0.0, 1000.0),)


# ---- doubts


def test_meaningless_values_are_told() -> None:
    chance = np.random.default_rng(0)
    heights = chance.normal(300, 40, (1, 40, 40)).astype(np.float32)
    codes = chance.integers(1, 8, (1, 40, 40)).astype(np.uint8) * 10
    assert value_warnings(heights, KNOWN) == []
    assert value_warnings(chance.integers(0, 255, (1, 40, 40)).astype(np.uint8), KNOWN) == []
    assert "codes of classes" in value_warnings(codes, KNOWN)[0]
    assert value_warnings(np.repeat(codes, 3, 0), KNOWN) == []
    for value in (-9999, -3.4e38, 1e20):
        holes = heights.copy()
        holes[0, :6, :6] = value
        assert f"value {value:g}" in value_warnings(holes, KNOWN)[0]
        assert value_warnings(holes, KNOWN & (holes[0] != np.float32(value))) == []


def test_painted_values_far_beyond_the_others_are_told() -> None:
    around = np.array([100.0, 300.0, np.float64(200)])
    assert not leaves_range(np.array([-50.0, 480.0]), around)
    assert leaves_range(np.array([-150.0, 280.0]), around)
    assert leaves_range(np.array([150.0, 501.0]), around)
    assert not leaves_range(np.empty(0), around)
