"""A raster continued over more land: what it had stays to the byte, and only the new land costs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint

from model_backend.engine.editing.composite import continued
from model_backend.errors import InvalidInput, TooLarge
from model_backend.evaluation.metrics.lines import Lines, seam_ratio, tone_step_ratio
from model_backend.models.card import read_card
from model_backend.models.loader import load
from tests.support.backend.file_editor import FileEditor
from tests.support.backend.raster_files import NODATA, rich_scene
from tests.support.backend.service import Backend, execute, finished, submit

ROOT = Path(__file__).resolve().parents[3]
MINI = ROOT / "resources" / "models" / "text2earth-mini"
SCENE = ROOT / "resources" / "demo" / "scene.tif"  # NAIP, 5 m, red, green, blue, near infrared
UTM = "EPSG:32632"
HEADER = ("crs", "count", "dtypes", "nodatavals", "scales", "offsets", "units", "descriptions", "colorinterp")


def around(path: Path, left: float, top: float, right: float, bottom: float) -> tuple[list[float], str]:
    """An extent whose sides lie so many pixels beyond those of a raster (inside it, if negative)."""
    with rasterio.open(path) as file:
        corners = [
            file.transform @ corner for corner in ((-left, -top), (file.width + right, file.height + bottom))
        ]
        (x0, y0), (x1, y1) = corners
        return [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)], file.crs.to_string()


def known(path: Path) -> NDArray[np.bool_]:
    with rasterio.open(path) as file:
        valid: NDArray[np.bool_] = file.dataset_mask() > 0
        return valid


def holds(editor: FileEditor, path: Path, out: Path, holes: bool = True) -> NDArray[Any]:
    """Hold a result against its source; returns the result's pixels."""
    with rasterio.open(path) as old, rasterio.open(out) as new:
        col, row = ~new.transform @ (old.transform.c, old.transform.f)
        place = np.s_[:, round(row) : round(row) + old.height, round(col) : round(col) + old.width]
        assert new.transform.almost_equals(old.transform @ Affine.translation(-round(col), -round(row)), 1e-9)
        pixels, before = new.read(), old.read()
        stays = known(path) if holes else np.ones(before.shape[1:], np.bool_)
        assert pixels[place][:, stays].tobytes() == before[:, stays].tobytes()
        assert not editor.mask[place[1:]][stays].any()
        for name in HEADER:
            assert getattr(new, name) == getattr(old, name), name
        assert new.tags()["AI_GENERATED"] == "YES"
        assert new.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        beyond = np.ones(pixels.shape[1:], np.bool_)
        beyond[place[1:]] = False
        assert (new.dataset_mask()[beyond] > 0).all()
        assert not beyond.any() or len(np.unique(pixels[:, beyond])) > 10
        return np.asarray(pixels)


@pytest.mark.parametrize("dtype", list(NODATA))
@pytest.mark.parametrize(
    ("grid", "bands", "nodata"),
    [("utm", 5, True), ("degrees", 3, True), ("mercator", 1, False), ("feet", 4, False)],
)
def test_what_there_is_stays(
    editor: FileEditor, tmp_path: Path, dtype: str, grid: str, bands: int, nodata: bool
) -> None:
    path = rich_scene(tmp_path / "scene.tif", dtype, bands, grid, NODATA[dtype] if nodata else None)
    out = editor.extend(path, *around(path, 21, 0, 10, 34), fill_holes=True)
    pixels = holds(editor, path, out)
    assert pixels.shape == (bands, 72 + 34, 90 + 31)
    assert known(out).all()


def test_holes_are_an_option(editor: FileEditor, tmp_path: Path) -> None:
    path = rich_scene(tmp_path / "scene.tif", "uint8", 3, "utm", 0)
    out = editor.extend(path, *around(path, 0, 0, 30, 0), fill_holes=False)
    holds(editor, path, out, holes=False)
    assert (~known(out)).sum() == (~known(path)).sum() > 0
    half = around(path, 0, -30, 0, 0)  # its upper edge cuts the hole
    out = editor.extend(path, *half, fill_holes=True)
    assert (~known(out)).sum() == 10 * 27
    assert holds(editor, path, out).shape == (3, 72, 90)


def test_a_collar_without_values(editor: FileEditor, tmp_path: Path) -> None:
    """Beside a wide collar of nodata there is nothing to continue, unless it is made too."""
    path = tmp_path / "scene.tif"
    pixels = np.random.default_rng(0).integers(1, 255, (3, 64, 400), np.uint8)
    pixels[:, :, 100:] = 0
    size = {"driver": "GTiff", "width": 400, "height": 64, "count": 3, "dtype": "uint8", "nodata": 0}
    with rasterio.open(path, "w", **size, crs=UTM, transform=Affine(1, 0, 500000, 0, -1, 5200000)) as file:
        file.write(pixels)
    with pytest.raises(InvalidInput, match="no values near the new land"):
        editor.extend(path, *around(path, -400, 0, 20, 0), fill_holes=True)
    out = editor.extend(path, *around(path, -90, 0, 20, 0), fill_holes=True)
    assert holds(editor, path, out).shape == (3, 64, 420)
    assert known(out).all()


def test_a_rotated_grid_grows_around_the_extent(editor: FileEditor, tmp_path: Path) -> None:
    path = rich_scene(tmp_path / "scene.tif", "uint8", 3, "rotated", None)
    with rasterio.open(path) as file:
        x, y = file.transform @ (100, 36)
    out = editor.extend(path, [x - 10, y - 10, x + 10, y + 10], "EPSG:32632")
    pixels = holds(editor, path, out)
    assert 100 + 13 <= pixels.shape[2] <= 100 + 15
    assert pixels.shape[1] == 72


def test_control_points_move_along(editor: FileEditor, tmp_path: Path) -> None:
    points = [
        GroundControlPoint(row=row, col=col, x=500000 + col, y=5200000 - row)
        for row, col in ((0, 0), (0, 90), (72, 90), (72, 0))
    ]
    path = tmp_path / "scene.tif"
    size = {"driver": "GTiff", "width": 90, "height": 72, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **size, gcps=points, crs="EPSG:32632") as file:
        file.write(np.random.default_rng(0).integers(1, 255, (3, 72, 90), np.uint8))
    out = editor.extend(path, [499980.0, 5199960.0, 500010.0, 5200010.0], "EPSG:32632")
    with rasterio.open(out) as file:
        assert (file.width, file.height) == (110, 82)
        assert {(p.col, p.row) for p in file.gcps[0]} == {(20, 10), (110, 10), (110, 82), (20, 82)}


def test_the_same_land_whatever_the_extent(editor: FileEditor, tmp_path: Path) -> None:
    """Pixels keep their numbers, so the noise of a place is the same however far one extends."""
    path = rich_scene(tmp_path / "scene.tif", "uint8", 3, "utm", None)
    recipes = []
    for more in (10, 40):
        editor.extend(path, *around(path, more, 0, 0, 0))
        recipes.append(editor.prepared.work.frame)
        assert editor.prepared.at.col == -more
    assert recipes[0] == recipes[1]


def test_inside_the_raster(editor: FileEditor, tmp_path: Path) -> None:
    path = rich_scene(tmp_path / "scene.tif", "uint8", 3, "utm", None)
    with pytest.raises(InvalidInput, match="Every pixel of the extent has a value already"):
        editor.extend(path, *around(path, -10, -10, -10, -10), fill_holes=True)
    with pytest.raises(InvalidInput, match=r"is one of the raster's: there is nothing to make"):
        editor.extend(path, *around(path, -10, -10, -10, -10), fill_holes=False)


@pytest.mark.parametrize(
    ("bbox", "crs", "field", "sentence"),
    [
        ([500200.0, 5199900.0, 500300.0, 5200000.0], UTM, "extent.bbox", "does not touch the raster"),
        ([500000.0, 5199000.0, 500090.0, 5199920.0], UTM, "extent.bbox", "does not touch the raster"),
        ([500200.0, 5199900.0, 500200.0, 5200000.0], UTM, "extent.bbox", "is empty"),
        ([1e30, 1e30, 2e30, 2e30], "EPSG:3857", "extent.bbox", "cannot be placed"),
        ([500000.0, 5199000.0, 500090.0, 5200000.0], UTM, "extent", "one side at a time"),
        ([500000.0, -1e15, 500090.0, 5200000.0], UTM, "extent", "one side at a time"),
        ([500000.0, 5199900.0, 500090.0, 5200000.0], "EPSG:1", "extent.crs", "names no CRS"),
    ],
)
def test_refusals(
    editor: FileEditor, tmp_path: Path, bbox: list[float], crs: str, field: str, sentence: str
) -> None:
    path = rich_scene(tmp_path / "scene.tif", "uint8", 3, "utm", None)
    editor.limits = editor.limits.model_copy(update={"max_edit_pixels": 50_000})
    with pytest.raises((InvalidInput, TooLarge)) as caught:
        editor.extend(path, bbox, crs)
    assert caught.value.field == field
    assert sentence in str(caught.value)


def test_an_extent_in_another_crs_and_axis_order(editor: FileEditor, tmp_path: Path) -> None:
    path = rich_scene(tmp_path / "scene.tif", "uint8", 3, "degrees", None)
    (west, south, east, north), _ = around(path, 0, 0, 20, 0)
    uri = "http://www.opengis.net/def/crs/EPSG/0/4326"
    out = editor.extend(path, [south, west, north, east], uri)
    assert holds(editor, path, out).shape == (3, 72, 110)


def test_a_far_side_costs_nothing(editor: FileEditor, tmp_path: Path) -> None:
    """The windows that are computed, and the pixels that are held, are those at the new land."""
    counts = []
    for width in (200, 9000):
        path = tmp_path / f"{width}.tif"
        size = {"driver": "GTiff", "width": width, "height": 128, "count": 1, "dtype": "uint8"}
        place = {"crs": UTM, "transform": Affine(1, 0, 500000 - width, 0, -1, 5200000)}
        with rasterio.open(path, "w", **size, **place, tiled=True, compress="deflate") as file:
            file.write(np.random.default_rng(0).integers(1, 255, (1, 128, width), np.uint8))
        editor.extend(path, [499990.0, 5199872.0, 500032.0, 5200000.0], UTM)
        prepared = editor.prepared
        counts.append((prepared.canvas.width, prepared.canvas.height, prepared.at.width))
        assert prepared.join.width == 32 + 8
    assert counts[0] == counts[1]


def test_unknown_land_takes_the_tone_around() -> None:
    row, col = np.mgrid[:61, :90].astype(np.float32)
    view = np.stack([col / 90, np.full_like(col, 0.3)])
    there = col < 40
    there[20:30, 10:20] = False
    filled = continued(np.where(there, view, 0), there)
    assert (filled[:, there] == view[:, there]).all()
    assert np.abs(filled[1] - 0.3).max() < 1e-3
    hole = np.s_[0, 20:30, 10:20]
    assert np.abs(filled[hole] - view[hole]).max() < 0.09
    assert np.abs(filled[0, :, 50:] - 36 / 90).max() < 0.03
    assert (continued(view, np.zeros_like(there)) == view).all()


# ---- over HTTP


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory, inpaint_folder: Path) -> Iterator[Backend]:
    one = Backend(tmp_path_factory.mktemp("server") / "data", "--model", str(inpaint_folder)).start()
    yield one
    one.stop()


def test_a_job_and_its_plan(painter: Backend, tmp_path: Path) -> None:
    path = rich_scene(tmp_path / "scene.tif", "uint16", 4, "utm", None)
    bbox, crs = around(path, 0, 24, 0, 0)
    source = base64.b64encode(path.read_bytes()).decode()
    inputs = {
        "prompt": "a lake",
        "source": source,
        "extent": {"bbox": bbox, "crs": crs},
        "seed": 3,
        "steps": 2,
    }
    with painter.client() as client:
        asked = {"inputs": {"process": "extend", "inputs": inputs}}
        plan = client.post("/processes/plan/execution", json=asked).json()
        assert (plan["width"], plan["height"]) == (90, 96)
        assert plan["bbox"] == bbox
        assert plan["recipe"]["process"] == "extend"
        assert plan["recipe"]["grid"] == {"col": 0, "row": -24, "width": 90, "height": 24}
        job = submit(client, "extend", inputs)
        status = finished(client, job)
        assert status["status"] == "successful", status
        made = tmp_path / "made.tif"
        made.write_bytes(client.get(f"/jobs/{job}/results/image.tif").content)
        with rasterio.open(path) as old, rasterio.open(made) as new:
            assert new.shape == (96, 90)
            assert new.read()[:, 24:].tobytes() == old.read().tobytes()
            assert new.tags()["AI_EXTRA_BANDS"].startswith("values where it was painted")
        again = inputs | {"source": {"href": f"{painter.url}/jobs/{job}/results/image.tif"}}
        assert (
            finished(
                client,
                submit(client, "extend", again | {"extent": {"bbox": [bbox[0] - 9, *bbox[1:]], "crs": crs}}),
            )["status"]
            == "successful"
        )
        inside = inputs | {"extent": {"bbox": [bbox[0] + 9, *bbox[1:3], bbox[3] - 40], "crs": crs}}
        refused = execute(client, "extend", inside)
        assert (refused.status_code, refused.json()["field"]) == (400, "extent.bbox")


# ---- with the bundled model


@pytest.mark.slow
def test_the_old_border_does_not_show(tmp_path: Path) -> None:
    if not (MINI / "model_index.json").is_file():
        pytest.skip("the bundled model is not there")
    editor = FileEditor(load(MINI, read_card(MINI), "cpu", threads=1), MINI, tmp_path)
    out = editor.extend(SCENE, *around(SCENE, 0, 0, 120, 0), prompt="grassland", seed=3, steps=10)
    with rasterio.open(SCENE) as old, rasterio.open(out) as new:
        before, after = old.read().astype(np.float64), new.read().astype(np.float64)
    assert (after[:, :, : before.shape[2]] == before).all()
    line = Lines(2 * after.shape[2], before.shape[2])
    for found in (seam_ratio(after[:3], "cols", line), tone_step_ratio(after[:3], "cols", line, 16)):
        assert found.band[0] < found.ratio < min(1.6, found.band[1])
    near, beside = after[:3, :, 448:480].mean((1, 2)), after[:3, :, 416:448].mean((1, 2))
    assert np.abs(near - beside).max() < 0.06 * 255


@pytest.mark.parametrize("grid", ["utm", "rotated", "degrees"])
def test_regions_say_what_new_land_shows(editor: FileEditor, tmp_path: Path, grid: str) -> None:
    """A region on the right changes the new land there, on any grid, and nothing on the left."""
    path = rich_scene(tmp_path / "scene.tif", "uint8", 3, grid, None)
    box = around(path, 96, 0, 96, 0)
    with rasterio.open(path) as file:
        corners = [(file.width, -200), (file.width + 300, -200), (file.width + 300, 300), (file.width, 300)]
        ring = [list(file.transform @ corner) for corner in [*corners, corners[0]]]
        crs = file.crs.to_string()
    feature = {
        "type": "Feature",
        "properties": {"prompt": "houses and the road"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    regions = {"geojson": {"type": "FeatureCollection", "features": [feature]}, "crs": crs}
    plain = holds(editor, path, editor.extend(path, *box)).astype(int)
    made = holds(editor, path, editor.extend(path, *box, regions=regions)).astype(int)
    change = np.abs(made - plain).mean((0, 1))
    assert change[-60:].mean() > 3
    assert change[-60:].mean() > 5 * change[:60].mean()
