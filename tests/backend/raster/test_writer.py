"""The GeoTIFF itself: layout, bands, tags, what survives a failure, what it costs in memory."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.enums import ColorInterp, Compression
from rio_cogeo import cog_validate

from model_backend.raster.files.scene_writer import write_block, write_scene
from model_backend.schemas import OutputGrid
from tests.support.backend.scene_files import MADE, noise, plan_of, write_pixels

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(("width", "height"), [(1, 1), (64, 64), (513, 511), (1500, 700)])
def test_a_cog_that_gdal_reads_back(tmp_path: Path, width: int, height: int) -> None:
    path, plan, pixels = tmp_path / "scène 1.tif", plan_of(width, height), noise(width, height)
    write_pixels(path, pixels, plan, plan.recipe, MADE)
    assert cog_validate(path, quiet=True) == (True, [], [])
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    with rasterio.open(path) as file:
        assert (file.read() == pixels).all()
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.compression == Compression.deflate
        assert file.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert file.descriptions == ("Red", "Green", "Blue")
        assert file.nodata is None
        assert (file.dataset_mask() == 255).all()
        assert file.tags()["AREA_OR_POINT"] == "Area"
        if width > 512:
            assert file.block_shapes == [(512, 512)] * 3
            assert file.overviews(1)[0] == 2
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
        assert file.pages[0].predictor == tifffile.PREDICTOR.HORIZONTAL


def test_overviews_are_averages(tmp_path: Path) -> None:
    path, plan = tmp_path / "x.tif", plan_of(1024, 1024)
    pixels = np.zeros((3, 1024, 1024), np.uint8)
    pixels[:, ::2] = 200
    write_pixels(path, pixels, plan, plan.recipe, MADE)
    with rasterio.open(path, overview_level=0) as file:
        assert (file.read() == 100).all()


def test_only_the_pixels_of_the_grid_are_written(tmp_path: Path) -> None:
    plan = plan_of(20, 10)
    grid, frame = plan.recipe.grid, plan.recipe.frame
    for wrong in (noise(10, 20), noise(20, 10)[:1], noise(20, 10).astype(np.float32)):
        with pytest.raises(ValueError, match="are not the pixels"):
            write_block(tmp_path / "x.tif", wrong, grid, frame)
    assert list(tmp_path.iterdir()) == []
    part = grid.model_copy(update={"width": 19})
    write_block(tmp_path / "x.tif", noise(19, 10), part, frame)
    with pytest.raises(ValueError, match="do not make up"):
        write_scene(tmp_path / "y.tif", [(part, tmp_path / "x.tif")], plan, plan.recipe, MADE)
    assert [path.name for path in tmp_path.iterdir()] == ["x.tif"]


def test_a_block_says_what_it_is_and_its_bytes_are_summed(tmp_path: Path) -> None:
    plan, path = plan_of(600, 30), tmp_path / "block.tif"
    digest = write_block(path, noise(600, 30), plan.recipe.grid, plan.recipe.frame)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [item.name for item in tmp_path.iterdir()] == ["block.tif"]
    with rasterio.open(path) as file:
        assert (file.read() == noise(600, 30)).all()
        assert [*file.transform][:6] == plan.transform
        assert file.crs.to_epsg() == 32632
        assert file.block_shapes == [(512, 512)] * 3


def test_a_grid_that_does_not_cover_the_file_is_an_error_not_a_black_edge(tmp_path: Path) -> None:
    far = OutputGrid(crs="EPSG:4326", transform=[1e-5, 0.0, 9.0, 0.0, -1e-5, 46.95], width=50, height=50)
    plan = plan_of(40, 40, resampled=far)
    with pytest.raises(ValueError, match="does not cover"):
        write_pixels(tmp_path / "x.tif", noise(40, 40), plan, plan.recipe, MADE)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    """An error leaves the old file, and nothing else; a stale part of a killed attempt is no obstacle."""
    path, plan = tmp_path / "x.tif", plan_of(30, 30)
    write_pixels(path, noise(30, 30), plan, plan.recipe, MADE)
    before = path.read_bytes()
    short = plan.recipe.model_copy(update={"grid": plan.recipe.grid.model_copy(update={"width": 31})})
    with pytest.raises(ValueError, match="do not make up"):
        write_scene(path, [(plan.recipe.grid, path)], plan, short, MADE)
    assert path.read_bytes() == before
    for end in ("stage", "warped", "part"):
        (tmp_path / f"x.tif.{end}").write_bytes(b"left by a killed worker")
    write_pixels(path, noise(30, 30), plan, plan.recipe, MADE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Writing 8,192 x 8,192 pixels (192 MiB, which the caller holds) takes less than as much again."""
    script = f"""
import resource, numpy as np
from pathlib import Path
from tests.support.backend.scene_files import MADE, plan_of, write_pixels
small, plan = np.zeros((3, 64, 64), np.uint8), plan_of(64, 64)
write_pixels(Path({str(tmp_path / "small.tif")!r}), small, plan, plan.recipe, MADE)
pixels = np.full((3, 8192, 8192), 7, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
plan = plan_of(8192, 8192)
write_pixels(Path({str(tmp_path / "big.tif")!r}), pixels, plan, plan.recipe, MADE)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    if sys.platform != "linux":
        pytest.skip("ru_maxrss is in other units elsewhere")
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(re.findall(r"\d+", run.stdout)[-1]) < 190
