"""A scene that continues another: on its frame and canvas, the same where they overlap, warned where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import rasterio

from model_backend import ENGINE_VERSION
from model_backend.engine import lattice
from model_backend.engine.by_example.scene import ExampleScene
from model_backend.engine.progress import SilentListener
from model_backend.engine.scene import Scene
from model_backend.errors import InvalidInput
from model_backend.models.banks.bank import Bank
from model_backend.models.identity import digest
from model_backend.models.registry import Registry
from model_backend.schemas import Plan, Recipe
from model_backend.settings import Settings
from tests.support.backend.planning import planned as planned_by
from tests.support.backend.service import Backend, finished, submit
from tests.support.backend.tiny_bank import build_bank
from tests.support.backend.tiny_models import ProgressRecorder, build_tiny, load_tiny

METRES = {"bbox": [500_000.3, 5_200_000.0, 500_064.3, 5_200_064.0], "crs": "EPSG:32632"}
MERCATOR = {"bbox": [1_000_000.0, 6_000_000.0, 1_000_100.0, 6_000_100.0], "crs": "EPSG:3857"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("joins") / "tiny", vae="tiny")


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    one = Backend(tmp_path_factory.mktemp("server") / "data", "--model", str(folder)).start()
    yield one
    one.stop()


class Maker(NamedTuple):
    """A folder, and what makes its scenes: pixels (3, height, width)."""

    folder: Path
    pixels: Callable[[Recipe], np.ndarray]


def planned(folder: Path, inputs: dict[str, Any], profile: dict[str, Any] | None = None) -> Plan:
    limits = Settings(model=str(folder))
    given = {"prompt": "a lake", "seed": 7, "steps": 2, **inputs}
    return planned_by("generate", given, limits, profile=profile)


def joins(recipe: Recipe, profile: str | None = None, **changes: Any) -> dict[str, Any]:
    """The inputs that continue a scene."""
    frame, canvas = recipe.frame.model_dump(), recipe.canvas
    members = {"frame": frame, "level": recipe.level, "engine": recipe.engine, "profile": profile}
    return {
        "joins": members | changes,
        "canvas": canvas if isinstance(canvas, str) else canvas.model_dump(),
        "steps": recipe.steps,
    }


def moved(extent: dict[str, Any], east: float, north: float = 0.0) -> dict[str, Any]:
    west, south, right, top = extent["bbox"]
    return extent | {"bbox": [west + east, south + north, right + east, top + north]}


@pytest.fixture(scope="module", params=["diffusion", "by example"])
def maker(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """What makes the scenes of a model, or of a bank of example images."""
    if request.param == "diffusion":
        model = load_tiny(folder)
        return Maker(folder, lambda recipe: Scene(model, recipe).pixels(recipe.grid, ProgressRecorder()))
    images = build_bank(tmp_path_factory.mktemp("banks"))
    bank = Bank.read(images)
    return Maker(images, lambda recipe: ExampleScene(bank, recipe, 1).pixels(recipe.grid, SilentListener()))


@pytest.mark.parametrize(
    "place",
    [
        {"extent": METRES, "gsd": 1.0},
        {"extent": MERCATOR, "crs": "EPSG:3857", "gsd": 1.0},
        {"extent": METRES, "crs": "EPSG:4326", "gsd": 1.0},
        {
            "extent": METRES,
            "align": {"crs": "EPSG:32632", "pixel_size": ["1.3", "1.3"], "anchor": [0.7, 0.2]},
        },
    ],
    ids=["utm", "tiles", "degrees", "aligned"],
)
def test_the_ground_goes_on(maker: Maker, place: dict[str, Any]) -> None:
    """On every kind of frame the second scene has the first one's pixels where they overlap."""
    first = planned(maker.folder, place | {"canvas": "ground"}).recipe
    second = planned(maker.folder, joins(first) | {"extent": moved(place["extent"], 25, 30)}).recipe
    same = {"frame", "canvas", "level", "seed", "engine"}
    assert first.model_dump(include=same) == second.model_dump(include=same)
    one, two = maker.pixels(first), maker.pixels(second)
    dx, dy = second.grid.col - first.grid.col, second.grid.row - first.grid.row
    assert dx > 0 > dy
    height, width = (
        min(first.grid.height, second.grid.height + dy),
        min(first.grid.width - dx, second.grid.width),
    )
    assert (one[:, :height, dx : dx + width] == two[:, -dy : -dy + height, :width]).all()
    assert np.unique(one).size > 10


def test_inside_the_canvas_of_a_scene(folder: Path) -> None:
    first = planned(folder, {"extent": METRES, "gsd": 1.0}).recipe
    inside = METRES | {"bbox": [500_010.0, 5_200_010.0, 500_040.0, 5_200_040.0]}
    second = planned(folder, joins(first) | {"extent": inside}).recipe
    assert (second.canvas, second.frame) == (first.canvas, first.frame)
    with pytest.raises(InvalidInput, match="only scenes on the ground canvas have no end") as caught:
        planned(folder, joins(first) | {"extent": moved(METRES, 200)})
    assert caught.value.field == "canvas"


def test_warnings(folder: Path) -> None:
    first = planned(folder, {"extent": METRES, "gsd": 1.0}).recipe
    profile = {"device": "a processor", "batch": 4, "threads": 2, "approximate": False, "digest": "x"}
    assert first.canvas != "ground"
    card = Registry(Settings(model=str(folder))).default().card
    batch = lattice.Layout(card.engine, card.vae_factor, first.canvas).batch(4)
    mine = digest(profile | {"batch": batch})

    def warned(known: dict[str, Any] | None, **members: Any) -> list[str]:
        inputs = joins(first, **members) | {"extent": METRES}
        return [line for line in planned(folder, inputs, known).warnings if "scene to continue" in line]

    assert warned(profile, profile=mine) == []
    assert warned(None, profile="0" * 64) == []
    assert warned(profile) == []
    (other,) = warned(profile, profile="0" * 64)
    assert "other hardware, software or weights" in other
    (older,) = warned(profile, profile=mine, engine=ENGINE_VERSION + 1)
    assert f"version {ENGINE_VERSION + 1} of the engine" in older


def test_the_digest_is_that_of_a_profile(folder: Path) -> None:
    profile = load_tiny(folder).profile
    assert digest(profile.to_dict()) == profile.digest


@pytest.mark.parametrize(
    ("more", "field", "sentence"),
    [
        ({"align": {"crs": "EPSG:32632", "pixel_size": ["1", "1"], "anchor": [0.0, 0.0]}}, "align", "leave"),
        ({"crs": "EPSG:32633"}, "crs", "differ"),
        ({"gsd": 2.0}, "gsd", "whose pixels are shared"),
    ],
)
def test_refusals(folder: Path, more: dict[str, Any], field: str, sentence: str) -> None:
    first = planned(folder, {"extent": METRES, "gsd": 1.0, "canvas": "ground"}).recipe
    with pytest.raises(InvalidInput) as caught:
        planned(folder, joins(first) | {"extent": METRES} | more)
    assert caught.value.field == field
    assert sentence in str(caught.value)


def test_a_frame_that_is_stretched_elsewhere(folder: Path) -> None:
    near, far = ({"bbox": [x, y, x + 0.001, y + 0.001]} for x, y in ((10.0, 52.0), (-50.0, 62.0)))
    first = planned(folder, {"extent": near, "crs": "EPSG:3035", "gsd": 1.0, "canvas": "ground"}).recipe
    with pytest.raises(InvalidInput, match="not square on the ground here"):
        planned(folder, joins(first) | {"extent": far})


def test_members_that_mean_nothing(folder: Path) -> None:
    first = planned(folder, {"extent": METRES, "gsd": 1.0}).recipe
    frame = first.frame.model_dump()
    for changes, field in (
        ({"level": 3}, "joins.level"),
        ({"frame": frame | {"pixel_size": ["0", "1"]}}, "joins.frame.pixel_size"),
        ({"frame": frame | {"anchor": [1e300, 0.0]}}, "joins.frame.anchor"),
        ({"profile": "of mine"}, "joins.profile"),
    ):
        with pytest.raises(InvalidInput) as caught:
            planned(folder, joins(first, **changes) | {"extent": METRES})
        assert caught.value.field == field


@pytest.mark.parametrize("canvas", ["extent", "ground"])
def test_what_a_file_says_is_what_the_plan_compares(server: Backend, tmp_path: Path, canvas: str) -> None:
    inputs = {"prompt": "a lake", "extent": METRES, "gsd": 1.0, "steps": 2, "seed": 7, "canvas": canvas}
    with server.client() as client:
        job = submit(client, "generate", inputs)
        assert finished(client, job)["status"] == "successful"
        made = tmp_path / "made.tif"
        made.write_bytes(client.get(f"/jobs/{job}/results/image.tif").content)
        with rasterio.open(made) as file:
            tags = file.tags(ns="GENERATION")
        recipe = Recipe.model_validate_json(tags["RECIPE"])
        for profile, warned in ((tags["PROFILE"], False), ("0" * 64, True)):
            asked = {"prompt": "a lake", "extent": METRES, "seed": 7} | joins(recipe, profile)
            body = {"inputs": {"process": "generate", "inputs": asked}}
            plan = client.post("/processes/plan/execution", json=body).raise_for_status().json()
            assert any("scene to continue" in line for line in plan["warnings"]) is warned
            assert plan["recipe"]["frame"] == recipe.frame.model_dump()
