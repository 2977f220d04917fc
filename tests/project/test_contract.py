"""Both sides of the wire say the same: the plugin's dataclasses and the backend's pydantic models."""

import dataclasses
import json
import typing

import pytest
from pydantic_core import PydanticUndefined

from model_backend import schemas as backend
from text2earth_qgis.core.wire import schemas as plugin

pytestmark = pytest.mark.fast

TWINS = ["Extent", "Box", "Align", "GenerateInputs", "Upload", "Polygons", "EditInputs", "ExtendInputs"]
TWINS += ["PlanInputs", "EchoInputs", "Frame", "Joins", "LayoutFeatures", "LayoutRaster"]
TWINS += ["UnsentRaster", "ReadInputs"]
EXAMPLES = [
    plugin.GenerateInputs(
        prompt="a lake",
        extent=plugin.Extent(bbox=[500000.0, 5800000.0, 500256.0, 5800256.0], crs="EPSG:32633"),
        gsd=1.0,
        seed=7,
        canvas="ground",
        joins=plugin.Joins(
            frame=plugin.Frame(crs="EPSG:32633", pixel_size=["1", "1"], anchor=[0.0, 0.0]),
            engine=1,
            level=17,
            profile="0" * 64,
        ),
    ),
    plugin.GenerateInputs(
        prompt="été à Zürich 湖",
        negative_prompt="clouds",
        extent=plugin.Extent(bbox=[8.0, 47.0, 8.01, 47.01], crs="OGC:CRS84"),
        align=plugin.Align(crs="EPSG:2263", pixel_size=["0.5", "0.5"], anchor=[0.0, 0.25]),
        canvas=plugin.Box(col=-5, row=3, width=256, height=256),
        steps=20,
        sampler="euler",
        guidance=4.0,
        model="text2earth-mini",
        variants=2,
        record_prompt=False,
        start="bank",
        start_strength=0.5,
        regions=plugin.Polygons({"type": "FeatureCollection", "features": []}, "EPSG:32633"),
        layout=plugin.LayoutFeatures({"type": "FeatureCollection", "features": []}, "EPSG:32633", "osm"),
    ),
]


@pytest.mark.parametrize("name", TWINS)
def test_same_fields_and_defaults(name):
    twin = {field.name: field for field in dataclasses.fields(getattr(plugin, name))}
    model = getattr(backend, name).model_fields
    assert set(twin) == set(model)
    for key, field in model.items():
        default = twin[key].default
        expected = dataclasses.MISSING if field.default is PydanticUndefined else field.default
        assert default == expected, f"{name}.{key}"


EDITS = [
    plugin.EditInputs(
        prompt="a lake",
        source=plugin.Upload("0" * 32),
        mask=plugin.Polygons({"type": "Polygon"}, "EPSG:4326"),
    ),
    plugin.EditInputs(
        prompt="a lake",
        source=plugin.Upload("0" * 32),
        mask=plugin.Upload("f" * 32),
        negative_prompt="clouds",
        bands=[4, 3, 2],
        stretch=[(0.0, 1.5), (0.0, 1.0), (-1.0, 1.0)],
        extra_bands="drop",
        feather=3.0,
        grow=1.0,
        strength=0.5,
        seed=2**53 - 1,
        steps=3,
        sampler="euler",
        guidance=2.0,
        model="m",
        record_prompt=False,
        layout=plugin.LayoutRaster(
            plugin.Upload("1" * 32), band=2, table="osm", classes={"3": "natural=water"}
        ),
    ),
]


@pytest.mark.parametrize("example", EDITS, ids=["polygons", "raster"])
def test_edits_survive_the_round_trip(example):
    sent = json.loads(json.dumps(example.to_json()))
    received = backend.EditInputs.model_validate_json(json.dumps(sent))
    back = json.loads(received.model_dump_json(exclude_none=True))
    assert {key: back[key] for key in sent} == sent


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.prompt)
def test_examples_survive_the_round_trip(example):
    sent = json.loads(json.dumps(example.to_json()))
    received = backend.GenerateInputs.model_validate_json(json.dumps(sent))
    back = json.loads(received.model_dump_json(exclude_none=True))
    assert {key: back[key] for key in sent} == sent


def test_plugin_reads_every_member_of_a_plan():
    members = set(backend.Plan.model_fields)
    hints = typing.get_type_hints(plugin.Plan)
    assert set(hints) <= members
