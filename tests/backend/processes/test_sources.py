"""The raster of sources, over HTTP: what it says of a pixel is where that pixel was copied from."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
import rasterio
from affine import Affine

from model_backend.engine.makers import Origins, SourceImage
from model_backend.jobs.handlers import sources
from model_backend.models.banks.resampling import averages, step_of
from model_backend.raster.files.sources_raster import NOWHERE
from model_backend.schemas import Box, Frame
from tests.support.backend.raster_files import write
from tests.support.backend.service import Backend, execute, finished, submit, upload
from tests.support.backend.tiny_bank import COLOURS, build_bank, picture

LAND = {"prompt": "a lake in a forest", "gsd": 1.0, "seed": 7, "crs": "EPSG:32633"}
WEST, NORTH = 500_000, 5_400_000
PLACE = Affine(1, 0, WEST, 0, -1, NORTH)
BOTH: dict[str, dict[str, Any]] = {"image": {}, "item": {}, "sources": {}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    bank = build_bank(tmp_path_factory.mktemp("banks"), "open-land")
    one = Backend(tmp_path_factory.mktemp("sources") / "data", "--model", str(bank)).start()
    yield one
    one.stop()


def square(col: int, row: int, width: int, height: int) -> dict[str, Any]:
    """The ground of pixels of 1 m, as a bounding box."""
    box = [WEST + col, NORTH - row - height, WEST + col + width, NORTH - row]
    return {"bbox": box, "crs": "EPSG:32633"}


def polygon(col: int, row: int, width: int, height: int) -> dict[str, Any]:
    left, low, right, high = square(col, row, width, height)["bbox"]
    ring = [[left, low], [right, low], [right, high], [left, high], [left, low]]
    return {"geojson": {"type": "Polygon", "coordinates": [ring]}, "crs": "EPSG:32633"}


class Made(NamedTuple):
    """A result, (bands, rows, columns), with number, column and row of every pixel, and what numbers mean."""

    image: np.ndarray
    places: np.ndarray
    images: dict[int, dict[str, Any]]
    item: dict[str, Any]


def made(client: httpx.Client, process: str, inputs: dict[str, Any]) -> Made:
    """Run a job with its sources; both files lie on one grid."""
    job = submit(client, process, inputs, response="document", outputs=BOTH)
    status = finished(client, job)
    assert status["status"] == "successful", status
    results = client.get(f"/jobs/{job}/results").json()
    assert set(results) == set(BOTH)
    contents = {name: client.get(results[name]["href"]).content for name in results}
    with (
        rasterio.open(io.BytesIO(contents["image"])) as image,
        rasterio.open(io.BytesIO(contents["sources"])) as file,
    ):
        assert (file.crs, file.transform, file.shape) == (image.crs, image.transform, image.shape)
        assert file.descriptions == ("source", "column", "row")
        assert (file.dtypes, file.nodata) == (("int32",) * 3, NOWHERE)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        known = {int(number): json.loads(text) for number, text in file.tags(ns="SOURCES").items()}
        return Made(image.read(), file.read(), known, json.loads(contents["item"]))


def test_every_pixel_of_a_scene_is_that_of_its_image(client: httpx.Client) -> None:
    found = made(client, "generate", LAND | {"extent": square(0, 0, 230, 170)})
    number, cols, rows = found.places
    assert set(np.unique(number).tolist()) == set(found.images)
    for one, about in found.images.items():
        here = number == one
        seed = int(about["name"])  # as the tiny bank calls and draws its images
        drawn = picture((list(COLOURS) * 2)[seed], seed)
        assert np.array_equal(found.image[:, here].T, drawn[rows[here], cols[here]])
        assert about == {"name": about["name"], "source": "made up", "licence": "CC0-1.0", "scale": 1.0} | {
            "pixels": int(here.sum())
        }
    assert {name: asset["href"] for name, asset in found.item["assets"].items()} == {
        "image": "./image.tif",
        "sources": "./sources.tif",
    }


def test_it_is_not_made_and_costs_nothing_unless_it_is_asked_for(
    client: httpx.Client, server: Backend
) -> None:
    inputs = LAND | {"extent": square(0, 0, 90, 70)}
    job = submit(client, "generate", inputs, response="document")
    assert finished(client, job)["status"] == "successful"
    assert set(client.get(f"/jobs/{job}/results").json()) == {"image", "item", "recipe"}
    assert not [path for path in server.data_dir.rglob("*sources*") if job in str(path)]
    plans = []
    for outputs in ({}, {"image": {}, "recipe": {}}, BOTH):
        body = {"inputs": {"process": "generate", "inputs": inputs, "outputs": outputs}}
        plans.append(client.post("/processes/plan/execution", json=body).raise_for_status().json())
    assert plans[0] == plans[1]
    assert [plan["sources"] for plan in plans] == [False, False, True]
    assert plans[2]["bytes"] > 2 * plans[0]["bytes"] - 3_000_000 > 0  # but for what previews take
    assert plans[2]["recipe"] == plans[0]["recipe"]


def test_all_variants_have_one(client: httpx.Client) -> None:
    inputs = LAND | {"extent": square(0, 0, 70, 60), "variants": 2}
    job = submit(client, "generate", inputs, response="document", outputs={"sources": {}, "sources_2": {}})
    assert finished(client, job)["status"] == "successful"
    first, second = (
        client.get(link["href"]).content for link in client.get(f"/jobs/{job}/results").json().values()
    )
    assert first != second


def test_a_scene_in_another_crs_has_those_of_the_nearest_pixels(client: httpx.Client) -> None:
    found = made(client, "generate", LAND | {"extent": square(0, 0, 200, 160), "crs": "EPSG:4326"})
    number, cols, rows = found.places
    assert number.min() >= 1
    apart = []
    for one, about in found.images.items():
        here = number == one
        seed = int(about["name"])
        drawn = picture((list(COLOURS) * 2)[seed], seed)[rows[here], cols[here]].astype(int)
        apart.append(np.abs(drawn - found.image[:, here].T).mean(1))
    assert np.median(np.concatenate(apart)) < 12  # of colours that differ by 100; cubic and nearest differ


def test_what_is_kept_of_a_block_is_known_to_be_whole_or_not(tmp_path: Path) -> None:
    """A block whose sources are lost or damaged is made again, as one whose pixels are."""
    box, frame = (
        Box(col=5, row=-3, width=40, height=30),
        Frame(crs="EPSG:32633", pixel_size=["1", "1"], anchor=[0, 0]),
    )
    origins = Origins(np.ones((3, 30, 40), np.int32), (SourceImage(1, "a", "b", "c", 1.0, 1200),))

    def kept(name: str, damage: Callable[[Path], object]) -> bool:
        folder = tmp_path / name
        folder.mkdir()
        sources.keep(folder, origins, box, frame)
        damage(folder)
        return sources.is_whole(folder)

    assert kept("whole", lambda folder: None)
    assert not kept("cut", lambda folder: os.truncate(folder / "sources.tif", 100))
    assert not kept("gone", lambda folder: (folder / "sources.tif").unlink())
    assert not kept("said by nobody", lambda folder: (folder / "sources.json").unlink())
    assert not kept("half said", lambda folder: os.truncate(folder / "sources.json", 20))


def land(side: int = 240) -> np.ndarray:
    """Fields with a road, in five bands, (5, height, width)."""
    chance = np.random.default_rng(4)
    bands = np.repeat(np.repeat(chance.uniform(95, 135, (5, side // 16, side // 16)), 16, 1), 16, 2)
    bands += chance.normal(0, 6, bands.shape)
    bands[:, 100:106] = 180
    return bands.clip(1, 250).astype(np.uint8)


def steps(differences: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """How much a field changes from pixel to pixel along rows, where both lie inside."""
    both = inside[:, 1:] & inside[:, :-1]
    return np.abs(np.diff(differences, axis=1))[both]


@pytest.mark.parametrize("kind", ["plain", "rotated", "points"])
def test_what_is_filled_is_a_pixel_nearby_but_for_its_tone(
    client: httpx.Client, tmp_path: Path, kind: str
) -> None:
    """Tone is joined by a smooth sheet: from pixel to pixel it changes hardly, however the land does."""
    before, mask = land(), np.zeros((240, 240), np.bool_)
    mask[90:130, 80:150] = True
    corners = [(0, 0), (240, 0), (0, 240), (240, 240)]
    points = [rasterio.control.GroundControlPoint(row, col, WEST + col, NORTH - row) for col, row in corners]
    places = {"plain": {"transform": PLACE}, "rotated": {"transform": PLACE @ Affine.rotation(90)}}
    path = write(
        tmp_path / "a.tif", before, crs="EPSG:32633", **places.get(kind, {"gcps": points, "transform": None})
    )
    where = write(
        tmp_path / "m.tif",
        mask[None].astype(np.uint8),
        crs="EPSG:32633",
        **places.get(kind, {"transform": PLACE}),
    )
    inputs = {"source": upload(client, path), "mask": upload(client, where), "prompt": "", "seed": 3}
    found = made(client, "edit", inputs)
    number, cols, rows = found.places
    assert np.array_equal(number == 1, mask)
    assert (found.places[:, ~mask] == NOWHERE).all()
    assert not mask[rows[mask], cols[mask]].any()  # none is from the hole itself
    assert found.images == {1: found.images[1]}
    assert (found.images[1]["name"], found.images[1]["pixels"]) == ("raster", int(mask.sum()))
    assert found.item["properties"]["text2earth:sources"][0]["share"] == 1.0
    inside = np.zeros_like(mask)
    inside[98:122, 88:142] = True  # along its border the sheet is steep
    copied = before[:, rows.clip(0), cols.clip(0)].astype(int)
    for after, copy in zip(found.image.astype(int), copied, strict=True):
        assert np.quantile(steps(after - copy, inside), 0.98) <= 2
        assert np.quantile(steps(after, inside), 0.98) > 10


def test_in_other_pixels_the_middle_of_each_is_named(client: httpx.Client) -> None:
    west, south, east, north = square(0, 0, 300, 260)["bbox"]
    inputs = LAND | {"extent": {"bbox": [west, south, east, north], "crs": "EPSG:32633"}, "gsd": 1.5}
    found = made(client, "generate", inputs)
    number, cols, rows = found.places
    for one, about in found.images.items():
        here, seed = number == one, int(about["name"])
        assert about["scale"] == 1.5
        averaged = averages(picture((list(COLOURS) * 2)[seed], seed), step_of(1.5))
        places = (rows[here] / 1.5).astype(int), (cols[here] / 1.5).astype(int)
        assert np.array_equal(found.image[:, here].T, averaged[places])


def test_an_edit_tells_the_raster_from_a_sample_and_from_the_bank(
    client: httpx.Client, tmp_path: Path
) -> None:
    """The sample lies far from the corner of its raster; columns and rows are those of the whole raster."""
    before = land()
    pond = np.full((3, 300, 320), 90, np.uint8)
    pond[:, 200:] = picture("sand", 1)[:100, :80].mean().astype(np.uint8)
    pond[:, 196:260, 180:260] = np.random.default_rng(2).integers(0, 40, (3, 64, 80))
    own = upload(client, write(tmp_path / "own.tif", pond, crs="EPSG:32633", transform=PLACE))
    sample = {"source": own, "area": polygon(180, 196, 80, 64), "words": "water"}
    inputs = {
        "source": upload(client, write(tmp_path / "a.tif", before, crs="EPSG:32633", transform=PLACE)),
        "mask": polygon(60, 30, 150, 140),
        "prompt": "a lake in a forest",
        "samples": [sample],
        "seed": 3,
    }
    found = made(client, "edit", inputs)
    number, cols, rows = found.places
    names = {about["name"]: one for one, about in found.images.items()}
    assert names["raster"] == 1
    assert names["sample 1"] == 2
    assert len(names) > 2
    here = number == 2
    assert here.sum() > 300
    assert cols[here].min() >= 180
    assert cols[here].max() < 260
    assert rows[here].min() >= 196
    assert rows[here].max() < 260
    mask = np.zeros(number.shape, np.bool_)
    mask[30:170, 60:210] = True
    assert np.array_equal(number > 0, mask)
    near = number == 1
    assert not mask[rows[near], cols[near]].any()
    shares = {one["source"]: one["share"] for one in found.item["properties"]["text2earth:sources"]}
    assert shares["made up"] == round(float((number > 2).sum() / mask.sum()), 4)


def test_an_extension_counts_from_the_corner_of_the_raster_as_it_was(
    client: httpx.Client, tmp_path: Path
) -> None:
    before = land()
    source = upload(client, write(tmp_path / "a.tif", before, crs="EPSG:32633", transform=PLACE))
    inputs = {"source": source, "extent": square(-40, -30, 100, 90), "prompt": "", "seed": 3}
    found = made(client, "extend", inputs)
    number, cols, rows = found.places
    assert number.shape == (270, 280)
    assert (number[30:, 40:] == NOWHERE).all()
    new = number == 1
    assert new.sum() == 270 * 280 - 240 * 240
    copied = before[:, rows[new], cols[new]].astype(int)
    assert np.abs(found.image[:, new].astype(int) - copied).mean() < 15  # but for tone; fields differ by more


def test_models_that_paint_say_that_they_have_none(client: httpx.Client, tmp_path: Path) -> None:
    inputs = LAND | {"extent": square(0, 0, 64, 64), "model": "text2earth-mini"}
    source = upload(client, write(tmp_path / "a.tif", land(), crs="EPSG:32633", transform=PLACE))
    edit = {"source": source, "mask": polygon(60, 30, 50, 40), "prompt": "a lake", "model": "text2earth-mini"}
    for process, asked in (("generate", inputs), ("generate", inputs | {"start": "bank"}), ("edit", edit)):
        refused = execute(client, process, asked, outputs=BOTH)
        assert refused.status_code == 400
        assert refused.json()["field"] == "outputs.sources"
        assert "paints its pixels, it does not copy them" in refused.json()["detail"]
    body = {"inputs": {"process": "generate", "inputs": inputs, "outputs": {"source": {}}}}
    refused = client.post("/processes/plan/execution", json=body)
    assert refused.status_code == 400
    assert (refused.json()["field"], "sources_2" in refused.json()["allowed"]) == ("outputs", True)


def test_it_is_described(client: httpx.Client) -> None:
    said = "where `outputs` names it"
    api = client.get("/api").json()
    for process in ("generate", "edit", "extend"):
        assert said in client.get(f"/processes/{process}").json()["outputs"]["sources_2"]["description"]
        assert said in api["paths"][f"/processes/{process}/execution"]["post"]["description"]
