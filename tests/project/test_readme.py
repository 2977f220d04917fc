"""README.md documents what exists: every setting, every make target, the whole tree."""

import re
from pathlib import Path

from model_backend.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_every_setting_is_documented_with_its_description():
    rows = dict(re.findall(r"^\| `TEXT2EARTH_([A-Z_]+)` \|[^|]*\| (.*?) \|$", README, re.M))
    fields = {name.upper(): field.description for name, field in Settings.model_fields.items()}
    assert rows == fields


def test_every_make_target_is_documented():
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.M)
    for target in targets:
        assert f"make {target}" in README, target


def test_the_tree_names_every_module():
    tree = README.split("```text\n")[1].split("```")[0]
    for package in ("model_backend", "text2earth_qgis"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "__init__.py":
                assert re.search(rf"\b{path.stem}\b", tree), path.relative_to(ROOT)


def test_the_top_level_is_the_agreed_one():
    import subprocess

    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in files.splitlines()}
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
        "docs",
    }
