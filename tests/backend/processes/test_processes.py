"""Descriptions against the official schemas; JSON to values; every refusal a sentence with a range."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_backend import processes
from model_backend.errors import InvalidInput, NoSuchProcess
from model_backend.processes.describe import allowed
from model_backend.schemas import Box, EchoInputs, GenerateInputs, PlanInputs
from tests.support.backend.ogc_schemas import validate

pytestmark = pytest.mark.fast

GENERATE = processes.get("generate")
EXTENT = {"bbox": [10.0, 50.0, 10.1, 50.1]}
GOOD: dict[str, Any] = {"prompt": "a lake", "extent": EXTENT}
SURROGATE = json.loads(r'"\ud800"')


# --- descriptions ---


@pytest.mark.parametrize("process", processes.every(), ids=lambda process: process.id)
def test_description_is_what_ogc_says(process: Any) -> None:
    description = json.loads(json.dumps(process.description(), allow_nan=False))
    validate("process", description)
    validate("processSummary", process.summary())
    assert "$" not in re.sub(r'"pattern": "[^"]*"', "", json.dumps(description)), "references must be inlined"
    assert set(description["inputs"]) == set(process.inputs.model_fields)
    for name, field in process.inputs.model_fields.items():
        assert description["inputs"][name]["minOccurs"] == int(field.is_required())
        assert description["inputs"][name]["maxOccurs"] == 1


def test_job_control() -> None:
    options = {process.id: process.summary()["jobControlOptions"] for process in processes.every()}
    assert options["generate"] == ["async-execute", "dismiss"]
    assert options["plan"] == options["echo"] == ["sync-execute", "async-execute", "dismiss"]
    assert not GENERATE.sync
    assert processes.get("echo").sync


def test_description_says_what_is_allowed() -> None:
    inputs = GENERATE.description()["inputs"]
    assert inputs["gsd"]["schema"] == {
        "type": "number", "minimum": 0, "exclusiveMinimum": True, "nullable": True, "default": None,
    }  # fmt: skip
    assert inputs["sampler"]["schema"]["enum"] == ["dpm++2m", "euler"]
    assert inputs["extent"]["schema"]["properties"]["bbox"]["maxItems"] == 4
    assert inputs["canvas"]["schema"]["anyOf"][1]["required"] == ["col", "row", "width", "height"]
    assert processes.get("plan").description()["inputs"]["process"]["schema"]["enum"][0] == "generate"


def test_outputs_of_variants_are_described() -> None:
    outputs = GENERATE.description()["outputs"]
    assert {"image", "item", "recipe", "image_2", "item_8", "recipe_8"} <= set(outputs)


def test_unknown_process() -> None:
    with pytest.raises(NoSuchProcess, match="generate"):
        processes.get("x" * 10_000)


def test_api_side_imports_no_torch() -> None:
    script = "import sys, model_backend.processes; print(sorted({'torch', 'diffusers'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# --- values ---


def test_values() -> None:
    inputs = GENERATE.parse(GOOD)
    assert isinstance(inputs, GenerateInputs)
    assert inputs.extent.crs == "OGC:CRS84"
    assert GENERATE.parse(GOOD | {"gsd": 1}).gsd == 1.0
    assert GENERATE.parse(GOOD | {"gsd": None, "seed": None, "align": None}) == inputs
    canvas = {"col": -5, "row": 2**40, "width": 256, "height": 256}
    assert GENERATE.parse(GOOD | {"canvas": canvas}).canvas == Box(**canvas)
    assert GENERATE.parse(GOOD | {"canvas": "ground"}).canvas == "ground"
    assert processes.get("echo").parse({}) == EchoInputs()


def test_qualified_values_are_unwrapped() -> None:
    qualified = {
        "prompt": {"value": "a lake", "mediaType": "text/plain"},
        "extent": {"value": EXTENT, "mediaType": "application/json"},
        "seed": {"value": 3},
    }
    assert GENERATE.parse(qualified) == GENERATE.parse(GOOD | {"seed": 3})
    plan = {"process": "generate", "inputs": {"value": GOOD, "mediaType": "application/json"}}
    assert processes.get("plan").parse(plan) == PlanInputs(process="generate", inputs=GOOD)


HOSTILE: list[tuple[Any, str, str]] = [
    ([], "inputs", "an object"),
    (None, "inputs", "an object"),
    ("x", "inputs", "an object"),
    ({}, "prompt", "a text"),
    ({"prompt": "x"}, "extent", "an object with bbox, crs"),
    (GOOD | {"prompt": 1}, "prompt", "a text"),
    (GOOD | {"prompt": ["x"]}, "prompt", "a text"),
    (GOOD | {"prompt": None}, "prompt", "a text"),
    (GOOD | {"prompt": {"text": "x"}}, "prompt", "a text"),
    (GOOD | {"prompt": "a" + SURROGATE}, "prompt", "Unicode text"),
    (GOOD | {"prompt": "a\0b"}, "prompt", "Unicode text"),
    (GOOD | {SURROGATE: 1}, "inputs", "Unicode text"),
    (GOOD | {"promt": "x"}, "promt", "prompt, extent, gsd"),
    (GOOD | {"extent": 5}, "extent", "an object with bbox, crs"),
    (GOOD | {"extent": [0, 0, 1, 1]}, "extent", "an object with bbox, crs"),
    (GOOD | {"extent": {"bbox": [0, 0, 1]}}, "extent.bbox", "a list of 4 values"),
    (GOOD | {"extent": {"bbox": [0, 0, 0, 1, 1, 1]}}, "extent.bbox", "a list of 4 values"),
    (GOOD | {"extent": {"bbox": [0, 0, 1, "1"]}}, "extent.bbox.3", "a finite number"),
    (GOOD | {"extent": {"bbox": [0, 0, float("inf"), 1]}}, "extent.bbox.2", "a finite number"),
    (GOOD | {"extent": {"bbox": [0, float("nan"), 1, 1]}}, "extent.bbox.1", "a finite number"),
    (GOOD | {"extent": {"bbox": [0, 0, 1, 10**400]}}, "extent.bbox.3", "a finite number"),
    (GOOD | {"extent": EXTENT | {"crs": "x" * 20_001}}, "extent.crs", "a text of at most 20000 characters"),
    (GOOD | {"extent": EXTENT | {"srs": "EPSG:1"}}, "extent.srs", "bbox, crs"),
    (GOOD | {"extent": {"href": "http://127.0.0.1/"}}, "extent", "the value itself"),
    (GOOD | {"gsd": 0}, "gsd", "a finite number above 0"),
    (GOOD | {"gsd": -1.5}, "gsd", "a finite number above 0"),
    (GOOD | {"gsd": "1"}, "gsd", "a finite number above 0"),
    (GOOD | {"gsd": float("nan")}, "gsd", "a finite number above 0"),
    (GOOD | {"gsd": True}, "gsd", "a finite number above 0"),
    (GOOD | {"seed": -1}, "seed", "a whole number from 0 to 9007199254740991"),
    (GOOD | {"seed": 2**53}, "seed", "a whole number from 0 to 9007199254740991"),
    (GOOD | {"seed": 10**400}, "seed", "a whole number from 0 to 9007199254740991"),
    (GOOD | {"seed": 1.5}, "seed", "a whole number from 0 to 9007199254740991"),
    (GOOD | {"steps": 0}, "steps", "a whole number from 1 to 200"),
    (GOOD | {"steps": 201}, "steps", "a whole number from 1 to 200"),
    (GOOD | {"guidance": 31}, "guidance", "a finite number from 1 to 30"),
    (GOOD | {"sampler": "ddim"}, "sampler", "dpm++2m or euler"),
    (GOOD | {"variants": 9}, "variants", "a whole number from 1 to 8"),
    (GOOD | {"record_prompt": "no"}, "record_prompt", "true or false"),
    (GOOD | {"model": "../../etc/passwd"}, "model", "a text of at most 100 characters that matches"),
    (GOOD | {"model": ""}, "model", "a text of at most 100 characters that matches"),
    (GOOD | {"canvas": "moon"}, "canvas", "extent or ground or an object with col, row, width, height"),
    (GOOD | {"canvas": 5}, "canvas", "extent or ground or an object with col, row, width, height"),
    (GOOD | {"canvas": {"col": 0}}, "canvas.row", "a whole number"),
    (GOOD | {"canvas": {"col": 0, "row": 0, "width": 0, "height": 1}}, "canvas.width", "of at least 1"),
    (GOOD | {"canvas": {"col": 0.5, "row": 0, "width": 1, "height": 1}}, "canvas.col", "a whole number"),
    (GOOD | {"align": {"crs": "EPSG:4326"}}, "align.pixel_size", "a list of 2 values"),
    (
        GOOD | {"align": {"crs": "EPSG:4326", "pixel_size": ["-1", "1e5"], "anchor": [0, 0]}},
        "align.pixel_size.0",
        "a text that matches",
    ),
    (json.loads('{"prompt": ' + "[" * 100 + "]" * 100 + "}"), "prompt" + ".0" * 12, "12 levels"),
]


@pytest.mark.parametrize(("inputs", "field", "rule"), HOSTILE)
def test_hostile_inputs(inputs: Any, field: str, rule: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        GENERATE.parse(inputs)
    problem = caught.value.problem()
    assert problem["status"] == 400
    assert problem["field"] == field
    assert rule in str(problem["allowed"])
    assert str(problem["detail"]).endswith(".")
    assert len(json.dumps(problem, ensure_ascii=False).encode()) < 2_000


def test_the_plan_refuses_in_the_name_of_its_own_fields() -> None:
    process = processes.get("plan")
    for inputs, field in (
        ({"inputs": GOOD}, "process"),
        ({"process": "echo", "inputs": GOOD}, "process"),
        ({"process": "generate"}, "inputs"),
        ({"process": "generate", "inputs": "x"}, "inputs"),
    ):
        with pytest.raises(InvalidInput) as caught:
            process.parse(inputs)
        assert caught.value.field == field


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(sorted(GenerateInputs.model_fields)), value=json_values)
@pytest.mark.slow
def test_any_json_is_taken_or_refused(name: str, value: Any) -> None:
    """No input, however odd, ends in anything but a value or an InvalidInput that can be sent as JSON."""
    problem: dict[str, object] = {"field": name}
    try:
        GENERATE.parse(GOOD | {name: value})
    except InvalidInput as error:
        problem = error.problem()
    assert str(problem["field"]).split(".")[0] in (name, "inputs")
    json.dumps(problem, ensure_ascii=False).encode()


def test_allowed_in_words() -> None:
    assert allowed({"type": "integer", "minimum": 3}) == "a whole number of at least 3"
    assert allowed({"type": "number", "maximum": 3}) == "a finite number of at most 3"
    assert allowed({"enum": ["a"]}) == "a"
    assert allowed({"type": "object"}) == "an object"
    assert allowed({}) == "any value"
