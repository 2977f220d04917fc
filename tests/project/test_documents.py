"""Documents say what exists: every setting, every command, every module; their links lead somewhere."""

import re
import subprocess
from pathlib import Path

import pytest

import modules
from model_backend.settings import Settings

pytestmark = pytest.mark.fast

ROOT = Path(__file__).resolve().parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.splitlines()
DOCUMENTS = [name for name in TRACKED if name.endswith(".md") and not name.startswith("tests/backend/data")]
README_WORDS = 900
COLUMNS = 120

each_document = pytest.mark.parametrize("name", DOCUMENTS)


def text_of(name):
    return (ROOT / name).read_text("utf-8")


def prose(text):
    """Yield (number, line) of the lines that are neither code nor tables nor pictures."""
    code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code and not line.startswith(("|", "![")):
            yield number, line


def anchors(text):
    """Return the anchors that a forge gives to the headings of a document."""
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_setting_is_documented_with_its_description():
    rows = dict(
        re.findall(r"^\| `TEXT2EARTH_([A-Z_]+)` \|[^|]*\| (.*?) \|$", text_of("docs/server.md"), re.M)
    )
    fields = {name.upper(): field.description for name, field in Settings.model_fields.items()}
    assert rows == fields


def test_every_make_target_is_documented():
    targets = re.findall(r"^([a-z-]+):.*##", text_of("Makefile"), re.M)
    assert targets
    for target in targets:
        assert f"make {target}" in text_of("README.md"), target


def test_the_map_of_modules_is_that_of_their_docstrings():
    """Written anew by ``make modules``."""
    assert text_of("docs/modules.md") == modules.page()


def test_the_readme_is_short():
    assert len(text_of("README.md").split()) <= README_WORDS


@each_document
def test_prose_is_wrapped(name):
    assert [number for number, line in prose(text_of(name)) if len(line) > COLUMNS] == []


@each_document
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(name)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / name).parent / path if path else ROOT / name
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found.read_text("utf-8")), target


@each_document
def test_files_that_are_named_exist(name):
    named = set(re.findall(r"`([\w./]+\.(?:py|md|toml|json|yml))`", text_of(name)))
    assert [file for file in named if not any(f"/{path}".endswith(f"/{file}") for path in TRACKED)] == []


def test_the_top_level_is_the_agreed_one():
    top = {line.split("/")[0] for line in TRACKED}
    assert {name for name in top if not name.startswith(".")} <= {
        "text2earth_qgis",
        "model_backend",
        "tests",
        "resources",
        "metadata.txt",
        "Makefile",
        "README.md",
        "pyproject.toml",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs",
    }
