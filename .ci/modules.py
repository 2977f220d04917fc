"""Writes docs/modules.md, the map of all modules, from their docstrings: ``make modules``."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "modules.md"
PACKAGES = ("text2earth_qgis", "model_backend")
HEAD = """# Modules

What each module is for, by its own first sentence. `make modules` writes this page; [the design](design.md)
has the reasons. To read the code, begin with `model_backend/engine/scene.py` (the imagery),
`model_backend/processes/base.py` (what can be asked for) and `text2earth_qgis/gui/dock.py` (what users see).
"""


def sentence(path: Path) -> str:
    """Return the first sentence of a module's docstring."""
    paragraph = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0]
    return re.split(r"(?<=\.)\s+(?=[A-Z`])", " ".join(paragraph.split()))[0]


def lines(folder: Path) -> Iterator[str]:
    """Yield the lines of a package and the packages in it."""
    yield f"## {folder.relative_to(ROOT).as_posix()}"
    yield ""
    if about := sentence(folder / "__init__.py"):
        yield from textwrap.wrap(about, 120)
        yield ""
    modules = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    for path in modules:
        text = f"- **{path.stem}**: {sentence(path)}"
        yield from textwrap.wrap(text, 120, subsequent_indent="  ", break_on_hyphens=False)
    if modules:
        yield ""
    for inner in sorted(path.parent for path in folder.glob("*/__init__.py")):
        yield from lines(inner)


def page() -> str:
    """Return the page."""
    found = [line for package in PACKAGES for line in lines(ROOT / package)]
    return "\n".join([HEAD, *found]).rstrip() + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), "utf-8")
