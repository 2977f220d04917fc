"""The code stays in small pieces: lines of modules and functions, modules of a folder."""

import ast
from pathlib import Path
from statistics import median

import pytest

pytestmark = pytest.mark.fast

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("model_backend", "text2earth_qgis")
MEDIAN, MODULE, FUNCTION = 150, 400, 60  # lines
FOLDER = 16  # modules
MODULES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name != "__init__.py"
}


def functions(code):
    """Yield (name, lines) of every function, from its signature to its end."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.end_lineno - node.lineno + 1


def test_modules_are_small():
    lines = {name: len(code.splitlines()) for name, code in MODULES.items()}
    assert {name: count for name, count in lines.items() if count > MODULE} == {}
    assert median(lines.values()) <= MEDIAN


def test_functions_are_short():
    found = {
        f"{name}: {function}": count
        for name, code in MODULES.items()
        for function, count in functions(code)
        if count > FUNCTION
    }
    assert found == {}


def test_folders_are_no_heaps():
    folders = [Path(name).parent.as_posix() for name in MODULES]
    assert {folder: folders.count(folder) for folder in folders if folders.count(folder) > FOLDER} == {}


def test_every_module_says_what_it_is_for():
    assert [name for name, code in MODULES.items() if not ast.get_docstring(ast.parse(code))] == []
