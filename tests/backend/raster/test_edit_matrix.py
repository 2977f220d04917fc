"""What an edit promises, on files: nothing changes outside the mask, whatever the raster is like.

The paint is that of a tiny random model; the masks are also tried with a stand-in that is quick.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp

from model_backend.arrays import Float32Array
from model_backend.errors import InvalidInput
from model_backend.processes.painting import Prepared
from model_backend.raster.files.source import read
from tests.support.backend.file_editor import FileEditor
from tests.support.backend.raster_files import GRIDS, NODATA, differences, facts, polygon, rich_scene


@pytest.mark.parametrize(
    ("dtype", "bands", "grid", "nodata"),
    [
        (dtype, bands, grid, nodata)
        for dtype, bands, grid, nodata in itertools.product(NODATA, (1, 3, 4, 8), GRIDS, (True, False))
    ],
)
def test_nothing_changes_outside_the_mask(
    editor: FileEditor, tmp_path: Path, dtype: str, bands: int, grid: str, nodata: bool
) -> None:
    path = rich_scene(tmp_path / "scene.tif", dtype, bands, grid, NODATA[dtype] if nodata else None)
    mask, crs = polygon(path, [(30, 12), (66, 20), (58, 50), (34, 44)])
    out = editor.run(path, mask, crs)
    changed = differences(path, out)
    assert editor.mask.sum() > 900
    assert not changed[:, ~editor.mask].any()
    assert changed[:, editor.mask].mean() > (0.8 if dtype == "uint8" else 0.95)
    assert facts(path) == facts(out)
    with rasterio.open(out) as file:
        assert file.tags()["SENSOR"] == "a camera"
        assert file.tags()["TIFFTAG_IMAGEDESCRIPTION"] == "the field behind the house"
        assert file.tags()["AI_GENERATED"] == "YES"
        borrowed = bands > 3 and ColorInterp.alpha not in file.colorinterp
        assert ("AI_EXTRA_BANDS" in file.tags()) == borrowed
        assert file.tags(1) == {"WAVELENGTH": "red"}
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        if nodata:  # filled in the mask, still there outside
            empty = file.dataset_mask() == 0
            assert not empty[editor.mask].any()
            assert empty[~editor.mask].any()


corner = st.tuples(st.floats(-20, 110, width=32), st.floats(-20, 92, width=32))
blobs = st.lists(corner, min_size=3, max_size=9)


@st.composite
def strokes(draw: st.DrawFn) -> list[tuple[float, float]]:
    """A thin line of some width, as a polygon."""
    (x0, y0), (x1, y1) = draw(corner), draw(corner)
    length = max(1.0, float(np.hypot(x1 - x0, y1 - y0)))
    half = draw(st.floats(0.02, 1.5)) / 2
    dx, dy = (y1 - y0) / length * half, -(x1 - x0) / length * half
    return [(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)]


def stripes(prepared: Prepared) -> Float32Array:
    """A quick stand-in for the model: few colours, none of them the scene's."""
    bands = np.arange(prepared.canvas.width) // 8 % 2 * np.array([0.9, 0.3, 0.6])[:, None, None]
    return np.broadcast_to(bands, (3, prepared.canvas.height, prepared.canvas.width)).astype(np.float32)


@given(
    parts=st.lists(st.tuples(st.one_of(blobs, strokes()), st.booleans()), min_size=1, max_size=3),
    grow=st.sampled_from([0.0, 0.0, 3.5]),
    feather=st.sampled_from([0.0, 4.0]),
)
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
def test_200_random_masks(
    editor: FileEditor,
    tmp_path: Path,
    parts: list[tuple[list[tuple[float, float]], bool]],
    grow: float,
    feather: float,
) -> None:
    path = tmp_path / "scene.tif"
    if not path.exists():
        rich_scene(path, "uint16", 4, "utm", None)
    rings = []
    for corners, holed in parts:
        ring = polygon(path, corners)[0]["coordinates"][0]
        middle = np.mean(ring[:-1], axis=0)
        hole = [(middle + (np.array(at) - middle) * 0.4).tolist() for at in ring]
        rings.append([ring, hole] if holed else [ring])
    mask = {"type": "MultiPolygon", "coordinates": rings}
    refused: list[InvalidInput] = []
    try:
        out = editor.run(path, mask, "EPSG:32632", stripes, grow=grow, feather=feather)
    except InvalidInput as error:
        refused = [error]
    if refused:
        assert refused[0].field in ("mask", "extra_bands")
        assert str(refused[0]).endswith(".")
        return
    changed = differences(path, out)
    assert not changed[:, ~editor.mask].any()
    assert changed[:3, editor.mask].any()
    assert facts(path) == facts(out)


@pytest.mark.parametrize("dtype", list(NODATA))
@pytest.mark.parametrize("grid", ["utm", "rotated"])
def test_an_edit_that_paints_what_is_there_changes_nothing(
    editor: FileEditor, tmp_path: Path, dtype: str, grid: str
) -> None:
    path = rich_scene(tmp_path / "scene.tif", dtype, 3, grid, None)
    mask, crs = polygon(path, [(30, 12), (66, 20), (58, 50), (34, 44)])
    with rasterio.open(path) as file:
        ends = [[float(band.min()), float(band.max())] for band in file.read()]

    def the_same(prepared: Prepared) -> Float32Array:
        """The view as it is, before it is clipped for a model."""
        return prepared.stretch.view(read(prepared.source, prepared.canvas, prepared.source.roles.visible))

    out = editor.run(path, mask, crs, the_same, stretch=ends, feather=5.0)
    assert not differences(path, out).any()
