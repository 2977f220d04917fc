"""The input ``regions``: what is taken, in which order, what is refused by which name; and real scenes."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyproj
import pytest
import rasterio

from model_backend import processes
from model_backend.engine.diffusion.prompt_field import Prompt, PromptField
from model_backend.engine.lattice import Layout
from model_backend.errors import InvalidInput, TooLarge
from model_backend.models.registry import Registry
from model_backend.schemas import REGION_UNITS, Plan, PlanInputs, Recipe
from model_backend.settings import Settings
from tests.support.backend.planning import plan_context
from tests.support.backend.planning import planned as planned_by
from tests.support.backend.service import execute, finished, submit

METRES = {"bbox": [500_000.0, 5_200_000.0, 500_200.0, 5_200_200.0], "crs": "EPSG:32632"}
GOOD: dict[str, Any] = {"prompt": "a desert", "extent": METRES, "gsd": 1.0, "seed": 7}
X, Y = 500_000.0, 5_200_000.0


@pytest.fixture(scope="module")
def limits(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("data"), model=str(tiny))


@pytest.fixture
def planned(limits: Settings) -> Any:
    """Plan a scene with regions, given their features, with inputs and limits changed."""

    def run(
        features: Any, crs: str = "EPSG:32632", inputs: dict[str, Any] | None = None, **changed: Any
    ) -> Plan:
        geojson = (
            features if isinstance(features, dict) else {"type": "FeatureCollection", "features": features}
        )
        asked = GOOD | {"regions": {"geojson": geojson, "crs": crs}} | (inputs or {})
        changes = limits.model_copy(update=changed)
        return planned_by("generate", asked, changes, 0.1)

    return run


def square(left: float, top: float, side: float) -> list[list[float]]:
    """Return a closed ring, in metres from the extent's lower left corner."""
    west, south = X + left, Y + 200 - top - side
    corners = [(west, south), (west + side, south), (west + side, south + side), (west, south + side)]
    return [list(corner) for corner in [*corners, corners[0]]]


def feature(
    prompt: Any, *rings: Any, id: Any = None, geometry: Any = None, **properties: Any
) -> dict[str, Any]:
    made = {"type": "Feature", "properties": {"prompt": prompt, **properties}}
    made["geometry"] = geometry or {"type": "Polygon", "coordinates": list(rings)}
    return made if id is None else made | {"id": id}


def texts(made: Plan) -> list[str]:
    return [region.prompt for region in made.recipe.regions or ()]


class TestOrder:
    def test_higher_priority_covers_then_the_later_feature(self, planned: Any) -> None:
        ring = square(0, 0, 100)
        made = planned(
            [
                feature("a", ring, priority=2),
                feature("b", ring),
                feature("c", ring, priority=-1.5),
                feature("d", ring, priority=2),
                feature("e", ring, priority=None),
            ]
        )
        assert texts(made) == ["c", "b", "e", "a", "d"]

    def test_corners_are_told_in_sixteenths_of_a_pixel_of_the_frame(self, planned: Any) -> None:
        made = planned(
            [feature("a lake", square(10, 20, 100), square(30, 40, 20.5), negative_prompt=" boats ")]
        )
        region = made.recipe.regions[0]
        assert region.negative_prompt == "boats"
        left, bottom = int(X) + 10, -(int(Y) + 200 - 120)
        outer = [n / REGION_UNITS for n in region.rings[0]]
        assert outer == [left, bottom, left + 100, bottom, left + 100, bottom - 100, left, bottom - 100]
        assert len(region.rings) == 2
        assert max(region.rings[1][::2]) - min(region.rings[1][::2]) == 20.5 * REGION_UNITS

    def test_parts_holes_and_a_third_coordinate(self, planned: Any) -> None:
        high = [[x, y, 412.0] for x, y in square(0, 0, 50)]
        parts = [[high, square(10, 10, 20)], [square(100, 100, 50)]]
        made = planned([feature("a lake", geometry={"type": "MultiPolygon", "coordinates": parts})])
        assert len(made.recipe.regions[0].rings) == 3

    def test_no_regions_leave_no_trace(self, planned: Any, limits: Settings) -> None:
        plain = planned_by("generate", GOOD, limits, 0.1)
        assert "regions" not in plain.recipe.canonical()
        assert plain.window_evaluations == 2
        far = planned([feature("a lake", square(10_000, 10_000, 50), id=7)])
        assert far.recipe == plain.recipe
        assert "Region 7 lies outside of the extent." in far.warnings

    def test_on_the_ground_all_regions_stay(self, planned: Any) -> None:
        far = planned([feature("a lake", square(900, 900, 50))], inputs={"canvas": "ground"})
        assert texts(far) == ["a lake"]


class TestPlaces:
    @pytest.mark.parametrize("crs", ["OGC:CRS84", "EPSG:3857", "EPSG:2154", "EPSG:4326"])
    def test_any_crs_gives_the_same_outline(self, planned: Any, crs: str) -> None:
        there = pyproj.Transformer.from_crs("EPSG:32632", crs, always_xy=True)
        ring = [list(there.transform(*point)) for point in square(20, 20, 150)]
        made = planned([feature("a lake", ring)], crs=crs)
        here = planned([feature("a lake", square(20, 20, 150))])
        found, expected = (np.array(m.recipe.regions[0].rings[0]).reshape(-1, 2) for m in (made, here))
        assert np.abs(found.min(0) - expected.min(0)).max() <= 2
        assert np.abs(found.max(0) - expected.max(0)).max() <= 2

    def test_uris_have_the_official_axis_order(self, planned: Any) -> None:
        there = pyproj.Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
        ring = [list(there.transform(*point))[::-1] for point in square(20, 20, 150)]
        made = planned([feature("a lake", ring)], crs="http://www.opengis.net/def/crs/EPSG/0/4326")
        assert not made.warnings or all("outside" not in warning for warning in made.warnings)
        assert made.recipe.regions is not None

    def test_long_edges_are_bent(self, planned: Any) -> None:
        """A parallel of 4 degrees of longitude bulges by kilometres in UTM; it is met within a pixel."""
        ring = [[7.0, 46.0], [11.0, 46.0], [11.0, 46.95], [7.0, 46.95], [7.0, 46.0]]
        made = planned([feature("a lake", ring)], crs="OGC:CRS84")
        pixels = np.array(made.recipe.regions[0].rings[0]).reshape(-1, 2) / REGION_UNITS
        back = pyproj.Transformer.from_crs("EPSG:32632", "OGC:CRS84", always_xy=True)
        middle = (pixels + np.roll(pixels, -1, 0)) / 2
        lon, lat = back.transform(middle[:, 0], -middle[:, 1])
        off = np.min(
            [abs(lon - 7) * 76e3, abs(lon - 11) * 76e3, abs(lat - 46) * 111e3, abs(lat - 46.95) * 111e3], 0
        )
        assert off.max() < 0.6
        assert 100 < len(pixels) < 5000

    def test_a_frame_in_other_units(self, planned: Any) -> None:
        """Degrees are generated in a metric frame; regions lie on that."""
        extent = {"bbox": [9.0, 46.9, 9.003, 46.902], "crs": "OGC:CRS84"}
        ring = [[9.0005, 46.9005], [9.002, 46.9005], [9.002, 46.9015], [9.0005, 46.9015], [9.0005, 46.9005]]
        made = planned(
            [feature("a lake", ring)], crs="OGC:CRS84", inputs={"extent": extent, "crs": "EPSG:4326"}
        )
        xs = np.array(made.recipe.regions[0].rings[0][::2]) / REGION_UNITS
        assert 105 < xs.max() - xs.min() < 125
        grid = made.recipe.grid
        assert grid.col < xs.min() < xs.max() < grid.col + grid.width


BOW = [[X, Y], [X + 50, Y + 50], [X + 50, Y], [X, Y + 50], [X, Y]]
RING = square(0, 0, 50)


@pytest.mark.parametrize(
    ("features", "field", "says"),
    [
        ({"type": "Polygon", "coordinates": [RING]}, "geojson", "FeatureCollection"),
        ({"type": "FeatureCollection"}, "geojson", "FeatureCollection"),
        ([], "geojson", "no polygon"),
        ([feature("a", RING), 5], "features.1", "Region number 2 is no GeoJSON Feature"),
        ([feature("", RING, id="pond")], "features.0.properties.prompt", "Region pond has no prompt"),
        ([feature(None, RING, id=3)], "features.0.properties.prompt", "Region 3 has no prompt"),
        ([feature(" \n", RING)], "features.0.properties.prompt", "Region number 1 has no prompt"),
        ([feature(7, RING)], "features.0.properties.prompt", "no text"),
        ([feature("a", RING, negative_prompt=[1])], "features.0.properties.negative_prompt", "no text"),
        ([feature("a", RING, priority="high")], "features.0.properties.priority", "no number"),
        ([feature("a", RING, priority=True)], "features.0.properties.priority", "no number"),
        (
            [feature("a", BOW, id=12)],
            "features.0.geometry",
            "Region 12 is no valid polygon (Self-intersection",
        ),
        ([feature("a", RING, square(10, 10, 80))], "features.0.geometry", "no valid polygon"),
        ([feature("a", [RING[0], RING[1]])], "features.0.geometry", "fewer than three corners"),
        ([feature("a", [RING[0], RING[1], RING[0], RING[0]])], "features.0.geometry", "no valid polygon"),
        (
            [feature("a", geometry={"type": "Point", "coordinates": [X, Y]})],
            "features.0.geometry",
            "is a Point",
        ),
        (
            [feature("a", geometry={"type": "LineString", "coordinates": RING})],
            "features.0.geometry",
            "LineString",
        ),
        ([feature("a") | {"geometry": None}], "features.0.geometry", "has no geometry"),
        ([feature("a", geometry={"type": "Polygon"})], "features.0.geometry", "no list of coordinates"),
        ([feature("a", geometry={"type": "Polygon", "coordinates": []})], "features.0.geometry", "is empty"),
        ([feature("a", [["x", "y"]] * 4)], "features.0.geometry", "not lists of two or more numbers"),
        ([feature("a", [[1]] * 4)], "features.0.geometry", "not lists of two or more numbers"),
        ([feature("a", [[True, False]] * 4)], "features.0.geometry", "not lists of two or more numbers"),
        ([feature("a", [[1e300, 1e300], [1e300, 0], [0, 0]])], "features.0.geometry", "reaches beyond"),
    ],
)
def test_what_cannot_be_a_region_is_refused_by_name(
    planned: Any, features: Any, field: str, says: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        planned(features)
    assert caught.value.field == f"regions.{field}" if field == "geojson" else f"regions.geojson.{field}"
    assert says in str(caught.value)
    assert str(caught.value).endswith(".")
    assert caught.value.status == 400


def test_a_region_beyond_the_projection_is_refused(planned: Any) -> None:
    beyond = [[8.0, 46.0], [9.0, 95.0], [10.0, 46.0]]
    with pytest.raises(InvalidInput, match="reaches beyond where WGS 84 / UTM zone 32N is defined"):
        planned([feature("a lake", beyond)], crs="OGC:CRS84")
    with pytest.raises(InvalidInput) as caught:
        planned([feature("a", RING)], crs="EPSG:999999")
    assert caught.value.field == "regions.crs"


def test_a_region_as_large_as_the_world_covers_the_scene(planned: Any, limits: Settings) -> None:
    world = [[-170.0, -80.0], [170.0, -80.0], [170.0, 80.0], [-170.0, 80.0], [-170.0, -80.0]]
    made = planned([feature("an ocean", world, negative_prompt="land")], crs="OGC:CRS84")
    assert made.window_evaluations == 2
    assert all("take" not in warning for warning in made.warnings)
    assert set(shares(made.recipe, limits)) == {1}


def test_limits(planned: Any) -> None:
    some = [feature(f"{n % 3}", square(n, n, 20)) for n in range(20)]
    many = [feature(f"{n}", square(n, n, 20)) for n in range(65)]
    for features, changed, field, rule in (
        (some, {"max_regions": 19}, "regions.geojson", "at most 19 polygons"),
        (some, {"max_region_corners": 99}, "regions.geojson", "at most 99 corners"),
        (many, {}, "regions", "at most 64 different prompts"),
        ([feature("x" * 2001, RING)], {}, "regions.geojson.features.0.properties.prompt", "at most 2,000"),
        (
            [feature("x", RING, negative_prompt="y" * 3000)],
            {},
            "regions.geojson.features.0.properties.negative_prompt",
            "at most 2,000",
        ),
    ):
        with pytest.raises(TooLarge) as caught:
            planned(features, **changed)
        assert (caught.value.status, caught.value.field) == (413, field)
        assert rule in str(caught.value.allowed)
    assert planned(some, max_regions=20, max_region_corners=100).recipe.regions


def test_warnings_name_regions(planned: Any, limits: Settings, tmp_path: Path) -> None:
    lakes = [feature("a lake", square(30 * n, 300, 20), id=n) for n in range(6)]
    made = planned(
        [*lakes, feature("a boat", square(20, 20, 5), id="boat"), feature("a road", square(50, 50, 90))]
    )
    said = "\n".join(made.warnings)
    assert "Regions 0, 1, 2 and 3 more lie outside of the extent." in said
    assert "Region boat is too small to be seen: the model places nothing smaller than 8 x 8 pixels." in said
    assert made.window_evaluations is not None
    assert 2 < made.window_evaluations < 4
    assert f"The regions take {made.evaluations:,} evaluations instead of" in said


def test_unknown_words_name_their_regions(planned: Any) -> None:
    mini = {"model": "text2earth-mini"}
    features = [feature("zzz", square(0, 0, 60), id=1), feature("qqq", square(70, 0, 60), id=2)]
    said = "\n".join(planned([*features, feature("a forest", square(0, 70, 60))], inputs=mini).warnings)
    assert (
        "Regions 1 and 2: Text2Earth mini knows none of the words in the prompts. It knows words such" in said
    )
    alone = "\n".join(planned(features[:1], inputs=mini).warnings)
    assert "Region 1: Text2Earth mini knows none of the words in the prompt." in alone


def test_the_process_plan_names_the_field_from_its_own_inputs(limits: Settings) -> None:
    inputs = GOOD | {"regions": {"geojson": {"type": "FeatureCollection", "features": [feature("a", BOW)]}}}
    with pytest.raises(InvalidInput) as caught:
        processes.get("plan").answer(PlanInputs(process="generate", inputs=inputs), plan_context(limits))
    assert caught.value.field == "inputs.regions.geojson.features.0.geometry"


def test_many_detailed_regions_are_planned_in_a_moment(planned: Any) -> None:
    """As many corners and polygons as are let in, on the largest scene: seconds, not minutes."""
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    features = []
    for n in range(2000):
        x, y = rng.uniform(0, 4000, 2)
        radius = rng.uniform(20, 120) * rng.uniform(0.8, 1.2, len(angles))
        ring = [
            [X + x + float(r * np.cos(a)), Y + y + float(r * np.sin(a))]
            for a, r in zip(angles, radius, strict=True)
        ]
        features.append(feature(f"prompt {n % 9}", ring))
    extent = {"bbox": [X, Y, X + 4000, Y + 4000], "crs": "EPSG:32632"}
    began = time.process_time()
    made = planned(features, inputs={"extent": extent})
    assert time.process_time() - began < 60
    assert made.window_evaluations > 2.5
    assert len(made.recipe.canonical()) < 1_000_000


def test_a_recipe_alone_says_where_prompts_hold(planned: Any, limits: Settings) -> None:
    made = planned([feature("a lake", square(40, 60, 80))])
    recipe = Recipe.model_validate_json(made.recipe.canonical())
    f = Registry(limits).default().card.vae_factor
    top, left = int(Y) * -1 - 200 + 60, int(X) + 40
    inside = range(-(-top // f) + 3, (top + 80) // f - 3), range(-(-left // f) + 3, (left + 80) // f - 3)
    assert set(shares(recipe, limits, *inside)) == {1}
    assert set(shares(recipe, limits)) == {0, 1}


def shares(recipe: Recipe, limits: Settings, *box: range) -> dict[int, Any]:
    """Return what each prompt of a recipe covers of a box of latents, or of its canvas."""
    card = Registry(limits).default().card
    layout = Layout.of(card.engine, card.vae_factor, recipe.canvas)
    field = PromptField(Prompt("", ""), recipe.regions or (), layout, True)
    return field._shares(*(box or (layout.rows.bounds, layout.cols.bounds)))


# --- over HTTP, with a real worker ---

EXTENT = {"bbox": [500_000, 5_200_000, 500_192, 5_200_192], "crs": "EPSG:32632"}


def asked(*features: Any, **changes: Any) -> dict[str, Any]:
    geojson = {"type": "FeatureCollection", "features": list(features)}
    regions = {"geojson": geojson, "crs": "EPSG:32632"}
    return GOOD | {"extent": EXTENT, "steps": 3, "regions": regions} | changes


def image(client: httpx.Client, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return a scene's pixels (3, rows, columns) and the recipe in its file."""
    job = submit(client, "generate", inputs)
    info = finished(client, job)
    assert info["status"] == "successful", info
    with rasterio.open(io.BytesIO(client.get(f"/jobs/{job}/results/image.tif").content)) as file:
        return file.read().astype(int), json.loads(file.tags(ns="GENERATION")["RECIPE"])


def test_a_scene_with_regions(client: httpx.Client) -> None:
    lake = feature("a lake", square(0, 8, 60), id=5)
    inputs = asked(lake, feature("houses", square(110, 120, 60)))
    made, recipe = image(client, inputs)
    assert [region["prompt"] for region in recipe["regions"]] == ["a lake", "houses"]
    again, _ = image(client, asked(feature("houses", square(110, 120, 60), priority=-1), lake))
    plain, without = image(client, inputs | {"regions": None})
    assert "regions" not in without
    change = np.abs(made - plain).mean(0)
    assert change[16:60, 8:50].mean() > 3 * change[150:, :40].mean()
    assert change[16:60, 8:50].mean() > 2
    np.testing.assert_array_equal(made, again)  # apart from each other, their order is not seen


def test_prompts_of_regions_stay_out_of_files_on_request(client: httpx.Client) -> None:
    secret = feature("a hidden lake", square(0, 0, 90), negative_prompt="a hidden boat")
    job = submit(client, "generate", asked(secret, record_prompt=False), response="document")
    assert finished(client, job)["status"] == "successful"
    for link in client.get(f"/jobs/{job}/results").json().values():
        assert b"hidden" not in client.get(link["href"]).content


def test_a_wrong_region_is_a_problem_with_its_name(client: httpx.Client) -> None:
    answer = execute(client, "generate", asked(feature("a lake", BOW, id="pond 3")))
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["field"] == "regions.geojson.features.0.geometry"
    assert "Region pond 3 is no valid polygon (Self-intersection" in problem["detail"]
    many = execute(client, "generate", asked(*[feature(f"{n}", RING) for n in range(65)]))
    assert (many.status_code, many.json()["title"]) == (413, "Request too large")


def test_a_long_prompt_of_a_region_is_cut_and_says_so(client: httpx.Client) -> None:
    job = submit(client, "generate", asked(feature("a lake and the forest " * 60, square(0, 0, 90))))
    assert (
        'The prompt "a lake and the forest a lake a..." of a region is longer'
        in finished(client, job)["message"]
    )
