"""The user's backend on this computer: started for whoever waits for it, and found by the next."""

import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from qgis.core import QgsFeedback

from launcher import BACKEND_PYTHON, ROOT, clean_environment
from tests.support.qgis.toolbox import PATIENCE
from text2earth_qgis.core import settings
from text2earth_qgis.core.errors import Cancelled, PluginError
from text2earth_qgis.core.local import starting
from text2earth_qgis.core.local.environment import Environment, Installed
from text2earth_qgis.core.local.waking import awake
from text2earth_qgis.core.settings import Settings
from text2earth_qgis.core.wire.transport import open_client


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def data(monkeypatch, tmp_path, tiny_model):
    """A data folder whose installed backend is the checkout's, with a tiny model; it is ended at the end."""
    folder = tmp_path / "data"
    monkeypatch.setenv("TEXT2EARTH_DATA_DIR", str(folder))
    monkeypatch.setenv("TEXT2EARTH_MODEL", str(tiny_model))
    environment = Environment(folder)
    program(environment.python, f'cd {ROOT}\nexec {BACKEND_PYTHON} "$@"')
    environment.mark(Installed("0", False))
    yield folder
    stop = [environment.python, "-m", "model_backend", "stop", "--data-dir", folder]
    subprocess.run(stop, check=True, timeout=PATIENCE, env=clean_environment())


@pytest.mark.slow
def test_it_is_started_once_for_whoever_waits(data, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # as QGIS has it on Windows: would stop any other Python
    access = awake(Settings(), QgsFeedback())
    assert access.own
    assert access.token
    assert open_client(access).healthz()["model"] == "tiny"
    assert stat.S_IMODE((data / "token").stat().st_mode) == 0o600
    assert awake(Settings(), QgsFeedback()) == access, "the next one finds it"


@pytest.mark.slow
def test_qgis_process_starts_it_and_the_next_finds_it(data, tmp_path):
    box = "EXTENT=500000,500064,5800000,5800064 [EPSG:32633]"

    def run(name: str) -> str:
        command = [ROOT / ".ci" / "qgis", "process", "run", "text2earth:generate", "--"]
        given = ["PROMPT=a lake", box, "GSD=1", "STEPS=1", f"OUTPUT={tmp_path / name}"]
        done = subprocess.run(
            [*command, *given], capture_output=True, text=True, timeout=PATIENCE, check=False, env=os.environ
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert (tmp_path / name).stat().st_size > 1000
        return (data / "address").read_text()

    assert run("a.tif") == run("b.tif")


def test_the_python_of_before_goes_on_working(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXT2EARTH_DATA_DIR", str(tmp_path))
    old = program(tmp_path / "venv" / "python", "exit 0")
    settings.save(Settings(url="http://127.0.0.1:8765", python=str(old)))
    assert starting.python(settings.load()) == str(old)
    assert settings.access(settings.load()).own
    assert starting.python(Settings(python=str(tmp_path / "gone"))) == ""


def test_why_it_does_not_start_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXT2EARTH_DATA_DIR", str(tmp_path))
    old = program(tmp_path / "python", "printf 'no room left'\nexit 3")
    with pytest.raises(PluginError, match="did not start. It said:\nno room left"):
        awake(Settings(python=str(old)), QgsFeedback())
    old.write_text("#!/nowhere\n")
    with pytest.raises(PluginError, match="did not start. It said:\n"):
        awake(Settings(python=str(old)), QgsFeedback())


def test_a_start_can_be_cancelled(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXT2EARTH_DATA_DIR", str(tmp_path))
    feedback = QgsFeedback()
    old = program(tmp_path / "python", "exec sleep 100")
    clock = threading.Timer(0.5, feedback.cancel)
    clock.start()
    with pytest.raises(Cancelled):
        awake(Settings(python=str(old)), feedback)
    clock.join()


def test_a_server_is_never_started(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXT2EARTH_DATA_DIR", str(tmp_path))
    started = tmp_path / "started"
    old = program(tmp_path / "python", f"touch {started}")
    assert awake(Settings(url="http://127.0.0.1:9", python=str(old)), QgsFeedback()).url.endswith(":9")
    assert not started.exists()
