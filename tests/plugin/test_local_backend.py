"""A backend started from QGIS with a Python of the user's choice."""

import pytest
from qgis.PyQt.QtCore import QProcessEnvironment

from launcher import BACKEND_PYTHON
from tests.support.qgis.toolbox import PATIENCE
from text2earth_qgis.core.runs.local_backend import LocalBackend, clean_environment
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.transport import open_client


@pytest.fixture
def local(qtbot):
    backend = LocalBackend()
    yield backend
    backend.stop()


def test_it_starts_answers_and_stops(local, qtbot, tmp_path, tiny_model, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # as QGIS has it on Windows: would stop any other Python
    options = ["--port", "0", "--data-dir", str(tmp_path), "--model", str(tiny_model)]
    with qtbot.waitSignal(local.listening, timeout=PATIENCE) as told:
        local.start(str(BACKEND_PYTHON), *options)
    token = (tmp_path / "token").read_text().strip()
    assert open_client(Access(told.args[0], token=token)).healthz()["model"] == "tiny"
    with qtbot.waitSignal(local.ended, timeout=PATIENCE):
        local.stop()
    assert not local.running


def test_a_wrong_program_is_told(local, qtbot):
    with qtbot.waitSignal(local.ended, timeout=PATIENCE) as told:
        local.start("/nowhere/python")
    (sentence,) = told.args
    assert sentence == (
        "/nowhere/python cannot be started. Choose the backend's Python in Settings > Options > Text2Earth."
    )


def test_a_python_without_the_backend_is_told(local, qtbot):
    lines = []
    local.said.connect(lines.append)
    with qtbot.waitSignal(local.ended, timeout=PATIENCE) as told:
        local.start("/usr/bin/python3")
    (sentence,) = told.args
    assert sentence.startswith("/usr/bin/python3 does not have the Text2Earth backend. Choose the Python")
    assert "model_backend" in lines[-1]


def test_what_a_failed_start_says_is_told(local, qtbot, tmp_path):
    (tmp_path / "file").write_text("no folder")
    options = ["--port", "0", "--data-dir", str(tmp_path / "file" / "data")]
    with qtbot.waitSignal(local.ended, timeout=PATIENCE) as told:
        local.start(str(BACKEND_PYTHON), *options)
    (sentence,) = told.args
    first, last = sentence.split("\n", 1)
    assert first == "The backend on this computer did not start (code 1). It said:"
    assert str(tmp_path / "file") in last


def test_the_last_line_needs_no_end(local, qtbot, tmp_path):
    """A program that dies in the middle of a line has said that half too."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nprintf 'no room left'\nexit 3\n")
    program.chmod(0o755)
    with qtbot.waitSignal(local.ended, timeout=PATIENCE) as told:
        local.start(str(program))
    assert told.args == ["The backend on this computer did not start (code 3). It said:\nno room left"]


def test_nothing_of_qgis_is_handed_on(monkeypatch):
    for name in ("PYTHONPATH", "QT_PLUGIN_PATH", "GDAL_DATA", "PROJ_LIB", "VIRTUAL_ENV", "QGIS_PREFIX_PATH"):
        monkeypatch.setenv(name, "x")
    environment = clean_environment()
    assert not [key for key in environment.keys() if environment.value(key) == "x"]  # noqa: SIM118
    assert environment.value("PATH") == QProcessEnvironment.systemEnvironment().value("PATH") != ""
