"""Finds what the backend says to its users: sentences in its code, with fields where values stand.

The backend speaks English; the plugin looks its sentences up in a catalogue of these texts. A sentence is a
text that ends as one, in code that answers requests or works at jobs. Parts of one are what its values may be
as far as the same function or module decides that, reasons of errors and texts that functions return. Of a
text that differs with a condition there is one for each outcome.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

from model_backend.engine.composition.prompt import NUMBERS, SHAPES, plural
from model_backend.models.land_cover import KINDS
from model_backend.processes.features.land_class import EXAMPLES
from model_backend.processes.reading.terms import TERMS

ROOT = Path(__file__).resolve().parent.parent
CODE = ROOT / "model_backend"
#: Folders and modules whose sentences reach users of the plugin; others are an administrator's.
SPEAKING = (
    *("api/status.py", "api/uploads.py", "api/wire.py"),
    *("engine/by_example", "engine/composition", "engine/editing/composite.py", "engine/diffusion/noise.py"),
    *("errors.py", "jobs/cache.py", "jobs/context.py", "jobs/device_worker.py", "jobs/handlers"),
    *("jobs/space.py", "jobs/store", "jobs/uploads.py", "jobs/worker.py"),
    *("models/finite.py", "models/land_cover.py", "models/loader.py", "models/profile.py"),
    *("models/prompt_tokens.py", "models/registry.py", "models/schedule.py", "models/weights.py"),
    *("processes", "raster"),
)
SILENT = (
    *("processes/describe.py", "processes/echo.py"),
    *("raster/files/provenance.py", "raster/files/scene_writer.py"),
)
SAID = ("about", "allowed", "subject", "has")  # arguments that are shown whatever they are
REFUSING = ("_refuse", "_refusal", "Unusable", "NotDefined", "ValueError")  # are given reasons
#: Names in sentences, of a word or two, that no rule finds.
NAMES = (
    *("mask", "new land", "prompt", "negative prompt", "evaluations", "corners", "polygons", "features"),
    *("{more} more", 'prompt "{text}" of a region', 'negative prompt "{text}" of a region'),
    *EXAMPLES.values(),
)
#: Words for land that prompts often have besides those that the panel offers.
OTHERS = (
    *("house", "building", "field", "fields", "wood", "woods", "tree", "trees", "garden", "gardens"),
    *("farm", "farms", "sea", "bay", "dune", "dunes", "grass", "reed", "bridge", "path"),
)
#: What land by example says that it understood, in parts.
UNDERSTOOD = ("everywhere", "{what} ({kind})", "no {what}", "laid out: {what}", "{listed} and {more} more")
CARDS = "resources/*/*/text2earth.json"
DONE = "Done."  # is read by programs: the message of a job begins with it
ENDS = re.compile(r"[.:!?]\)?( ?\{\w+\})?$")
FIELD = re.compile(r"\{(\w+)\}")
LETTERS = re.compile(r"[^\W\d_]{2}")
QUERY = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|PRAGMA|AND|OR)\b|= \?|coalesce")
METHODS = (
    *("str", "len", "float", "sum", "map", "list", "sorted"),
    *("rstrip", "strip", "join", "partition", "removeprefix"),
)


def texts() -> dict[str, str]:
    """Return all texts in their order, each with the module that says it first."""
    found: dict[str, str] = {}
    for path in sorted(CODE.rglob("*.py")):
        module = path.relative_to(CODE).as_posix()
        if module not in SILENT and any(module == one or module.startswith(f"{one}/") for one in SPEAKING):
            for text in _Module(ast.parse(path.read_text("utf-8"))).texts():
                found.setdefault(text, module)
    found |= dict.fromkeys(NAMES, "processes")
    del found[DONE]
    for path in sorted(ROOT.glob(CARDS)):
        found[json.loads(path.read_text("utf-8"))["about"]] = path.relative_to(ROOT).as_posix()
    return found


def words() -> dict[str, str]:
    """Return the words for land that are said most, one and several of it, and what is said around them."""
    usual = [term[0] for term in TERMS]
    kinds = [kind.id for kind in KINDS]
    found = [*usual, *map(plural, usual), *kinds, *OTHERS, *NUMBERS[1:], *UNDERSTOOD, *SHAPES.values()]
    return dict.fromkeys(found, "processes/reading/terms.py")


class _Module:
    """The texts of one module."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._unsaid = set(_unsaid(tree))
        self._names = _assigned(tree.body)

    def texts(self) -> Iterator[str]:
        """Yield sentences, and after each what its values may be."""
        functions = [node for node in ast.walk(self._tree) if isinstance(node, ast.FunctionDef)]
        inside = {node for function in functions for node in ast.walk(function)}
        outside = [node for node in ast.walk(self._tree) if node not in inside]
        yield from self._sentences(outside, {}, False)
        for function in functions:
            says = function.returns is not None and "str" in ast.unparse(function.returns)
            yield from self._sentences(list(ast.walk(function)), _assigned(function.body), says)

    def _sentences(self, nodes: list[ast.AST], local: dict[str, list[ast.expr]], said: bool) -> Iterator[str]:
        """Yield what nodes say whose names are set to ``local``; ``said``: what they return is."""
        parts = {part for node in nodes for part in _inner(node)}
        for node in nodes:
            if isinstance(node, ast.keyword) and node.arg in SAID:
                yield from self._texts_in(node.value)
            if isinstance(node, ast.Return) and node.value is not None and said:
                yield from self._texts_in(node.value)
            if isinstance(node, ast.Call) and _called(node.func) in REFUSING:
                for argument in node.args:
                    yield from self._texts_in(argument)
            if node in self._unsaid or node in parts or not isinstance(node, ast.expr):
                continue
            found = list(_templates(node))
            if any(ENDS.search(text) for text in found) and _is_said(found[0]):
                yield from found
                yield from self._values(node, local, set())

    def _values(self, node: ast.expr, local: dict[str, list[ast.expr]], seen: set[str]) -> Iterator[str]:
        """Yield the texts that the fields of a sentence may be."""
        names = [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
        for name in dict.fromkeys(names):
            if name in seen:
                continue
            seen.add(name)
            for value in (*local.get(name, ()), *self._names.get(name, ())):
                yield from self._texts_in(value)
                yield from self._values(value, local, seen)

    def _texts_in(self, value: ast.expr) -> Iterator[str]:
        inner = {part for one in ast.walk(value) for part in _inner(one)}
        for part in ast.walk(value):
            if part not in inner and part not in self._unsaid and isinstance(part, ast.expr):
                yield from filter(_is_said, _templates(part))


def _unsaid(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes of docstrings, descriptions and what is logged."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value
        elif isinstance(node, ast.keyword) and node.arg in ("description", "help"):
            yield from ast.walk(node.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("log.", "re.", "db.")):
            yield from ast.walk(node)


def _assigned(body: list[ast.stmt]) -> dict[str, list[ast.expr]]:
    """Return what the names of a module or function are set to, by name."""
    found: dict[str, list[ast.expr]] = {}
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node is statement:
                break
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    names = target.elts if isinstance(target, ast.Tuple) else [target]
                    for name in names:
                        if isinstance(name, ast.Name):
                            found.setdefault(name.id, []).append(node.value)
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr | ast.AugAssign) and node.value is not None:
                found.setdefault(ast.unparse(node.target), []).append(node.value)
    return found


def _called(function: ast.expr) -> str:
    return ast.unparse(function).rpartition(".")[2]


def _inner(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a text that are no texts of their own."""
    if isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            yield value
            if isinstance(value, ast.FormattedValue) and isinstance(value.value, ast.IfExp):
                yield from (value.value.body, value.value.orelse)
            if isinstance(value, ast.FormattedValue) and value.format_spec is not None:
                yield from ast.walk(value.format_spec)


def _templates(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an expression can be, fields in braces; none if it is no text."""
    conditions = {
        ast.dump(part.test): None
        for part in ast.walk(node)
        if isinstance(part, ast.IfExp) and _constants(part)
    }
    if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
        for outcome in itertools.product((True, False), repeat=len(conditions)):
            text = _text(node, dict(zip(conditions, outcome, strict=True)))
            if text is not None:
                yield _numbered(text)


def _constants(node: ast.IfExp) -> bool:
    return all(
        isinstance(part, ast.Constant) and isinstance(part.value, str) for part in (node.body, node.orelse)
    )


def _text(node: ast.expr, outcome: dict[str, bool]) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left, outcome), _text(node.right, outcome)
        if left is None and right is None:
            return None
        return (left or _field(node.left)) + (right or _field(node.right))
    if isinstance(node, ast.JoinedStr):
        said = ""
        for part in node.values:
            value = part.value if isinstance(part, ast.FormattedValue) else part
            if isinstance(value, ast.IfExp) and _constants(value):
                said += (value.body if outcome[ast.dump(value.test)] else value.orelse).value
            elif isinstance(part, ast.Constant):
                said += part.value
            else:
                said += _field(value)
        return said
    return None


def _field(node: ast.expr) -> str:
    """Return a field with a name that tells a translator what comes there."""
    names = [
        part.attr if isinstance(part, ast.Attribute) else part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute | ast.Name)
    ]
    plain = [name.strip("_").lower() for name in names if name not in METHODS]
    return f"{{{plain[0] if plain else 'value'}}}"


def _numbered(text: str) -> str:
    """Return a text in which no two fields have one name."""
    seen: dict[str, int] = {}

    def name(found: re.Match[str]) -> str:
        seen[found[1]] = seen.get(found[1], 0) + 1
        number = str(seen[found[1]]) if seen[found[1]] > 1 else ""
        return f"{{{found[1]}{number}}}"

    return FIELD.sub(name, text)


def _is_said(text: str) -> bool:
    """Say whether a text is words for people: neither a query nor a path nor a field alone."""
    words = FIELD.sub("x", text).strip()
    said = LETTERS.search(FIELD.sub("", text)) and (" " in words or re.fullmatch(r"[A-Z]\w+\.", words))
    return bool(said) and not QUERY.search(text) and "\\" not in text and "\n" not in text
