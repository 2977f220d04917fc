"""From the JSON of an execute request to our values, or to a refusal in one sentence.

Unwraps OGC's qualified values, refuses what no field can hold (text that is not Unicode, deep nesting) and
turns pydantic's errors into ``InvalidInput`` with a dotted field, the value and what is allowed. Knows no
process, no CRS and no limit of a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from model_backend.errors import InvalidInput
from model_backend.processes.describe import Schema, allowed, model_schema
from model_backend.schemas import Value

V = TypeVar("V", bound=Value)

_QUALIFIED = {"value", "mediaType", "encoding", "schema", "format"}
_DEEPEST = 12


def parse(model: type[V], inputs: object) -> V:
    """Return ``inputs``, the ``inputs`` member of an execute request, as a ``model``.

    Raises InvalidInput that names the first wrong field by its dotted path.
    """
    if not isinstance(inputs, Mapping):
        raise InvalidInput(
            "inputs", "The inputs must be a JSON object.", value=_shown(inputs), allowed="an object"
        )
    _check_texts(inputs)
    plain = {name: _plain(name, value) for name, value in inputs.items()}
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        raise _refusal(model, error) from None


def _plain(name: str, value: object) -> object:
    """Return an input's value out of OGC's qualified form ``{"value": ..., "mediaType": ...}``."""
    if not isinstance(value, Mapping):
        return value
    if "value" in value and value.keys() <= _QUALIFIED:
        return cast(object, value["value"])
    if "href" in value:
        detail = f"`{name}` must be sent by value: this server fetches no links."
        raise InvalidInput(name, detail, value=value["href"], allowed="the value itself")
    return value


def _check_texts(inputs: Mapping[str, object]) -> None:
    """Refuse text that cannot be stored as UTF-8, the null character, and nesting nobody needs."""
    waiting: list[tuple[str, object, int]] = [("inputs", inputs, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise InvalidInput(
                _clean(path), "The inputs are nested too deeply.", allowed=f"{_DEEPEST} levels"
            )
        if isinstance(value, str):
            if "\0" in value or _clean(value) != value:
                detail = f"`{_clean(path)}` holds characters that are not Unicode text."
                raise InvalidInput(_clean(path), detail, value=_clean(value), allowed="Unicode text")
        elif isinstance(value, Mapping):
            for name, item in value.items():
                waiting.append((path, name, depth))
                waiting.append((_join(path, name), item, depth + 1))
        elif isinstance(value, list):
            waiting += [(f"{path}.{number}", item, depth + 1) for number, item in enumerate(value)]


def _join(path: str, name: object) -> str:
    """Return the dotted path of a member; the outermost object has no name of its own."""
    return str(name) if path == "inputs" else f"{path}.{name}"


def _clean(text: str) -> str:
    """Return ``text`` with what UTF-8 cannot hold replaced, so that it can go into an answer."""
    return text.encode("utf-8", "replace").decode()


def _shown(value: object) -> object:
    """Return ``value`` in a form that an answer can carry: numbers as they are, the rest shortened."""
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    if isinstance(value, int):
        return f"a whole number of {value.bit_length()} bits"
    return str(value)[:200]


def _refusal(model: type[Value], error: ValidationError) -> InvalidInput:
    """Return the most specific of pydantic's errors as a sentence."""
    worst = max(error.errors(include_url=False), key=lambda item: _rank(item))
    path, schema = _walk(model_schema(model), worst["loc"])
    field = ".".join(path) or "inputs"
    value = worst["input"]
    if worst["type"] == "missing":
        return InvalidInput(field, f"`{field}` is missing.", allowed=allowed(schema))
    if worst["type"] == "extra_forbidden":
        parent = _walk(model_schema(model), worst["loc"][:-1])[1]
        known = ", ".join(parent.get("properties", ()))
        return InvalidInput(field, f"`{field}` is no input here.", value=_shown(value), allowed=known)
    rule = allowed(schema)
    detail = f"`{field}` must be {rule}."
    return InvalidInput(field, detail, value=_shown(value), allowed=rule)


def _rank(error: ErrorDetails) -> tuple[bool, int]:
    """Order errors: of a union's branches the one that got deepest; a misspelt name before its lack."""
    matched = not any("literal[" in str(part) for part in error["loc"]) or not isinstance(
        error["input"], dict
    )
    return matched, -_ORDER.get(error["type"], 1)


_ORDER = {"extra_forbidden": 0, "missing": 2}


def _walk(schema: Schema, location: tuple[int | str, ...]) -> tuple[list[str], Schema]:
    """Return the path of ``location`` without pydantic's names for union branches, and the schema there."""
    path: list[str] = []
    for part in location:
        found = _member(schema, part)
        if found is not None:
            schema = found
            path.append(_clean(str(part)))
        elif part == location[-1] and not _is_branch(part):
            path.append(_clean(str(part))[:100])
            schema = {}
    return path, schema


def _is_branch(part: int | str) -> bool:
    """Say whether ``part`` is pydantic's name of a union's branch rather than a member's name."""
    return isinstance(part, str) and (part.startswith("literal[") or part in ("Box", "dict", "list"))


def _member(schema: Schema, part: int | str) -> Schema | None:
    """Return the schema of the member ``part`` of ``schema``, None if it has no such member."""
    for option in [schema, *schema.get("anyOf", ())]:
        if isinstance(part, int) and "items" in option:
            return cast(dict[str, Any], option["items"])
        if part in option.get("properties", {}):
            return cast(dict[str, Any], option["properties"][part])
    return None
