"""What the backend says that a job is at, the plugin can say in other languages."""

import ast
from pathlib import Path

import pytest

import model_backend
from text2earth_qgis.core.runs.phases import PHASES, phase

pytestmark = pytest.mark.fast


def said(node):
    """Yield the sentences that an expression may come to, with 1 for what is filled in."""
    if isinstance(node, ast.Constant):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*said(node.body), *said(node.orelse))
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in node.values)
    else:
        raise AssertionError(f"line {node.lineno}: write the whole sentence out")


def sentences():
    """Return all that jobs say."""
    found = set()
    for path in Path(model_backend.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "say":
                found |= set(said(node.args[0]))
    return found


def test_every_phase_is_known_and_none_is_stale():
    known = {text.format(model=1, number=1, all=1) for text in PHASES}
    assert sentences() == known


def test_values_stay_and_what_is_new_is_shown_as_it_came():
    assert phase("Loading the model open-land.") == "Loading the model open-land."
    assert phase("Making variant 2 of 4.") == "Making variant 2 of 4."
    assert phase("Dreaming.") == "Dreaming."
