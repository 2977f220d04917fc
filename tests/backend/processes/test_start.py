"""Diffusion that begins with land by example, over HTTP: what a plan says of it, and what comes of it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from affine import Affine

from model_backend.engine.by_example.scene import ExampleScene
from model_backend.engine.diffusion.start import composition_recipe
from model_backend.engine.progress import SilentListener
from model_backend.errors import InvalidInput, ModelUnavailable
from model_backend.models import registry
from model_backend.models.banks.bank import Bank
from model_backend.models.card import read_card
from model_backend.schemas import Plan, Recipe
from model_backend.settings import Settings
from tests.support.backend.planning import planned as planned_by
from tests.support.backend.raster_files import write
from tests.support.backend.service import Backend, execute, finished, submit, upload
from tests.support.backend.tiny_bank import build_bank
from tests.support.backend.tiny_models import build_tiny

AUTOENCODER = Path(__file__).parents[3] / "resources/models/text2earth-mini/vae"
METRES = {"bbox": [500_000.0, 5_200_000.0, 500_096.0, 5_200_064.0], "crs": "EPSG:32632"}
QUICK = {"sampler": "euler", "steps": 4, "guidance": 1.0}  # random weights are wrong by as much as they guide
SCENE: dict[str, Any] = {"prompt": "a lake in a forest", "extent": METRES, "gsd": 1.0, "seed": 7} | QUICK
BEGUN = SCENE | {"start": "bank", "start_strength": 0.3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights, but for an autoencoder in whose latents pictures survive."""
    model = build_tiny(tmp_path_factory.mktemp("models") / "tiny", vae="tiny", factor=4)
    shutil.rmtree(model / "vae")
    shutil.copytree(AUTOENCODER, model / "vae")
    return model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the tiny bank in place of the one that comes with the backend."""
    made = tmp_path_factory.mktemp("server") / "data"
    build_bank(made / "models", registry.BY_EXAMPLE)
    return made


@pytest.fixture(scope="module")
def limits(folder: Path, data: Path) -> Settings:
    return Settings(model=str(folder), data_dir=data)


def planned(limits: Settings, inputs: dict[str, Any]) -> Plan:
    return planned_by("generate", inputs, limits)


def joined(recipe: Recipe, **changes: Any) -> dict[str, Any]:
    """Return the member of a request that continues a scene."""
    known = recipe.model_dump()
    return {name: known.get(name) for name in ("frame", "level", "engine", "start")} | changes


def test_a_plan_says_what_it_does_and_counts_fewer_steps(limits: Settings) -> None:
    usual, begun = planned(limits, SCENE), planned(limits, BEGUN)
    assert begun.evaluations < usual.evaluations
    assert [sentence for sentence in begun.warnings if "under noise of strength 0.3: " in sentence]
    assert [words.partition(",")[0] for words in begun.understood] == ["forest", "lake (water)"]
    start = begun.recipe.start
    assert start is not None
    assert (start.bank, start.strength, start.gsd) == ("open-land", 0.3, 1.0)
    assert start.revision.startswith("sha256:")
    assert planned(limits, SCENE | {"start": "bank", "start_strength": 1}).evaluations == usual.evaluations


def test_recipes_without_a_start_keep_their_bytes(limits: Settings) -> None:
    assert "start" not in planned(limits, SCENE | {"start_strength": 0.2}).recipe.model_dump()
    begun = planned(limits, BEGUN).recipe
    assert Recipe.model_validate_json(begun.canonical()) == begun
    assert begun.digest() != planned(limits, SCENE).recipe.digest()


def test_land_by_example_ignores_it_and_says_so(limits: Settings) -> None:
    made = planned(limits, BEGUN | {"model": "open-land"})
    assert made.recipe.start is None
    assert (
        "Land by example has no steps, sampler, guidance, start: what was given is ignored." in made.warnings
    )


def test_a_bank_that_is_not_there(limits: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BUNDLED", ())
    with pytest.raises(ModelUnavailable, match="no model 'open-land' here"):
        planned(limits.model_copy(update={"data_dir": tmp_path}), BEGUN)


def test_pixels_that_the_bank_has_no_land_of(limits: Settings) -> None:
    extent = {"bbox": [500_000.0, 5_200_000.0, 509_600.0, 5_206_400.0], "crs": "EPSG:32632"}
    with pytest.raises(InvalidInput, match="no land of 100 m per pixel") as caught:
        planned(limits, BEGUN | {"gsd": 100.0, "extent": extent})
    assert caught.value.field == "start"


def test_a_scene_that_goes_on_begins_alike_or_is_told(limits: Settings) -> None:
    first = planned(limits, BEGUN | {"canvas": "ground"}).recipe
    assert first.start is not None
    more = BEGUN | {"canvas": "ground", "joins": joined(first)}
    same = planned(limits, more)
    assert same.recipe.start == first.start
    assert not [sentence for sentence in same.warnings if "will not join" in sentence]
    coarser = first.model_copy(update={"start": first.start.model_copy(update={"gsd": 1.1})})
    near = planned(limits, more | {"joins": joined(coarser)}).recipe.start
    assert near is not None
    assert near.gsd == 1.1
    for other in ({"start": "noise"}, {"start_strength": 0.5}):
        said = planned(limits, more | other).warnings
        assert [sentence for sentence in said if "another `start`" in sentence]


@pytest.fixture(scope="module")
def client(folder: Path, data: Path) -> Iterator[httpx.Client]:
    one = Backend(data, "--model", str(folder)).start()
    with one.client() as made:
        yield made
    one.stop()


def red_land(folder: Path) -> Path:
    """A raster that no image of the bank looks like, in the pixels of the scene."""
    bands = np.random.default_rng(3).integers(0, 60, (3, 130, 140), np.uint8)
    bands[0] += 190
    place = Affine(1, 0, 500_000, 0, -1, 5_200_000)
    return write(folder / "red.tif", bands, crs="EPSG:32632", transform=place)


def test_a_scene_begins_with_land_like_a_sample(client: httpx.Client, tmp_path: Path) -> None:
    source = upload(client, red_land(tmp_path))
    asked = SCENE | {"start": "samples", "start_strength": 0.2, "samples": [{"source": source}]}
    told = client.post("/processes/plan/execution", json={"inputs": {"process": "generate", "inputs": asked}})
    plan = told.raise_for_status().json()
    assert len(plan["recipe"]["start"]["samples"]) == 1
    assert "examples" not in plan["recipe"]
    assert "made like your sample, under noise of strength 0.2: " in " ".join(plan["warnings"])
    job = submit(client, "generate", asked, response="document")
    status = finished(client, job)
    assert status["status"] == "successful", status
    results = client.get(f"/jobs/{job}/results").json()
    with rasterio.open(io.BytesIO(client.get(results["image"]["href"]).content)) as file:
        red, green, blue = file.read().astype(float)
    # Under little noise it is as red as the sample, which is the forest; the lake is from the bank.
    assert (red > np.maximum(green, blue) + 60).mean() > 0.4
    credits = client.get(results["item"]["href"]).json()["properties"]["text2earth:sources"]
    assert credits[0]["source"] == "the user's raster"


def test_samples_and_starts_that_do_not_go_together(client: httpx.Client, tmp_path: Path) -> None:
    sample = {"source": upload(client, red_land(tmp_path))}
    for change, said in (
        ({"start": "samples"}, "there are none: give one, or another `start`"),
        ({"start": "bank", "samples": [sample], "model": "tiny"}, "or begin with them (`start`: `samples`)"),
    ):
        refused = execute(client, "generate", SCENE | change)
        assert refused.status_code == 400
        assert refused.json()["field"] == "samples"
        assert said in refused.json()["detail"]


@pytest.mark.slow
def test_the_less_noise_the_more_of_it_is_seen(client: httpx.Client, folder: Path, data: Path) -> None:
    alike = {}
    for strength in (0.3, 1.0):
        job = submit(client, "generate", BEGUN | {"start_strength": strength}, response="document")
        status = finished(client, job)
        assert status["status"] == "successful", status
        results = client.get(f"/jobs/{job}/results").json()
        found = {name: client.get(results[name]["href"]) for name in ("image", "item", "recipe")}
        with rasterio.open(io.BytesIO(found["image"].content)) as file:
            made, tags = file.read(), file.tags()
        recipe = Recipe.model_validate(found["recipe"].json())
        bank = Bank.read(data / "models" / "open-land")
        land = ExampleScene(bank, composition_recipe(recipe, read_card(folder)), 1)
        shown = land.pixels(recipe.grid, SilentListener())
        alike[strength] = np.corrcoef(made.ravel(), shown.ravel())[0, 1]
        assert tags["TIFFTAG_COPYRIGHT"].startswith("Random numbers; Made up for tests.")
        assert found["item"].json()["properties"]["text2earth:sources"][0]["source"] == "made up"
    assert alike[0.3] > 0.8
    assert abs(alike[1.0]) < 0.4
