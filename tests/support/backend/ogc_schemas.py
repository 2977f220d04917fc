"""The official schemas of OGC API - Processes 1.0, relaxed in memory as their README says."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml
from jsonschema import Draft4Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

ROOT = Path(__file__).parents[2] / "backend" / "data" / "ogc-processes-1.0" / "openapi" / "schemas"
BASE = "https://schemas.example/"


def relaxed(node: Any) -> Any:
    """Return a schema with list-valued ``oneOf`` as ``anyOf``, and without ``nullable: false``."""
    if isinstance(node, list):
        return [relaxed(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {}
    for key, value in node.items():
        if key == "nullable" and value is False:
            continue
        result["anyOf" if key == "oneOf" and isinstance(value, list) else key] = relaxed(value)
    return result


@cache
def registry() -> Registry[Any]:
    """Return all schema files, by name."""
    files = {path.name: relaxed(yaml.safe_load(path.read_text())) for path in ROOT.glob("*.yaml")}
    return Registry().with_resources(
        [(BASE + name, Resource(schema, specification=DRAFT4)) for name, schema in files.items()]
    )


def validate(name: str, value: Any) -> None:
    """Raise a ValidationError unless ``value`` is what the official schema ``name`` says."""
    schema = {"$ref": f"{BASE}{name}.yaml"}
    Draft4Validator(schema, registry=registry(), format_checker=FormatChecker()).validate(value)


_ANSWERS = (
    (r"/", "landingPage"),
    (r"/conformance", "confClasses"),
    (r"/processes", "processList"),
    (r"/processes/[^/]+", "process"),
    (r"/jobs", "jobList"),
    (r"/jobs/[^/]+", "statusInfo"),
    (r"/jobs/[^/]+/results", "results"),
)


def check(response: httpx.Response) -> None:
    """Hold an answer of a backend against the official schemas (an event hook of httpx)."""
    kind = response.headers.get("content-type", "").split(";")[0]
    if response.request.method == "HEAD":
        return
    if response.status_code >= 400:
        assert kind == "application/problem+json", f"{response.status_code} came as {kind}"
        problem = response.read() and response.json()
        validate("exception", problem)
        assert problem["status"] == response.status_code
        # How to get a model ends with a command.
        sentence = problem["detail"].endswith(".") or response.status_code == 503
        assert sentence, f"no sentence: {problem['detail']}"
        return
    for pattern, schema in _ANSWERS:
        if re.fullmatch(pattern, response.url.path) and kind == "application/json":
            response.read()
            validate(schema, response.json())
    if response.status_code == 201 and response.url.path != "/uploads":
        response.read()
        validate("statusInfo", response.json())
