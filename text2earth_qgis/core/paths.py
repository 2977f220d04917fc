"""Where the plugin's data files are: inside the package once zipped, at the top of the checkout before.

Knows both places and nothing else. Importing it imports no QGIS.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def root() -> Path:
    """Return the folder that holds ``resources`` and ``metadata.txt``."""
    return _PACKAGE if (_PACKAGE / "metadata.txt").is_file() else _PACKAGE.parent


def resource(*parts: str) -> str:
    """Return the path of a file under ``resources``, as Qt wants it."""
    return str(root().joinpath("resources", *parts))


def guide_page(section: str) -> Path:
    """Return the page of the user guide for a section, by its anchor; unpackaged, the whole guide."""
    page = root() / "resources" / "guide" / f"{section}.html"
    return page if page.is_file() else root() / "docs" / "user-guide.md"


def version() -> str:
    """Return the plugin's version as metadata.txt states it."""
    for line in (root() / "metadata.txt").read_text("utf-8").splitlines():
        if line.startswith("version="):
            return line[len("version=") :].strip()
    raise ValueError("metadata.txt has no version line.")
