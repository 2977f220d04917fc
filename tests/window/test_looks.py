"""The plugin in every state, grabbed to build/looks for people to judge; that no text is cut is checked.

``make test`` has the look that shows most, ``.ci/qgis window tests/window -m looks`` the others, each in a
QGIS of its own; ``-k german`` picks one.
"""

from __future__ import annotations

import shutil

import pytest

from launcher import ROOT
from tests.support.qgis.backend import Backend, build_model
from tests.support.qgis.dock import TINY_INPAINT
from tests.support.qgis.sessions import run_session

WIDE, NARROW = "380", "300"  # pixels of the dock
LOOKS = {
    "night": (("--scale", "2", "--set", "UI/UITheme=Night Mapping"), WIDE),
    "light": ((), WIDE),
    "narrow": ((), NARROW),
    **{
        name: (("--set", f"locale/userLocale={code[:2]}", "--set", f"locale/globalLocale={code}"), WIDE)
        for name, code in {
            "german": "de_DE", "chinese": "zh_CN", "french": "fr_FR", "spanish": "es_ES",
        }.items()
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "night" else pytest.mark.looks) for name in LOOKS]
)
def test_every_state_can_be_looked_at(name, tmp_path):
    options, width = LOOKS[name]
    pictures = ROOT / "build" / "looks" / name
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    build_model(tmp_path / "data" / "models" / TINY_INPAINT, "inpaint")
    model = build_model(tmp_path / "tiny")
    backend = Backend(tmp_path / "data", "--model", str(model), threads=1).start()
    try:
        folders = {"SESSION_LOOKS": str(pictures), "SESSION_BACKEND": str(backend.data_dir)}
        done = run_session("looks", tmp_path, *options, SESSION_WIDTH=width, **folders)
    finally:
        backend.stop()
    assert done.returncode == 0, done.stderr
