"""The zip is one that plugins.qgis.org accepts: the site's own rules, run here.

Rules: https://plugins.qgis.org/docs/publish and the validator and scanner in qgis/QGIS-Plugins-Website.
"""

import configparser
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SUFFIXES = {".py", ".txt", ".svg", ".png", ".jpg", ".html", ".css", ".md", ".mo", ".json", ""}
REQUIRED = (
    "name",
    "description",
    "version",
    "qgisMinimumVersion",
    "author",
    "email",
    "about",
    "tracker",
    "repository",
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    made = subprocess.run(
        [sys.executable, ".ci/package.py"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return ROOT / made.split()[0]


@pytest.fixture(scope="module")
def plugin(archive, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("zip")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return folder / "text2earth_qgis"


def test_zip_is_small_and_has_one_folder_of_text_files(archive):
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        assert opened.testzip() is None
    assert archive.stat().st_size < 25 * 2**20
    assert {name.split("/")[0] for name in names} == {"text2earth_qgis"}
    assert "text2earth_qgis".isidentifier()
    for name in names:
        assert ".." not in name
        assert "\\" not in name
        assert not re.search(r"(^|/)(__pycache__|__MACOSX|\.)", name), name
        assert Path(name).suffix in SUFFIXES, name
    assert "text2earth_qgis/LICENSE" in names
    for language in ("de", "es", "fr", "zh"):
        assert f"text2earth_qgis/resources/i18n/{language}/LC_MESSAGES/text2earth.mo" in names
        assert f"text2earth_qgis/resources/i18n/{language}/LC_MESSAGES/backend.json" in names


def test_metadata_is_complete(plugin):
    parser = configparser.ConfigParser()
    with (plugin / "metadata.txt").open(encoding="utf-8") as text:
        parser.read_file(text)
    general = parser["general"]
    for key in REQUIRED:
        assert general[key].strip(), key
    assert "/" not in general["author"]
    assert "plugin" not in general["name"].lower()
    assert general["qgisMinimumVersion"] == "3.22"
    assert general["qgisMaximumVersion"] == "4.99"
    assert general["hasProcessingProvider"] == "yes"
    assert (plugin / general["icon"]).is_file()


def test_the_user_guide_is_in_it_and_its_links_lead_somewhere(plugin):
    guide = plugin / "resources" / "guide"
    pages = {path.name: path.read_text("utf-8") for path in guide.glob("*.html")}
    assert {"index.html", "make-a-scene.html", "edit-a-raster.html", "extend-a-raster.html"} <= set(pages)
    for name, text in pages.items():
        assert "<h2>" in text or name == "index.html"
        for target in re.findall(r'(?:href|src)="([^"]+)"', text):
            assert target.startswith("https://") or (guide / target).is_file(), (name, target)


def test_versions_agree(plugin):
    from model_backend import __version__

    parser = configparser.ConfigParser()
    parser.read(plugin / "metadata.txt", encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert parser["general"]["version"] == __version__
    assert re.search(r"^## \[?(\d+\.\d+\.\d+)", changelog, re.M).group(1) == __version__


def test_no_backend_no_weights_no_heavy_imports(plugin):
    for path in plugin.rglob("*.py"):
        text = path.read_text("utf-8")
        assert not re.search(
            r"^\s*(import|from) (torch|diffusers|transformers|rasterio|model_backend)\b", text, re.M
        ), path
    assert not list(plugin.rglob("*.safetensors"))


def test_bandit_finds_nothing(plugin):
    done = subprocess.run([BIN / "bandit", "-q", "-r", plugin], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_detect_secrets_finds_nothing(plugin):
    done = subprocess.run(
        [BIN / "detect-secrets", "scan", "--all-files", "."],
        cwd=plugin,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONUTF8": "1"},
    )
    assert json.loads(done.stdout)["results"] == {}


def test_packaging_twice_gives_the_same_bytes(archive):
    first = archive.read_bytes()
    subprocess.run([sys.executable, ".ci/package.py"], cwd=ROOT, check=True, capture_output=True)
    assert archive.read_bytes() == first
