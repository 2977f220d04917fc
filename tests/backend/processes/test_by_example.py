"""Land by example over HTTP: planned and made like a model.s, without torch, from a bank of images."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from model_backend.engine.by_example.scene import ExampleScene
from model_backend.models.banks.bank import Bank
from model_backend.schemas import Recipe
from tests.support.backend.asking import Asker, made
from tests.support.backend.raster_files import write
from tests.support.backend.service import Backend, execute, finished, submit, until, upload
from tests.support.backend.tiny_bank import COLOURS, picture, share_like

LAKE = {"prompt": "a lake in a forest", "gsd": 1.0, "seed": 7, "crs": "EPSG:32633"}


def extent(col: int, row: int, width: int, height: int) -> dict[str, Any]:
    """An extent of pixels of 1 m, on whole metres of UTM zone 33."""
    west, north = 500000 + col, 5400000 - row
    return {"bbox": [west, north - height, west + width, north], "crs": "EPSG:32633"}


@pytest.fixture(scope="module")
def server(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    one = Backend(tmp_path_factory.mktemp("example") / "data", "--model", str(bank)).start()
    yield one
    one.stop()


def plan(client: httpx.Client, inputs: dict[str, Any]) -> dict[str, Any]:
    body = {"inputs": {"process": "generate", "inputs": inputs}}
    found: dict[str, Any] = client.post("/processes/plan/execution", json=body).raise_for_status().json()
    return found


def in_one_piece(bank: Path, recipe: dict[str, Any]) -> np.ndarray:
    """The scene of a recipe made here, all at once, (height, width, 3)."""
    whole = Recipe.model_validate(recipe)
    return ExampleScene(Bank.read(bank), whole, 2).pixels(whole.grid, Asker()).transpose(1, 2, 0)


def images(client: httpx.Client, inputs: dict[str, Any], count: int = 1) -> list[np.ndarray]:
    """Generate; return the variants' pixels, (height, width, 3)."""
    job = submit(client, "generate", inputs | {"variants": count}, response="document")
    status = finished(client, job)
    assert status["status"] == "successful", status
    results = client.get(f"/jobs/{job}/results").json()
    names = ["image", *(f"image_{number}" for number in range(2, count + 1))]
    found = []
    for name in names:
        with rasterio.open(io.BytesIO(client.get(results[name]["href"]).content)) as file:
            found.append(file.read().transpose(1, 2, 0))
    return found


def test_a_plan_says_what_was_understood_and_what_was_not(client):
    asked = LAKE | {"extent": extent(0, 0, 300, 200), "prompt": "a lake in a forest with gloops"}
    found = plan(client, asked)
    assert [words.partition(",")[0] for words in found["understood"]] == ["forest", "lake (water)"]
    assert any("gloops" in sentence for sentence in found["warnings"])
    assert (found["width"], found["height"], found["windows"]) == (300, 200, 0)
    assert found["recipe"]["examples"] == {"gsd": 1.0, "samples": []}
    assert found["evaluations"] > 0


def test_the_scene_shows_it_and_no_torch_is_loaded(client, server, bank):
    inputs = LAKE | {"extent": extent(0, 0, 320, 260)}
    one, other = images(client, inputs, 2)
    assert 0.04 < share_like(one, "water") < 0.5
    assert share_like(one, "water") + share_like(one, "forest") > 0.9
    assert np.array_equal(one, in_one_piece(bank, plan(client, inputs)["recipe"]))
    assert (one != other).any(-1).mean() > 0.5
    libraries = {Path(library.path).name for library in server.worker().memory_maps()}
    assert not [name for name in libraries if "torch" in name]


def test_a_file_says_that_it_is_by_example_and_its_item_what_it_was_copied_from(client):
    job = submit(client, "generate", LAKE | {"extent": extent(0, 0, 96, 96)}, response="document")
    assert finished(client, job)["status"] == "successful"
    results = client.get(f"/jobs/{job}/results").json()
    with rasterio.open(io.BytesIO(client.get(results["image"]["href"]).content)) as file:
        assert "real pixels rearranged" in file.tags()["TIFFTAG_IMAGEDESCRIPTION"]
        assert "compositeCapture" in file.tags(ns="xml:XMP")["xml:XMP"]
    item = client.get(results["item"]["href"]).json() if "href" in results["item"] else results["item"]
    sources = item["properties"]["text2earth:sources"]
    assert sources == [{"source": "made up", "licence": "CC0-1.0", "share": 1.0}]


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "diffusers", "transformers", "safetensors", "huggingface_hub"):
            raise ImportError(f"{name} is not installed")
sys.meta_path.insert(0, Missing())
"""


def test_the_base_install_makes_it(bank, tmp_path):
    """What the extra ``model`` brings is not there."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    server = Backend(tmp_path / "data", "--model", str(bank), variables={"PYTHONPATH": str(tmp_path)})
    with server.start().client() as client:
        assert images(client, LAKE | {"extent": extent(0, 0, 96, 80)})[0].shape == (80, 96, 3)
    server.stop()


def test_the_owner_hears_what_is_shown_as_something_else(client):
    job = submit(client, "generate", LAKE | {"extent": extent(0, 0, 96, 96), "prompt": "forest with golf"})
    said = finished(client, job)["message"]
    assert "There are no examples of golf at this pixel size: grassland is shown." in said


@pytest.mark.slow
def test_blocks_are_the_scene_in_one_piece(client, bank):
    inputs = LAKE | {"extent": extent(-700, 90, 1300, 1150), "prompt": "farmland with a village"}
    (made,) = images(client, inputs)
    assert np.array_equal(made, in_one_piece(bank, plan(client, inputs)["recipe"]))


@pytest.mark.slow
def test_scenes_on_the_ground_agree_where_they_overlap(client):
    ground = LAKE | {"canvas": "ground", "prompt": "forest with ponds"}
    (left,) = images(client, ground | {"extent": extent(0, 0, 120, 100)})
    (right,) = images(client, ground | {"extent": extent(70, 30, 120, 100)})
    assert np.array_equal(left[30:, 70:], right[:70, :50])


def test_regions_show_what_they_ask_for(client):
    west, north = 500000, 5400000
    ring = [[west + x, north - y] for x, y in ((40, 40), (140, 40), (140, 160), (40, 160), (40, 40))]
    region = {"type": "Feature", "properties": {"prompt": "sand"}}
    region["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    regions = {"geojson": {"type": "FeatureCollection", "features": [region]}, "crs": "EPSG:32633"}
    asked = LAKE | {"prompt": "forest", "extent": extent(0, 0, 200, 200), "regions": regions}
    (made,) = images(client, asked)
    assert share_like(made[60:140, 60:120], "sand") > 0.95
    assert share_like(made[:, 160:], "forest") > 0.95


def test_a_job_is_seen_as_a_whole_at_once_and_stops_soon_when_dismissed(client, server):
    job = submit(client, "generate", LAKE | {"extent": extent(0, 0, 2000, 2000), "variants": 4})
    until(lambda: client.get(f"/jobs/{job}/preview").status_code == 200)
    with Image.open(io.BytesIO(client.get(f"/jobs/{job}/preview").content)) as picture:
        least, most = picture.getextrema()[3]
        assert 0 < least <= most < 255, "all of it is seen through, though no block is made"
        seen = np.asarray(picture)[..., :3]
    assert share_like(seen, "water") + share_like(seen, "forest") > 0.9
    assert "steps" not in client.get(f"/jobs/{job}").json()
    client.delete(f"/jobs/{job}").raise_for_status()
    inputs = LAKE | {"extent": extent(0, 0, 64, 64)}
    assert images(client, inputs)[0].shape == (64, 64, 3)


def test_steps_and_sizes_that_are_not_there_are_refused_or_said(client):
    small = LAKE | {"extent": extent(0, 0, 64, 64)}
    refused = execute(client, "generate", small | {"gsd": 300.0})
    assert refused.status_code == 400
    assert "0.25 to 60" in refused.text
    said = plan(client, small | {"steps": 7})["warnings"]
    assert any("steps" in sentence for sentence in said)


# ---- on a raster of the user's ---------------------------------------------------------------------


def meadow(side: int = 240) -> np.ndarray:
    """Grassland with a road through it, and a fourth band, (4, height, width)."""
    land = np.concatenate([np.concatenate([picture("grassland", n)] * 3, 1)[:, :side] for n in (2, 5, 8)])
    land = land[:side].copy()
    land[100:106] = COLOURS["road"]
    return np.concatenate([land.transpose(2, 0, 1), land[None, ..., 1] // 2 + 90])


def uploaded(client: httpx.Client, folder: Path, bands: np.ndarray) -> dict[str, str]:
    path = write(
        folder / "raster.tif", bands, crs="EPSG:32633", transform=Affine(1, 0, 500000, 0, -1, 5400000)
    )
    return upload(client, path)


def test_an_edit_puts_a_lake_with_its_shore_into_a_meadow(client, tmp_path):
    before = meadow()
    west, north = 500000, 5400000
    ring = [[west + x, north - y] for x, y in ((60, 120), (180, 120), (180, 210), (60, 210), (60, 120))]
    mask = {"geojson": {"type": "Polygon", "coordinates": [ring]}, "crs": "EPSG:32633"}
    inputs = {"source": uploaded(client, tmp_path, before), "mask": mask, "prompt": "a lake", "seed": 5}
    after = made(client, "edit", inputs)
    covered = np.zeros(before.shape[1:], np.bool_)
    covered[120:210, 60:180] = True
    assert np.array_equal(after[:, ~covered], before[:, ~covered])
    rgb = after[:3].transpose(1, 2, 0)
    assert share_like(rgb[140:190, 80:160], "water") > 0.9
    rim = np.concatenate([rgb[121:124, 62:178].reshape(-1, 3), rgb[206:209, 62:178].reshape(-1, 3)])
    assert share_like(rim, "grassland") > 0.6  # the shore is no straight line, and not the mask's
    assert np.array_equal(made(client, "edit", inputs), after)


def test_an_extension_goes_on_as_it_was_and_becomes_what_is_asked_for(client, tmp_path):
    before = meadow()
    asked = {"bbox": [500000, 5400000 - 240, 500000 + 400, 5400000], "crs": "EPSG:32633"}
    inputs = {"source": uploaded(client, tmp_path, before), "extent": asked, "prompt": "forest", "seed": 5}
    after = made(client, "extend", inputs)
    assert after.shape == (4, 240, 400)
    assert np.array_equal(after[:, :, :240], before)
    rgb = after[:3].transpose(1, 2, 0)
    assert share_like(rgb[:, 270:], "forest") > 0.9
