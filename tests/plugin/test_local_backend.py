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
        local.stop(10_000)
    assert not local.running


def test_a_wrong_program_is_told(local, qtbot):
    with qtbot.waitSignal(local.ended, timeout=PATIENCE) as told:
        local.start("/nowhere/python")
    assert told.args == ["/nowhere/python cannot be started. Choose the backend's Python."]


def test_a_python_without_the_backend_is_told(local, qtbot):
    lines = []
    local.said.connect(lines.append)
    with qtbot.waitSignal(local.ended, timeout=PATIENCE) as told:
        local.start("/usr/bin/python3")
    assert told.args == ["The backend on this computer has ended (code 1)."]
    assert "model_backend" in lines[-1]


def test_nothing_of_qgis_is_handed_on(monkeypatch):
    for name in ("PYTHONPATH", "QT_PLUGIN_PATH", "GDAL_DATA", "PROJ_LIB", "VIRTUAL_ENV", "QGIS_PREFIX_PATH"):
        monkeypatch.setenv(name, "x")
    environment = clean_environment()
    assert not [key for key in environment.keys() if environment.value(key) == "x"]  # noqa: SIM118
    assert environment.value("PATH") == QProcessEnvironment.systemEnvironment().value("PATH") != ""
