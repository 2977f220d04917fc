"""Edits and extensions without a prompt: filled from the surroundings, all bands from one real pixel."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import rasterio
from affine import Affine

from tests.support.backend.raster_files import write
from tests.support.backend.service import NO_MODEL, Backend, execute, finished, submit, upload

SIDE = 160
HERE = Affine(10, 0, 500000, 0, -10, 5200000)


def land(dtype: str, bands: int) -> np.ndarray:
    """Fields with a road; later bands follow the first ones as near infrared does."""
    chance = np.random.default_rng(bands)
    fields = np.repeat(np.repeat(chance.uniform(0.2, 0.8, (bands, 10, 10)), 16, 1), 16, 2)
    fields += chance.normal(0, 0.02, fields.shape)
    fields[:, 78:82] = 0.95
    top = {"uint8": 250, "uint16": 9000, "float32": 1.0}[dtype]
    return (fields.clip(0.05, 1) * top).astype(dtype)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    one = Backend(tmp_path_factory.mktemp("fill") / "data", *NO_MODEL).start()
    yield one
    one.stop()


def square(col: int, row: int, width: int, height: int) -> dict[str, Any]:
    west, north = 500000 + 10 * col, 5200000 - 10 * row
    east, south = west + 10 * width, north - 10 * height
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"geojson": {"type": "Polygon", "coordinates": [ring]}, "crs": "EPSG:32632"}


def result(client: httpx.Client, process: str, inputs: dict[str, Any]) -> rasterio.DatasetReader:
    job = submit(client, process, inputs, response="document")
    assert finished(client, job)["status"] == "successful"
    link = client.get(f"/jobs/{job}/results").json()["image"]["href"]
    return rasterio.open(io.BytesIO(client.get(link).content))


@pytest.mark.parametrize(("dtype", "bands"), [("uint8", 3), ("uint16", 10), ("float32", 4)])
def test_every_band_comes_from_real_land_and_nothing_else_changes(client, tmp_path, dtype, bands):
    path = write(tmp_path / "a.tif", land(dtype, bands), transform=HERE)
    source = upload(client, path)
    inputs = {"source": source, "mask": square(60, 70, 30, 24), "prompt": "", "seed": 3}
    with rasterio.open(path) as file:
        before = file.read()
    with result(client, "edit", inputs) as file:
        after = file.read()
        assert file.dtypes[0] == dtype
        assert "rearranged" in file.tags()["TIFFTAG_IMAGEDESCRIPTION"]
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[70:94, 60:90] = True
    assert after[:, ~mask].tobytes() == before[:, ~mask].tobytes()
    assert (after[:, mask] != before[:, mask]).any()
    road, top = after[:, 78:82, 60:90].astype(float), float(before.max())
    assert (road > 0.8 * top).mean() > 0.9  # it goes on through the mask
    # The ratio of two bands stays within what real land around has.
    ratio = (after[1].astype(float) - after[0]) / (after[1].astype(float) + after[0])
    real = (before[1].astype(float) - before[0]) / (before[1].astype(float) + before[0])
    low, high = np.quantile(real[~mask], [0.01, 0.99])
    assert ((ratio[mask] > low - 0.05) & (ratio[mask] < high + 0.05)).mean() > 0.95


@pytest.mark.parametrize("box", [(0, 0, 20, 20), (140, 150, 20, 10), (75, 20, 1, 1), (5, 5, 150, 120)])
def test_masks_anywhere_and_of_any_size(client, tmp_path, box):
    path = write(tmp_path / "a.tif", land("uint8", 3), transform=HERE)
    inputs = {"source": upload(client, path), "mask": square(*box), "prompt": "", "seed": 1}
    with rasterio.open(path) as file, result(client, "edit", inputs) as made:
        before, after = file.read(), made.read()
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = True
    assert after[:, ~mask].tobytes() == before[:, ~mask].tobytes()
    assert after[:, mask].std() > 0 or mask.sum() == 1


def test_a_crop_of_a_raster_is_filled_like_the_whole(client, tmp_path):
    """Only what lies around the mask counts, so the plugin may send that alone."""
    pixels = np.tile(land("uint8", 3), (1, 3, 3))
    whole = write(tmp_path / "a.tif", pixels, transform=HERE)
    part = write(tmp_path / "b.tif", pixels[:, 77:403, 51:390], transform=HERE @ Affine.translation(51, 77))
    made = []
    for path, (col, row) in ((whole, (210, 240)), (part, (210 - 51, 240 - 77))):
        inputs = {"source": upload(client, path), "mask": square(210, 240, 33, 21), "prompt": "", "seed": 4}
        with result(client, "edit", inputs) as file:
            made.append(file.read()[:, row : row + 21, col : col + 33])
    assert made[0].tobytes() == made[1].tobytes()
    assert (made[0] != pixels[:, 240:261, 210:243]).any()


def test_the_same_seed_gives_the_same_pixels_and_another_one_others(client, tmp_path):
    path = write(tmp_path / "a.tif", land("uint8", 3), transform=HERE)
    inputs = {"source": upload(client, path), "mask": square(40, 30, 50, 40), "prompt": "  "}
    made = []
    for seed in (5, 5, 6):
        with result(client, "edit", {**inputs, "seed": seed}) as file:
            made.append(file.read().tobytes())
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_a_raster_is_continued_without_a_prompt(client, tmp_path):
    path = write(tmp_path / "a.tif", land("uint16", 4), transform=HERE)
    extent = {"bbox": [499800, 5198400, 501800, 5200000], "crs": "EPSG:32632"}
    inputs = {"source": upload(client, path), "extent": extent, "prompt": "", "seed": 2}
    with rasterio.open(path) as file, result(client, "extend", inputs) as made:
        before, after = file.read(), made.read()
    assert after.shape == (4, 160, 200)
    assert after[:, :, 20:180].tobytes() == before.tobytes()
    assert (after[:, 79:81, :20] > 7000).mean() > 0.7  # the road runs on to the west


def test_the_plan_says_what_it_is(client, tmp_path):
    path = write(tmp_path / "a.tif", land("uint8", 3), transform=HERE)
    inputs = {"source": upload(client, path), "mask": square(40, 30, 10, 10), "prompt": ""}
    answer = client.post("/processes/plan/execution", json={"inputs": {"process": "edit", "inputs": inputs}})
    plan = answer.raise_for_status().json()["plan"] if "plan" in answer.json() else answer.json()
    assert plan["recipe"]["model"] == "surroundings"
    assert plan["recipe"]["resampled"] is None
    assert plan["evaluations"] >= 1


def test_nothing_known_around_is_a_sentence(client, tmp_path):
    path = write(tmp_path / "a.tif", land("uint8", 3), transform=HERE)
    inputs = {"source": upload(client, path), "mask": square(-5, -5, 200, 200), "prompt": ""}
    answer = execute(client, "edit", inputs)
    assert answer.status_code == 400
    assert "too little of the raster around the mask" in answer.json()["detail"]


def test_no_torch_is_imported_for_it(client, server, tmp_path):
    path = write(tmp_path / "a.tif", land("uint8", 3), transform=HERE)
    inputs = {"source": upload(client, path), "mask": square(40, 30, 10, 10), "prompt": "", "seed": 3}
    with result(client, "edit", inputs):
        maps = {Path(part.path).name for part in psutil.Process(server.worker().pid).memory_maps()}
    assert not {name for name in maps if name.startswith("libtorch")}
