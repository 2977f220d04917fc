"""From our pydantic models to OGC API - Processes 1.0 descriptions, and to words for people.

Knows JSON Schema as pydantic writes it and the OpenAPI 3.0 subset that OGC's ``schema.yaml`` allows (no
``$defs``, ``const`` or type ``null``; ``exclusiveMinimum`` is a boolean there). Knows no process and no HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]


@lru_cache(maxsize=32)
def model_schema(model: type[BaseModel]) -> Schema:
    """Return the JSON Schema of ``model`` in OGC's subset, without references. Do not change what you get."""
    schema = model.model_json_schema()
    return _convert(schema, schema.get("$defs", {}))


def _convert(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return ``schema`` with references inlined and OpenAPI 3.0 words for null, const and open bounds."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[1]]
        schema = target | {key: value for key, value in schema.items() if key != "$ref"}
    result: Schema = {}
    for key, value in schema.items():
        if key == "const":
            result["enum"] = [value]
        elif key in ("exclusiveMinimum", "exclusiveMaximum"):
            result |= {key[9:].lower(): value, key: True}
        elif key == "properties":
            result[key] = {name: _convert(item, definitions) for name, item in value.items()}
        elif key in ("anyOf", "oneOf"):
            result |= _alternatives([_convert(item, definitions) for item in value])
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            result[key] = _convert(value, definitions)
        elif key != "$defs":
            result[key] = value
    return result


def _alternatives(options: list[Schema]) -> Schema:
    """Return the members that say "one of ``options``", null being a flag in OpenAPI 3.0."""
    real = [option for option in options if option.get("type") != "null"]
    null = {"nullable": True} if len(real) < len(options) else {}
    return (real[0] if len(real) == 1 else {"anyOf": real}) | null


def input_descriptions(model: type[BaseModel]) -> dict[str, Schema]:
    """Return OGC ``inputDescription`` objects, one per field of ``model``."""
    schema = model_schema(model)
    required = schema.get("required", ())
    result = {}
    for name, field in schema["properties"].items():
        words = {"title": _title(name), "description": field.get("description", "")}
        kept = {key: value for key, value in field.items() if key not in ("title", "description")}
        occurs = {"minOccurs": int(name in required), "maxOccurs": 1}
        result[name] = {key: value for key, value in words.items() if value} | occurs | {"schema": kept}
    return result


def _title(name: str) -> str:
    """Return a field's name as a title for people."""
    words = name.replace("_", " ")
    return {"gsd": "GSD", "crs": "CRS", "project crs": "Project CRS"}.get(words, words.capitalize())


def allowed(schema: Schema) -> str:
    """Return in words what ``schema`` (in OGC's subset) allows, for the refusal of a wrong value."""
    if "enum" in schema:
        return _either(map(str, schema["enum"]))
    if "anyOf" in schema:
        return _either(map(allowed, schema["anyOf"]))
    match schema.get("type"):
        case "integer" | "number" as kind:
            return ("a whole number" if kind == "integer" else "a finite number") + _range(schema)
        case "string":
            return _text(schema)
        case "boolean":
            return "true or false"
        case "array":
            few, many = schema.get("minItems", 0), schema.get("maxItems")
            count = f"{few} " if few == many else (f"{few} to {many} " if many else "")
            return f"a list of {count}values, each {allowed(schema.get('items', {}))}"
        case "object":
            names = schema.get("properties")
            return f"an object with {', '.join(names)}" if names else "an object"
        case _:
            return "any value"


def _either(options: Iterable[str]) -> str:
    """Return "a, b or c"."""
    *head, last = options
    return f"{', '.join(head)} or {last}" if head else last


def _range(schema: Schema) -> str:
    """Return the bounds of a number in words, with a leading space."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" above {low}" if schema.get("exclusiveMinimum") else f" of at least {low}"
    return f" of at most {high}" if high is not None else ""


def _text(schema: Schema) -> str:
    """Return the rules of a text in words."""
    most = f" of at most {schema['maxLength']} characters" if "maxLength" in schema else ""
    pattern = f" that matches {schema['pattern']}" if "pattern" in schema else ""
    return f"a text{most}{pattern}"
