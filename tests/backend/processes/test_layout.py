"""The input ``layout``: what was drawn lies where it was drawn, by example and as regions of a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from model_backend.engine.by_example.outlined import Covered, Outlined
from model_backend.engine.by_example.scene import ExampleScene
from model_backend.engine.composition.forms import KIND_OF
from model_backend.engine.composition.mentions import mentions
from model_backend.engine.outlines import Outline
from model_backend.engine.synthesis.labels import Everywhere
from model_backend.engine.synthesis.pyramid import grown
from model_backend.errors import InvalidInput, TooLarge
from model_backend.models.banks.bank import Bank
from model_backend.models.land_tables import codes, osm, sizes
from model_backend.processes.features.land_class import land_class
from model_backend.schemas import Box, Plan, Recipe
from model_backend.settings import Settings
from tests.support.backend.asking import Asker, made
from tests.support.backend.planning import planned
from tests.support.backend.raster_files import write
from tests.support.backend.service import Backend, execute
from tests.support.backend.tiny_bank import COLOURS, picture, share_like

WEST, NORTH = 500000, 5400000


def feature(shape: str, coordinates: Any, value: Any, **more: Any) -> dict[str, Any]:
    """A feature; coordinates are metres east and south of the upper left corner."""
    geometry = {"type": shape, "coordinates": _placed(coordinates)}
    return {"type": "Feature", "geometry": geometry, "properties": {"class": value, **more}}


def _placed(coordinates: Any) -> Any:
    if isinstance(coordinates[0], list | tuple):
        return [_placed(one) for one in coordinates]
    return [WEST + coordinates[0], NORTH - coordinates[1]]


def box(left: float, top: float, width: float, height: float, value: Any, **more: Any) -> dict[str, Any]:
    right, bottom = left + width, top + height
    ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return feature("Polygon", [ring], value, **more)


def layout(*features: Any, table: str = "words", crs: str = "EPSG:32633") -> dict[str, Any]:
    geojson = {"type": "FeatureCollection", "features": list(features)}
    return {"geojson": geojson, "crs": crs} | ({} if table == "words" else {"table": table})


def asked(*features: Any, side: int = 200, prompt: str = "forest", table: str = "words") -> dict[str, Any]:
    extent = {"bbox": [WEST, NORTH - side, WEST + side, NORTH], "crs": "EPSG:32633"}
    drawn = layout(*features, table=table)
    return {"prompt": prompt, "extent": extent, "gsd": 1.0, "seed": 7, "crs": "EPSG:32633", "layout": drawn}


@pytest.fixture(scope="module")
def server(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    one = Backend(tmp_path_factory.mktemp("layout") / "data", "--model", str(bank)).start()
    yield one
    one.stop()


def in_one_piece(bank: Path, recipe: Recipe) -> np.ndarray:
    """The scene of a recipe made here, all at once, (height, width, 3)."""
    return ExampleScene(Bank.read(bank), recipe, 2).pixels(recipe.grid, Asker()).transpose(1, 2, 0)


def like(image: np.ndarray, kind: str) -> np.ndarray:
    """Which pixels have the colour of a kind."""
    apart = np.abs(image.astype(int) - np.array(COLOURS[kind]) - 6).max(-1)
    return np.asarray(apart < 45)


# ---- what is made ----------------------------------------------------------------------------------


def test_areas_lines_and_points_lie_where_they_were_drawn(client, limits):
    inputs = asked(
        box(20, 20, 80, 70, "a lake"),
        box(120, 20, 60, 70, "farmland"),
        feature("LineString", [(0, 150), (200, 150)], "road", width=9),
        feature("MultiPoint", [(40, 180), (150, 180)], "house", width=16),
    )
    rgb = made(client, "generate", inputs).transpose(1, 2, 0)
    assert share_like(rgb[32:78, 32:88], "water") > 0.97
    assert share_like(rgb[24:86, 124:176], "farmland") > 0.97
    assert share_like(rgb[148:152, :], "road") > 0.95
    assert share_like(rgb[174:186, 34:46], "houses") > 0.8
    assert share_like(rgb[174:186, 144:156], "houses") > 0.8
    assert share_like(rgb[100:140], "forest") > 0.95
    plan = planned("generate", inputs, limits)
    assert plan.understood[-1] == "laid out: lake (water), farmland, road, house (houses)"
    (kept,) = plan_of(limits, box(20, 20, 80, 70, "a lake", hard=True)).recipe.layout
    assert kept.hard, "its outline stays as it was drawn"
    assert [(one.kind, one.hard) for one in plan.recipe.layout or ()] == [
        ("water", False),
        ("farmland", True),
        ("road", True),
        ("houses", True),
    ]


@pytest.mark.slow
def test_blocks_are_the_scene_in_one_piece(client, bank, limits):
    inputs = asked(
        box(-50, 60, 900, 80, "lake"),
        feature("LineString", [(10, 20), (700, 150), (1500, 190)], "motorway"),
        feature("MultiPoint", [(1020, 100), (500, 30)], "pond"),
        side=1150,
        prompt="",
    )
    inputs["extent"]["bbox"][1] = NORTH - 200  # two blocks beside each other
    bands = made(client, "generate", inputs)
    assert np.array_equal(
        bands.transpose(1, 2, 0), in_one_piece(bank, planned("generate", inputs, limits).recipe)
    )


def test_a_narrow_road_is_not_torn(bank, limits):
    bends = [(0, 60), (90, 100), (170, 60), (260, 190), (300, 200)]
    inputs = asked(feature("LineString", bends, "track", width=3), side=300)
    rgb = in_one_piece(bank, planned("generate", inputs, limits).recipe)
    road = grown(like(rgb, "road"), 1)
    places = np.concatenate(
        [np.linspace(a, b, 200, endpoint=False) for a, b in zip(bends, bends[1:], strict=False)]
    )
    cols, rows = places.astype(int).T
    assert road[rows, cols].mean() > 0.95
    assert like(rgb, "road").mean() < 0.03


def test_an_edit_without_a_prompt_keeps_the_land_around_what_is_drawn(client, tmp_path):
    land = np.concatenate([np.concatenate([picture("grassland", n)] * 3, 1)[:, :240] for n in (2, 5, 8)])[
        :240
    ]
    file = write(
        tmp_path / "raster.tif", land.transpose(2, 0, 1), crs="EPSG:32633",
        transform=Affine(1, 0, WEST, 0, -1, NORTH),
    )  # fmt: skip
    upload = client.post("/uploads", content=file.read_bytes()).raise_for_status().json()["id"]
    mask = box(40, 40, 160, 160, "")["geometry"]
    inputs = {
        "source": {"upload": upload},
        "mask": {"geojson": mask, "crs": "EPSG:32633"},
        "prompt": "",
        "seed": 3,
        "layout": layout(feature("LineString", [(0, 120), (240, 120)], "road", width=10)),
    }
    rgb = made(client, "edit", inputs).transpose(1, 2, 0)
    assert share_like(rgb[117:123, 50:190], "road") > 0.9
    assert share_like(rgb[50:105, 50:190], "grassland") > 0.9
    assert np.array_equal(rgb[:40], land[:40])
    body = {"inputs": {"process": "edit", "inputs": inputs}}
    plan = client.post("/processes/plan/execution", json=body).raise_for_status().json()
    assert not [sentence for sentence in plan["warnings"] if "prompt" in sentence]
    assert [one["kind"] for one in plan["recipe"]["layout"]] == ["road"]


def test_a_model_takes_a_layout_as_regions(tiny, tmp_path):
    settings = Settings(data_dir=tmp_path, model=str(tiny))
    inputs = asked(
        box(20, 20, 80, 70, "dense houses"),
        feature("LineString", [(0, 150), (200, 150)], "motorway"),
        feature("LineString", [(0, 170), (200, 170)], "path"),
        feature("Point", (10, 10), "tree", width=2),
    )
    inputs["regions"] = {"crs": "EPSG:32633", "geojson": layout(box(0, 0, 50, 50, ""))["geojson"]}
    inputs["regions"]["geojson"]["features"][0]["properties"] = {"prompt": "sand"}
    plan = planned("generate", inputs, settings)
    assert [one.prompt for one in plan.recipe.regions or ()] == ["sand", "rowhouse", "road"]
    assert plan.recipe.layout is None
    assert "layout" not in plan.recipe.canonical()
    assert any("number 3 (path), number 4 (tree), too small" in sentence for sentence in plan.warnings)


# ---- what is planned -------------------------------------------------------------------------------


def plan_of(limits: Settings, *features: Any, **more: Any) -> Plan:
    return planned("generate", asked(*features, **more), limits)


def test_areas_lie_below_lines_and_lines_below_points(limits):
    plan = plan_of(
        limits,
        feature("Point", (10, 10), "pond"),
        feature("LineString", [(0, 0), (9, 9)], "road"),
        feature("LineString", [(0, 9), (9, 0)], "river"),
        box(0, 0, 50, 50, "sand", priority=2),
        box(0, 0, 50, 50, "forest"),
    )
    assert [one.kind for one in plan.recipe.layout or ()] == ["forest", "sand", "water", "road", "water"]


def test_unknown_classes_are_named_and_left_out(limits):
    strange = [box(0, 0, 9, 9, name) for name in (*"qwertzuiop", None, 7.5)]
    plan = plan_of(limits, box(0, 0, 50, 50, "lake"), *strange)
    (said,) = [sentence for sentence in plan.warnings if "unknown" in sentence]
    assert said.startswith('"q", "w", "e", "r", "t", "z", "u", "i" and 4 more of the layout are classes')
    assert len(plan.recipe.layout or ()) == 1
    with pytest.raises(InvalidInput, match="No feature of the layout has a class that is known here"):
        plan_of(limits, box(0, 0, 50, 50, "gloop"))


def test_what_is_not_seen_as_it_was_drawn_is_said(limits):
    plan = plan_of(
        limits,
        feature("LineString", [(0, 0), (90, 90)], "path", width=0.5),
        box(0, 0, 50, 50, "golf course"),
        box(900, 0, 50, 50, "lake"),
    )
    assert "Drawn 1.5 pixels wide, or it would not be seen: path." in plan.warnings
    assert "There are no examples of golf at this pixel size: grassland is shown." in plan.warnings
    assert "1 feature of the layout lies outside." in plan.warnings
    assert [one.kind for one in plan.recipe.layout or ()] == ["golf", "road"]


def test_recipes_without_a_layout_do_not_mention_it(limits):
    inputs = asked(box(0, 0, 9, 9, "lake"))
    del inputs["layout"]
    recipe = planned("generate", inputs, limits).recipe
    assert "layout" not in recipe.canonical()
    assert "layout" in plan_of(limits, box(0, 0, 9, 9, "lake")).recipe.canonical()


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (None, "has no geometry"),
        ({"type": "GeometryCollection", "geometries": []}, "is a GeometryCollection"),
        ({"type": "LineString", "coordinates": [[WEST, NORTH]]}, "fewer than two places"),
        ({"type": "LineString", "coordinates": [[WEST, NORTH]] * 3}, "fewer than two places"),
        ({"type": "MultiLineString", "coordinates": []}, "is empty"),
        ({"type": "MultiLineString", "coordinates": 5}, "no list of coordinates"),
        ({"type": "LineString", "coordinates": [[1e400, 0], [0, 0]]}, "not finite"),
        ({"type": "LineString", "coordinates": [[10**400, 0], [0, 0]]}, "reaches beyond"),
        ({"type": "Point", "coordinates": ["a", "b"]}, "two or more numbers"),
        ({"type": "Point", "coordinates": []}, "two or more numbers"),
        ({"type": "MultiPoint", "coordinates": []}, "is empty"),
        ({"type": "MultiPoint", "coordinates": {"x": 1}}, "two or more numbers"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [9, 9], [9, 0], [0, 9], [0, 0]]]}, "no valid polygon"),
    ],
)
def test_hostile_geometries_are_refused_by_name(limits, geometry, words):
    bad = {"type": "Feature", "id": "x7", "geometry": geometry, "properties": {"class": "road"}}
    with pytest.raises(InvalidInput, match=f"Feature x7 .*{words}") as error:
        plan_of(limits, box(0, 0, 9, 9, "lake"), bad)
    assert error.value.field == "layout.geojson.features.1.geometry"


def test_hostile_collections_and_numbers_are_refused(client, limits):
    for wrong in (
        {"width": 0},
        {"width": -3},
        {"width": 1e9},
        {"width": "wide"},
        {"priority": True},
        {"hard": 1},
    ):
        with pytest.raises(InvalidInput, match="Feature number 1 has a"):
            plan_of(limits, feature("LineString", [(0, 0), (9, 9)], "river", **wrong))
    with pytest.raises(InvalidInput, match="draw one, or leave it out"):
        plan_of(limits)
    few = limits.model_copy(update={"max_regions": 1})
    with pytest.raises(TooLarge, match="The layout has 2 features"):
        plan_of(few, box(0, 0, 9, 9, "lake"), box(0, 0, 9, 9, "lake"))
    bad = asked(box(0, 0, 9, 9, "lake"))
    bad["layout"]["table"] = "mine"
    refused = execute(client, "generate", bad)
    assert refused.status_code == 400
    assert "worldcover" in refused.text


# ---- tables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "value", "shape", "kind", "width"),
    [
        ("words", "Dense Houses", "polygon", "dense houses", None),
        ("words", "wide road", "line", "road", 7 * 14 / 9),
        ("words", "forest road", "line", "road", 7),
        ("osm", "residential", "polygon", "houses", None),
        ("osm", "residential", "line", "road", 7),
        ("osm", "highway=primary", "line", "road", 12),
        ("osm", "waterway=river", "line", "water", 20),
        ("osm", "natural=tree", "point", "forest", None),
        ("osm", "building=cowshed", "polygon", "buildings", None),
        ("osm", "building", "polygon", "buildings", None),
        ("osm", "fclass=residential", "polygon", "houses", None),
        ("corine", 312, "polygon", "forest", None),
        ("corine", "112", "polygon", "houses", None),
        ("corine", 211.0, "polygon", "farmland", None),
        ("worldcover", "80.00", "polygon", "water", None),
        ("nlcd", 22, "polygon", "sparse houses", None),
        ("cdl", 111, "polygon", "water", None),
        ("cdl", 1, "polygon", "farmland", None),
    ],
)
def test_classes_of_tables(table, value, shape, kind, width):
    found = land_class(value, table, shape)
    assert found is not None
    assert found.kind == kind
    assert width is None or found.width == pytest.approx(width)


@pytest.mark.parametrize("value", [None, "", True, [], {}, 7.5, "no=thing", "natural=no", "=", float("nan")])
@pytest.mark.parametrize("table", ["words", "osm", "corine"])
def test_what_is_in_no_table_is_unknown(table, value):
    assert land_class(value, table, "polygon") is None


def test_tables_use_words_of_prompts():
    tables = (codes.CORINE, codes.WORLDCOVER, codes.NLCD, codes.CDL, *osm.TAGS.values())
    for phrase in {phrase for table in tables for phrase in table.values()}:
        found, unknown = mentions(phrase)
        assert len(found) == 1, phrase
        assert not unknown, phrase
    assert {*sizes.LINES, *sizes.POINTS, *sizes.ROUND} <= set(KIND_OF)


def test_one_map_lies_over_another():
    canvas = Box(col=0, row=0, width=4, height=4)
    rings = [[0, 16, 64, 16, 64, 32, 0, 32]]
    both = Covered(Everywhere(3), (Outlined(Outline.of(rings), Everywhere(7), 0, soft=False),))
    assert both.labels(canvas, 0).tolist() == [[3] * 4, [7] * 4, [3] * 4, [3] * 4]
