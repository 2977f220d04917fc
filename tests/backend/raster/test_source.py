"""Rasters of every kind as the source of an edit: what is refused, what is kept, what is filled."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from model_backend.arrays import Float32Array
from model_backend.errors import InvalidInput
from model_backend.processes.painting import Prepared
from model_backend.raster.files.source import read_header, read_known
from model_backend.raster.working_grid import working_grid_for
from model_backend.schemas import Box
from tests.support.backend.file_editor import FileEditor
from tests.support.backend.raster_files import differences, facts, polygon, rings, write
from tests.support.backend.tiny_models import tiny_card

PLACE = Affine(1, 0, 500000, 0, -1, 5200000)
CORNERS = [(30.0, 12.0), (66.0, 20.0), (58.0, 50.0), (34.0, 44.0)]


def scene(bands: int = 3, dtype: str = "uint8", size: tuple[int, int] = (72, 90)) -> NDArray[Any]:
    row, col = np.mgrid[: size[0], : size[1]]
    chance = np.random.default_rng(0)
    wave = 120 + 60 * np.sin(row / 9) * np.cos(col / 7) + chance.normal(0, 4, (bands, *size))
    return wave.clip(1, 254).astype(dtype)


def grey(prepared: Prepared) -> Float32Array:
    return np.full((3, prepared.canvas.height, prepared.canvas.width), 0.5, np.float32)


def same(shift: float) -> Any:
    """Paint what is there, brighter by ``shift`` of the stretch: an autoencoder's tone error."""
    return lambda prepared: prepared.work.read_view(prepared.canvas, prepared.stretch)[0] + np.float32(shift)


# ---- refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "profile", "says"),
    [
        (scene(1), {"photometric": "palette"}, "colour table"),
        (scene(1).astype("complex64"), {}, "whole or real numbers"),
        (scene(), {"crs": None}, "no coordinate reference system"),
        (scene(), {"transform": Affine.identity()}, "no georeference"),
        (scene(), {"crs": "EPSG:4978"}, "Geocentric CRS. is neither projected"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_rasters_that_cannot_be_edited(
    tmp_path: Path, pixels: NDArray[Any], profile: dict[str, Any], says: str
) -> None:
    path = write(tmp_path / "scene.tif", pixels, **profile)
    if "photometric" in profile:
        with rasterio.open(path, "r+") as file:
            file.write_colormap(1, {value: (value, 0, 0, 255) for value in range(256)})
    with pytest.raises(InvalidInput, match=says) as raised:
        read_header(path)
    assert raised.value.field == "source"


@pytest.mark.parametrize("bands", [[1, 2], [1, 1, 2], [9], [1, 2, 4]])
def test_bands_that_are_not_there(tmp_path: Path, bands: list[int]) -> None:
    path = write(tmp_path / "scene.tif", scene(4), photometric="RGB", alpha="YES")
    with pytest.raises(InvalidInput, match="one band, or three different ones, of 1, 2, 3") as raised:
        read_header(path, bands)
    assert raised.value.field == "bands"


def test_bands_by_their_colours_else_by_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", scene(5))
    assert read_header(path).roles.visible == (1, 2, 3)
    assert read_header(path).roles.extra == (4, 5)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [
            ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined, ColorInterp.alpha
        ]  # fmt: skip
    roles = read_header(path).roles
    assert (roles.visible, roles.alpha, roles.extra) == ((3, 2, 1), 5, (4,))
    assert read_header(path, [4]).roles.visible == (4,)
    assert read_header(write(tmp_path / "two.tif", scene(2))).roles.visible == (1,)


def test_stretches_that_mean_nothing(editor: FileEditor, tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", scene())
    for stretch in ([[0.0, 255.0]], [[0.0, 0.0]] * 3, [[0.0], [0.0], [0.0]]):
        with pytest.raises(InvalidInput) as raised:
            editor.run(path, *polygon(path, CORNERS), grey, stretch=stretch)
        assert raised.value.field == "stretch"


# ---- kept and filled -----------------------------------------------------------------------------------


def test_alpha_and_mask_bands_are_filled_in_the_mask_alone(editor: FileEditor, tmp_path: Path) -> None:
    alpha = write(tmp_path / "alpha.tif", scene(4), photometric="RGB", alpha="YES")
    with rasterio.open(alpha, "r+") as file:
        opacity = np.full((72, 90), 255, np.uint8)
        opacity[20:40, 45:75] = 0
        file.write(opacity, 4)
    out = editor.run(alpha, *polygon(alpha, CORNERS))
    assert not differences(alpha, out)[:, ~editor.mask].any()
    with rasterio.open(out) as file:
        assert np.array_equal(file.read(4), np.where(editor.mask, 255, opacity))

    masked = tmp_path / "masked.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"):
        write(masked, scene())
        with rasterio.open(masked, "r+") as file:
            file.write_mask(opacity)
    out = editor.run(masked, *polygon(masked, CORNERS))
    assert not differences(masked, out)[:, ~editor.mask].any()
    with rasterio.open(out) as file:
        assert np.array_equal(file.dataset_mask(), np.where(editor.mask, 255, opacity))


def test_what_is_unknown_is_told_apart(tmp_path: Path) -> None:
    pixels = scene(3, "float32")
    pixels[:, 5, 5] = np.nan
    pixels[1, 6, 6] = np.inf
    pixels[:, 7, 7] = -1
    pixels[0, 8, 8] = -1  # nodata in one band alone is a value
    source = read_header(write(tmp_path / "scene.tif", pixels, nodata=-1))
    assert sorted(zip(*np.nonzero(~read_known(source, source.box)), strict=True)) == [(5, 5), (6, 6), (7, 7)]


def test_nan_as_nodata_is_filled(editor: FileEditor, tmp_path: Path) -> None:
    pixels = scene(4, "float32")
    pixels[:, 15:30, 40:80] = np.nan
    path = write(tmp_path / "scene.tif", pixels, nodata=np.nan)
    out = editor.run(path, *polygon(path, CORNERS), feather=4.0)
    assert not differences(path, out)[:, ~editor.mask].any()
    with rasterio.open(out) as file:
        assert np.isfinite(file.read()[:, editor.mask]).all()


def test_ground_control_points_stay(editor: FileEditor, tmp_path: Path) -> None:
    points = [
        GroundControlPoint(row=r, col=c, x=500000 + c + 0.1 * r, y=5200000 - r, z=0)
        for r in (0, 72)
        for c in (0, 90)
    ]
    path = tmp_path / "scene.tif"
    size = {"driver": "GTiff", "count": 3, "height": 72, "width": 90, "dtype": "uint8"}
    with rasterio.open(path, "w", **size) as file:
        file.gcps = (points, rasterio.crs.CRS.from_epsg(32632))
        file.write(scene())
    box = [[500035, 5199980], [500060, 5199980], [500060, 5199950], [500035, 5199980]]
    out = editor.run(path, {"type": "Polygon", "coordinates": [box]}, "EPSG:32632")
    assert "ground control points" in editor.prepared.source.warnings[0]
    assert not differences(path, out)[:, ~editor.mask].any()
    with rasterio.open(path) as before, rasterio.open(out) as after:
        assert [(p.row, p.col, p.x, p.y) for p in before.gcps[0]] == [
            (p.row, p.col, p.x, p.y) for p in after.gcps[0]
        ]
        assert before.gcps[1] == after.gcps[1]


def test_lossy_sources_become_lossless_files(editor: FileEditor, tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", scene(), compress="JPEG", photometric="YCBCR")
    out = editor.run(path, *polygon(path, CORNERS))
    assert not differences(path, out)[:, ~editor.mask].any()
    with rasterio.open(out) as file:
        assert file.profile["compress"] == "deflate"


@pytest.mark.parametrize("kind", ["match", "keep", "drop"])
def test_bands_that_the_model_does_not_see(editor: FileEditor, tmp_path: Path, kind: str) -> None:
    pixels = scene(5, "uint16")
    pixels[3:] = pixels[:1] * 7  # what the others are like follows from the first
    path = write(tmp_path / "scene.tif", pixels)
    with rasterio.open(path, "r+") as file:
        file.descriptions = [f"band {n}" for n in range(5)]
        file.scales = [1.0, 2.0, 3.0, 4.0, 5.0]
        file.update_tags(2, WAVELENGTH="green")
    out = editor.run(path, *polygon(path, CORNERS), same(0.0), extra_bands=kind)
    with rasterio.open(out) as file:
        new = file.read()
        assert file.count == (3 if kind == "drop" else 5)
        assert file.descriptions == tuple(f"band {n}" for n in range(file.count))
        assert file.scales == (1.0, 2.0, 3.0, 4.0, 5.0)[: file.count]
        assert file.tags(2)["WAVELENGTH"] == "green"
        assert ("AI_EXTRA_BANDS" in file.tags()) == (kind == "match")
    assert np.array_equal(new[:, ~editor.mask], pixels[: len(new), ~editor.mask])
    if kind == "keep":
        assert np.array_equal(new[3:], pixels[3:])
    if kind == "match":
        error = np.abs(new[3:, editor.mask] - 7.0 * new[0, editor.mask])
        assert error.mean() < 0.05 * np.ptp(pixels[3].astype(float))


def test_a_whole_raster_leaves_nothing_to_borrow(editor: FileEditor, tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", scene(4, "uint16"))
    whole = polygon(path, [(0.0, 0.0), (90.0, 0.0), (90.0, 72.0), (0.0, 72.0)])
    with pytest.raises(InvalidInput, match="[Kk]eep or drop") as raised:
        editor.run(path, *whole)
    assert raised.value.field == "extra_bands"
    out = editor.run(path, *whole, extra_bands="keep")
    assert differences(path, out)[:3].mean() > 0.95


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (30, 40), (65, 64)])
def test_small_rasters_are_mirrored(editor: FileEditor, tmp_path: Path, size: tuple[int, int]) -> None:
    path = write(tmp_path / "scene.tif", scene(3, size=size))
    half = [(0.0, 0.0), (size[1] / 2 + 0.6, 0.0), (size[1] / 2 + 0.6, size[0]), (0.0, size[0])]
    out = editor.run(path, *polygon(path, half))
    assert not differences(path, out)[:, ~editor.mask].any()
    assert differences(path, out)[:, editor.mask].any()
    assert facts(path) == facts(out)


# ---- tone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "top"), [("uint8", 255), ("uint16", 255)])
@pytest.mark.parametrize("feather", [0.0, None])
def test_no_step_in_tone_at_the_border(
    editor: FileEditor, tmp_path: Path, dtype: str, top: int, feather: float | None
) -> None:
    path = write(tmp_path / "scene.tif", scene(3, dtype))
    out = editor.run(
        path, *polygon(path, CORNERS), same(0.12), stretch=[[0.0, float(top)]] * 3, feather=feather
    )
    with rasterio.open(out) as file:
        new = file.read().astype(float)
    inside, outside = rings(editor.mask)
    step = np.abs(new[:, inside].mean(1) - new[:, outside].mean(1)).max() / top
    assert step <= 0.02


# ---- cost ----------------------------------------------------------------------------------------------


def test_the_cost_is_that_of_the_mask(editor: FileEditor, tmp_path: Path) -> None:
    """64 m in a raster of 30,000 x 30,000 pixels against one of 1,000 x 1,000; reading and writing apart."""

    def cost(side: int) -> tuple[int, int]:
        """Return UNet evaluations, and the most bytes that arrays took at once."""
        path = tmp_path / f"{side}.tif"
        sparse = {"tiled": True, "sparse_ok": True, "compress": "DEFLATE"}
        size = {"driver": "GTiff", "count": 3, "height": side, "width": side, "dtype": "uint8"}
        with rasterio.open(path, "w", crs="EPSG:32632", transform=PLACE, **size, **sparse) as file:
            middle = Window(side // 2 - 200, side // 2 - 200, 400, 400)
            file.write(scene(3, size=(400, 400)), window=middle)
        a, b = side / 2 - 32, side / 2 + 32
        mask, crs = polygon(path, [(a, a), (b, a), (b, b), (a, b)])
        tracemalloc.start()
        try:
            _, plan = editor.work(path, mask, crs)
            return plan.evaluations, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    cost(1_000)  # what is done once is no cost of it
    (evaluations, memory), (more_evaluations, more_memory) = cost(1_000), cost(30_000)
    assert more_evaluations == evaluations
    assert more_memory <= 1.2 * memory


# ---- grids of other sizes than the model knows -----------------------------------------------------------


@pytest.mark.parametrize(("metres", "used", "level"), [(0.1, 0.5, 18), (500.0, 128, 10)])
def test_pixels_out_of_the_models_range(
    editor: FileEditor, tmp_path: Path, metres: float, used: float, level: int
) -> None:
    """A tiny model of 0.35 to 128 m: it works on pixels it knows, and the rest of the raster stays."""
    path = write(tmp_path / "scene.tif", scene(), transform=Affine(metres, 0, 500000, 0, -metres, 5200000))
    mask, crs = polygon(path, CORNERS if metres < 1 else [(40.0, 30.0), (50.0, 30.0), (50.0, 38.0)])
    out = editor.run(path, mask, crs)
    prepared = editor.prepared
    assert not prepared.work.own
    assert (prepared.work.level, prepared.work.ratio) == (level, pytest.approx(used / metres, rel=1e-3))
    assert f"pixels of {used:g} m" in prepared.work.warnings[0]
    assert ("softer" in " ".join(prepared.work.warnings)) == (metres < used)
    changed = differences(path, out)
    assert not changed[:, ~editor.mask].any()
    assert changed[:, editor.mask].mean() > 0.8
    assert facts(path) == facts(out)


@pytest.mark.parametrize(
    ("metres", "own"), [(0.4, True), (1.3, True), (2.0, False), (5.0, False), (8.0, True)]
)
def test_between_levels_the_nearest_one_paints(
    tmp_path: Path, inpaint_folder: Path, metres: float, own: bool
) -> None:
    """A model of 0.5, 1 and 8 m: a raster of 5 m is worked on at 8 m, not taken for one of 8 m."""
    card = tiny_card("inpaint").model_copy(update={"levels": (14, 17, 18)})
    transform = Affine(metres, 0, 500000, 0, -metres, 5200000)
    source = read_header(write(tmp_path / "scene.tif", scene(), transform=transform))
    work = working_grid_for(source, Box(col=20, row=20, width=20, height=20), card)
    near = {0.4: 0.4, 1.3: 1.3, 2.0: 1.0, 5.0: 8.0, 8.0: 8.0}[metres]
    assert work.own is own
    assert work.ratio * metres == pytest.approx(near, rel=1e-3)
    assert work.level == {0.4: 18, 1.3: 17, 2.0: 17, 5.0: 14, 8.0: 14}[metres]


@pytest.mark.parametrize("metres", [0.05, 900.0])
def test_pixels_too_far_from_what_the_model_knows(tmp_path: Path, metres: float) -> None:
    transform = Affine(metres, 0, 500000, 0, -metres, 5200000)
    source = read_header(write(tmp_path / "scene.tif", scene(), transform=transform))
    with pytest.raises(InvalidInput, match=r"0.3536 to 128 metres per pixel.* Resample the raster") as raised:
        working_grid_for(source, Box(col=20, row=20, width=20, height=20), tiny_card("inpaint"))
    assert raised.value.field == "source"


def test_what_is_painted_comes_back_to_its_place(editor: FileEditor, tmp_path: Path) -> None:
    """Through a metric frame and back: a picture that is painted as it is lies where it lay."""
    row, col = np.mgrid[:72, :90]
    smooth = (120 + 80 * np.sin(row / 6) * np.cos(col / 9))[None].repeat(3, 0).astype(np.uint8)
    path = write(tmp_path / "scene.tif", smooth, crs="EPSG:4326", transform=Affine(2e-5, 0, 8, 0, -2e-5, 60))
    out = editor.run(path, *polygon(path, CORNERS), same(0.0))
    assert not editor.prepared.work.own
    with rasterio.open(out) as file:
        error = np.abs(file.read().astype(float) - smooth)[:, editor.mask]
    moved = np.abs(np.roll(smooth, 1, 2).astype(float) - smooth)[:, editor.mask]
    assert error.mean() < 0.5 * moved.mean()
