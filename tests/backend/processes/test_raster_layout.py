"""The input ``layout`` as a raster of classes: what it shows, by example and as regions; what is refused."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyproj
import pytest
from affine import Affine

from model_backend import processes
from model_backend.engine.by_example.given import Given
from model_backend.engine.by_example.land_cover import LandCover
from model_backend.engine.by_example.scene import ExampleScene, composed
from model_backend.errors import InvalidInput, TooLarge
from model_backend.models.banks.bank import Bank
from model_backend.processes.features import raster_layout
from model_backend.schemas import Box, GenerateInputs, Plan, Recipe
from model_backend.settings import Settings
from tests.support.backend.asking import Asker, made
from tests.support.backend.planning import plan_context, planned
from tests.support.backend.raster_files import write
from tests.support.backend.service import Backend, execute
from tests.support.backend.tiny_bank import COLOURS, picture, share_like

WEST, NORTH = 500000, 5400000
UTM = "EPSG:32633"
FOREST, FIELD, WATER, HOUSES = 10, 40, 80, 50


def blocks(cells: int = 20) -> np.ndarray:
    """Quarters of a square: forest, fields, water, town."""
    half = cells // 2
    values = np.full((cells, cells), FOREST, np.uint8)
    values[:half, half:], values[half:, :half], values[half:, half:] = FIELD, WATER, HOUSES
    return values


def class_file(folder: Path, values: np.ndarray, name: str = "classes.tif", **profile: Any) -> Path:
    """Cells of 10 m from the corner of all scenes here, unless ``profile`` says otherwise."""
    place = {"crs": UTM, "transform": Affine(10, 0, WEST, 0, -10, NORTH)}
    bands = values if values.ndim == 3 else values[None]
    return write(folder / name, bands, **{**place, **profile})


def asked(side: int = 200, height: int = 0, **layout: Any) -> dict[str, Any]:
    extent = {"bbox": [WEST, NORTH - (height or side), WEST + side, NORTH], "crs": UTM}
    drawn = {"source": {"upload": "0" * 32}, "table": "worldcover", **layout}
    return {"prompt": "sand", "extent": extent, "gsd": 1.0, "seed": 7, "crs": UTM, "layout": drawn}


@pytest.fixture(scope="module")
def server(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    one = Backend(tmp_path_factory.mktemp("layout") / "data", "--model", str(bank)).start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def quarters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_file(tmp_path_factory.mktemp("classes"), blocks())


def plan_of(path: Path, limits: Settings, inputs: dict[str, Any] | None = None) -> Plan:
    return planned("generate", inputs or asked(), limits, rasters={"layout.source": path})


def cover_of(path: Path, inputs: dict[str, Any], limits: Settings, recipe: Recipe) -> LandCover | None:
    """What a worker reads of the raster."""
    parsed = processes.get("generate").parse(inputs)
    assert isinstance(parsed, GenerateInputs)
    context = plan_context(limits, rasters={"layout.source": path})
    return raster_layout.land_cover(recipe, parsed.layout, recipe.frame, context)


def in_one_piece(path: Path, inputs: dict[str, Any], limits: Settings, recipe: Recipe) -> np.ndarray:
    """The scene of a recipe made here, all at once, (3, height, width)."""
    bank = Bank.read(Path(limits.model))
    given = Given(cover=cover_of(path, inputs, limits, recipe))
    return ExampleScene(bank, recipe, 2, given).pixels(recipe.grid, Asker())


def uploaded(client: httpx.Client, path: Path) -> dict[str, str]:
    answer = client.post("/uploads", content=path.read_bytes()).raise_for_status().json()
    return {"upload": answer["id"]}


# ---- what is made ----------------------------------------------------------------------------------


def test_classes_lie_where_the_raster_has_them(client, quarters, limits):
    inputs = asked(source=uploaded(client, quarters))
    bands = made(client, "generate", inputs)
    rgb = bands.transpose(1, 2, 0)
    assert share_like(rgb[10:90, 10:90], "forest") > 0.97
    assert share_like(rgb[10:90, 110:190], "farmland") > 0.97
    assert share_like(rgb[110:190, 10:90], "water") > 0.97
    assert share_like(rgb[110:190, 110:190], "town") > 0.97
    # The same raster in the request itself is the same scene, and so is the one that is made here.
    content = base64.b64encode(quarters.read_bytes()).decode()
    inline = asked(source=content)
    qualified = inline | {"layout": {"value": inline["layout"], "mediaType": "application/json"}}
    assert np.array_equal(made(client, "generate", qualified), bands)
    plan = plan_of(quarters, limits)
    assert np.array_equal(in_one_piece(quarters, asked(), limits, plan.recipe), bands)
    assert plan.understood[-1] == "laid out: forest, farmland, town, water"
    assert plan.recipe.land_cover is not None
    assert plan.recipe.land_cover.kinds == {"10": "forest", "40": "farmland", "50": "town", "80": "water"}
    assert not [sentence for sentence in plan.warnings if "layout" in sentence]


@pytest.mark.slow
def test_blocks_of_a_raster_in_degrees_are_the_scene_in_one_piece(client, limits, tmp_path):
    chance = np.random.default_rng(4)
    values = np.repeat(np.repeat(chance.choice([10, 40, 80, 50, 30], (8, 25)), 9, 0), 9, 1).astype(np.uint8)
    lon, lat = pyproj.Transformer.from_crs(UTM, 4326, always_xy=True).transform(WEST - 30, NORTH + 30)
    place = Affine(1 / 12000, 0, lon, 0, -1 / 12000, lat)
    path = class_file(tmp_path, values, crs="EPSG:4326", transform=place)
    inputs = asked(1150, 130, source=uploaded(client, path))
    recipe = plan_of(path, limits, asked(1150, 130)).recipe
    assert np.array_equal(made(client, "generate", inputs), in_one_piece(path, inputs, limits, recipe))


def test_scenes_on_the_ground_have_one_map(limits, quarters):
    shown = []
    for col in (60, 100):
        inputs = asked() | {"canvas": "ground"}
        inputs["extent"] = {"bbox": [WEST + col, NORTH - 96, WEST + col + 96, NORTH], "crs": UTM}
        recipe = plan_of(quarters, limits, inputs).recipe
        composed_map = composed(recipe, tuple(COLOURS), None, cover_of(quarters, inputs, limits, recipe))
        shown.append(composed_map.labels.labels(Box(col=499_900, row=-5_400_200, width=500, height=500), 0))
    assert np.array_equal(*shown)
    assert len(np.unique(shown[0])) == 5


def test_an_edit_without_a_prompt_keeps_the_land_that_has_no_class(client, tmp_path):
    land = np.concatenate([np.concatenate([picture("grassland", n)] * 3, 1)[:, :240] for n in (2, 5, 8)])
    raster = class_file(
        tmp_path,
        land[:240].transpose(2, 0, 1),
        "land.tif",
        transform=Affine(1, 0, WEST, 0, -1, NORTH),
    )
    values = np.zeros((24, 24), np.uint8)
    values[:, 10:14] = WATER
    classes = class_file(tmp_path, values, nodata=0)
    ring = [(40, 40), (200, 40), (200, 200), (40, 200), (40, 40)]
    mask = {"type": "Polygon", "coordinates": [[(WEST + x, NORTH - y) for x, y in ring]]}
    inputs = {
        "source": uploaded(client, raster),
        "mask": {"geojson": mask, "crs": UTM},
        "prompt": "",
        "seed": 3,
        "layout": {"source": uploaded(client, classes), "table": "worldcover"},
    }
    rgb = made(client, "edit", inputs).transpose(1, 2, 0)
    assert share_like(rgb[60:180, 108:132], "water") > 0.9
    assert share_like(rgb[60:180, 55:85], "grassland") > 0.9
    assert np.array_equal(rgb[:40], land[:40])
    body = {"inputs": {"process": "edit", "inputs": inputs}}
    plan = client.post("/processes/plan/execution", json=body).raise_for_status().json()
    assert plan["recipe"]["land_cover"]["kinds"] == {"80": "water"}
    assert plan["understood"] == ["laid out: water"]
    assert any("The layout covers " in sentence for sentence in plan["warnings"])


def test_a_model_takes_its_classes_as_regions(tiny, quarters, tmp_path):
    settings = Settings(data_dir=tmp_path, model=str(tiny))
    plan = plan_of(quarters, settings, asked())
    regions = {one.prompt: one.rings for one in plan.recipe.regions or ()}
    assert set(regions) == {"forest", "farmland", "water", "town"}
    assert plan.recipe.land_cover is None
    (ring,) = regions["farmland"]
    corners = np.array(ring).reshape(-1, 2) / 16
    grid = plan.recipe.grid
    assert abs(corners[:, 0].min() - grid.col - 100) <= 8
    assert abs(corners[:, 1].max() - grid.row - 100) <= 8
    assert any("takes the layout as regions, in squares of" in sentence for sentence in plan.warnings)
    with pytest.raises(InvalidInput, match="on a canvas of its own only") as error:
        plan_of(quarters, settings, asked() | {"canvas": "ground"})
    assert error.value.field == "canvas"


def test_a_model_gets_fewer_corners_of_a_restless_raster(tiny, tmp_path):
    settings = Settings(data_dir=tmp_path, model=str(tiny), max_region_corners=400)
    values = np.random.default_rng(0).choice([10, 40, 80], (60, 60)).astype(np.uint8)
    plan = plan_of(class_file(tmp_path, values), settings, asked(600))
    corners = sum(len(ring) // 2 for one in plan.recipe.regions or () for ring in one.rings)
    assert 0 < corners <= 400
    assert any("in squares of 16 pixels" in sentence or "32 pixels" in sentence for sentence in plan.warnings)


# ---- what is planned -------------------------------------------------------------------------------


def test_values_mean_what_the_request_says(limits, tmp_path):
    path = class_file(tmp_path, np.array([[1, 2], [3, 77]], np.uint8).repeat(10, 0).repeat(10, 1))
    names = {"1": "dense houses", "2": "a lake", "3": "gloop"}
    plan = plan_of(path, limits, asked(table="words", classes=names))
    assert plan.recipe.land_cover is not None
    assert plan.recipe.land_cover.kinds == {"1": "dense houses", "2": "water"}
    (said,) = [sentence for sentence in plan.warnings if "unknown" in sentence]
    assert said.startswith('3 ("gloop"), 77 of the layout are classes unknown here and left out.')
    assert (
        "The layout covers 50 % of the area; elsewhere prompt and regions say what is seen." in plan.warnings
    )
    tags = {"1": "landuse=residential", "2": "natural=water"}
    plan = plan_of(path, limits, asked(table="osm", classes=tags))
    assert plan.recipe.land_cover is not None
    assert plan.recipe.land_cover.kinds == {"1": "houses", "2": "water"}


def test_rasters_of_corine_count_its_classes(limits, tmp_path):
    path = class_file(tmp_path, np.array([[1, 12], [23, 41]], np.uint8).repeat(10, 0).repeat(10, 1))
    plan = plan_of(path, limits, asked(table="corine"))
    assert plan.understood[-1] == "laid out: house (dense houses), field (farmland), forest, lake (water)"


def test_recipes_name_the_raster(limits, quarters):
    recipe = plan_of(quarters, limits).recipe
    assert '"land_cover":{"band":1,"kinds":{' in recipe.canonical()
    without = asked()
    del without["layout"]
    assert "land_cover" not in planned("generate", without, limits).recipe.canonical()


HOSTILE: dict[str, tuple[dict[str, Any], np.ndarray, str, str]] = {
    "real numbers": ({}, np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20), "source", "no classes"),
    "no CRS": ({"crs": None}, blocks(), "source", "The raster of the layout has no coordinate reference"),
    "no place": ({"transform": Affine.identity()}, blocks(), "source", "has no georeference"),
    "elsewhere": (
        {"transform": Affine(10, 0, WEST + 90_000, 0, -10, NORTH)}, blocks(), "source", "outside of the area",
    ),
    "many values": (
        {"transform": Affine(0.5, 0, WEST, 0, -0.5, NORTH)},
        np.arange(90_000, dtype=np.int32).reshape(300, 300), "source", "measurements, not classes",
    ),
    "a picture": ({}, np.stack([blocks()] * 3), "band", "A picture of a map has colours"),
    "other codes": ({}, np.full((20, 20), 7, np.uint8), "source", "No value of the layout has a meaning"),
    "only nodata": ({"nodata": 10}, np.full((20, 20), 10, np.uint8), "source", "No value of the layout"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_raster_of_classes_is_refused(limits, tmp_path, what):
    profile, values, field, words = HOSTILE[what]
    with pytest.raises(InvalidInput, match=words) as error:
        plan_of(class_file(tmp_path, values, **profile), limits)
    assert error.value.field == f"layout.{field}"


def test_a_rotated_raster_is_laid_as_it_lies(limits, tmp_path):
    turned = Affine(10, 0, WEST - 100, 0, -10, NORTH + 100) @ Affine.rotation(20)
    plan = plan_of(class_file(tmp_path, np.full((60, 60), WATER, np.uint8), transform=turned), limits)
    assert plan.understood[-1] == "laid out: water"
    assert not [sentence for sentence in plan.warnings if "covers" in sentence]


def test_too_much_to_read_is_refused(limits, tmp_path):
    fine = {"transform": Affine(0.05, 0, WEST, 0, -0.05, NORTH), "tiled": True, "sparse_ok": True}
    path = class_file(tmp_path, np.full((4000, 4000), WATER, np.uint8), **fine)
    few = limits.model_copy(update={"max_pixels": 1_000_000})
    with pytest.raises(TooLarge, match="Resample it to about the pixels of the scene") as error:
        plan_of(path, few)
    assert error.value.field == "layout.source"


def test_what_is_no_layout_at_all_is_refused_over_http(client, quarters):
    for wrong in (
        {"source": {"upload": "f" * 32}},
        {"source": "no base64 at all"},
        {"source": base64.b64encode(b"GIF89a").decode()},
        {"source": uploaded(client, quarters), "classes": {"1": 5}},
        {"source": uploaded(client, quarters), "classes": {str(n): "lake" for n in range(1001)}},
        {"source": uploaded(client, quarters), "table": "mine"},
        {"source": uploaded(client, quarters), "band": 0},
        {"source": uploaded(client, quarters), "geojson": {}},
        {"table": "osm"},
        {"source": {"href": "http://example.org/x.tif"}},
    ):
        refused = execute(client, "generate", asked() | {"layout": wrong})
        assert refused.status_code == 400, (wrong, refused.text)
        assert refused.json()["field"].startswith("layout"), refused.json()
