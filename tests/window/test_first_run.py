"""The page of the setup, in the window: what a new user sees, each failure, how the backend comes and goes.

Real programs run: Python, pip, the checkout's backend. ``test_installed`` has the way to the first layer.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsSettings

from launcher import BACKEND_PYTHON, ROOT
from tests.support.qgis.backend import Backend
from tests.support.qgis.dock import ask
from tests.support.qgis.window import Interruptions, grab, settle, until
from tests.support.web_server import Reply, WebServer
from text2earth_qgis.core import paths, settings
from text2earth_qgis.core.local import installation
from text2earth_qgis.core.local.environment import Environment, Installed
from text2earth_qgis.core.local.installation import Phase


@pytest.fixture
def data(monkeypatch, tmp_path):
    """The data folder of a user who has no backend."""
    monkeypatch.setenv("TEXT2EARTH_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def front(window, scene, data, tmp_path):
    """The page as a new user sees it."""
    before = settings.load()
    front = window.dock.front
    mine = front.installer.environment
    front.installer.environment = Environment(data)
    QgsSettings().remove("text2earth")
    settings.save(settings.Settings(folder=str(tmp_path), poll_seconds=0.1))
    with Interruptions() as interruptions:
        front.this_computer.source.clear()
        window.settings_changed()
        window.show_dock()
        until(lambda: front._connection.state.asked)
        yield front
        assert interruptions.none, interruptions.dialogs + interruptions.errors
    if front.installer.state.busy:
        front.installer.cancel()
        until(lambda: not front.installer.state.busy)
    front.installer.environment = mine
    front.installer._become(installation.State())
    front.first.hide()
    settings.save(before)
    window.settings_changed()


def installs(front) -> str:
    """Press Install, wait for the end, and return what the page says."""
    front.this_computer.install_button.click()
    until(lambda: not front.installer.state.busy)
    settle()
    assert front.on_setup
    return front.this_computer.outcome.text()


def pythons(monkeypatch, tmp_path, script: str = "") -> None:
    """Let there be no Python but a program of this script."""
    folder = tmp_path / "path"
    folder.mkdir()
    if script:
        (folder / "python3").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def set_up(data: Path, script: str = "") -> None:
    """Let the checkout's backend, or a script, be what is installed."""
    environment = Environment(data)
    environment.python.parent.mkdir(parents=True, exist_ok=True)
    run = script or f'cd {ROOT}\nexec {BACKEND_PYTHON} "$@"'
    environment.python.write_text(f"#!/bin/sh\n{run}\n")
    environment.python.chmod(0o755)
    environment.mark(Installed(paths.version(), False))


def stop(data: Path) -> None:
    subprocess.run(
        [Environment(data).python, "-m", "model_backend", "stop", "--data-dir", data], check=True, timeout=100
    )


def test_without_a_backend_there_is_one_page_with_two_ways(front):
    assert front.on_setup
    assert [front.ways.tabText(place) for place in range(front.ways.count())] == [
        "On this computer",
        "On a server",
    ]
    here = front.this_computer
    assert here.light.isChecked()
    assert here.install_button.isVisible()
    assert not here.log_box.isVisible()
    front.ways.setCurrentIndex(1)
    assert front.server.url.isVisible()
    assert not front.server.use_button.isEnabled()
    grab("setup-server", front)
    front.ways.setCurrentIndex(0)


@pytest.mark.slow
def test_the_usual_port_is_taken_by_another_program(front, data, window, monkeypatch):
    with WebServer(lambda _request: Reply(200, b"<html>", {"Content-Type": "text/html"})) as other:
        monkeypatch.setattr(settings, "UNTOLD", other.url)
        data.mkdir()
        (data / "token").write_text("a-token-that-is-not-for-strangers")
        window.settings_changed()
        until(lambda: "Is a Text2Earth backend there?" in window.dock.connection.state.trouble)
        assert front.on_setup, "that is no backend"
        assert not any("Authorization" in request.headers for request in other.requests)
        (data / "token").unlink()
        set_up(data)
        window.settings_changed()
        until(lambda: window.dock.connection.state.ready)
        assert not front.on_setup
        stop(data)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("", "The backend needs Python 3.11, 3.12 or 3.13, which was not found on this computer."),
        ("echo Python 3.9.2; exit 3", "The backend needs Python 3.11, 3.12 or 3.13; here is 3.9.2."),
        ("echo \"ModuleNotFoundError: No module named 'ensurepip'\"; exit 1", "install python3-venv"),
    ],
    ids=["none", "old", "without venv"],
)
def test_no_python(front, monkeypatch, tmp_path, script, sentence):
    pythons(monkeypatch, tmp_path, script)
    monkeypatch.setenv("HOME", str(tmp_path))  # where uv may be
    assert sentence in installs(front)
    assert "Install it" in front.this_computer.outcome.text()
    grab("setup-no-python", front)


def test_a_python_of_the_user_s_choice_is_the_one(front, tmp_path):
    chosen = tmp_path / "my python"
    chosen.write_text("#!/bin/sh\necho Python 3.14.0\nexit 3\n")
    chosen.chmod(0o755)
    front.this_computer.python.setFilePath(str(chosen))
    assert "here is 3.14.0" in installs(front)
    front.this_computer.python.setFilePath("")


def test_a_full_disk_is_told_before_anything_is_written(front, data, monkeypatch):
    monkeypatch.setattr(installation, "ROOM", {False: 10**18, True: 10**18})
    assert "the installation needs 1000000000.0 GB. Make room" in installs(front)
    assert not data.exists()


def test_no_network(front, data):
    front.this_computer.source.setText("http://127.0.0.1:9/simple")
    text = installs(front)
    assert text.startswith("The package index cannot be reached.")
    assert front.installer.state.phase is Phase.FAILED
    assert front.this_computer.log.isVisible()
    assert "ERROR" in front.this_computer.log.toPlainText()
    assert front.widget(0).widget().width() <= front.width(), "it fits a narrow panel"
    grab("setup-no-network", front)
    until(lambda: not (data / "environment").exists(), 30)
    front.this_computer.outcome.actions()["Change source or Python"].click()
    assert front.this_computer.source.isVisible()


def test_a_broken_wheel(front, tmp_path):
    wheel = tmp_path / f"text2earth_backend-{paths.version()}-py3-none-any.whl"
    wheel.write_bytes(b"PK no wheel")
    front.this_computer.source.setText(str(wheel))
    assert installs(front).startswith("A wheel is broken")


def test_a_source_that_is_gone(front, tmp_path):
    front.this_computer.source.setText(str(tmp_path / "wheels"))
    front.this_computer.install_button.click()
    assert (
        front.this_computer.outcome.text()
        == f"{tmp_path / 'wheels'} is not there. Choose the wheel or the folder of wheels again."
    )
    assert front.installer.state.phase is Phase.WAITING


def test_a_cancel_leaves_nothing(front, data):
    here = front.this_computer
    here.install_button.click()
    assert here.bar.isVisible()
    until(lambda: front.installer.state.log)
    grab("setup-working", front)
    here.cancel_button.click()
    until(lambda: not front.installer.state.busy, 30)
    assert here.outcome.text() == "Cancelled. What was installed so far has been removed."
    assert here.install_button.isVisible()
    until(lambda: not (data / "environment").exists(), 30)


@pytest.mark.slow
def test_the_installed_backend_starts_with_the_panel_and_again_when_it_is_needed(front, data, window, scene):
    set_up(data)
    with WebServer(lambda _request: Reply(404, b"")) as other:  # whatever listens elsewhere
        assert other.url
        window.settings_changed()
        until(lambda: window.dock.connection.state.ready)
    assert not front.on_setup
    assert settings.own_address().startswith("http://127.0.0.1:")
    stop(data)  # as it does by itself when nobody has needed it for a while
    window.dock.request.prompt.setPlainText("a forest")
    ask(window.dock, scene)
    assert window.dock.connection.state.ready
    assert window.dock.notice.isHidden()
    stop(data)


def test_a_failed_start_is_told_with_what_it_said(front, data, window):
    set_up(data, "echo no room left >&2; exit 3")
    window.settings_changed()
    until(lambda: "did not start" in window.dock.notice.text())
    assert "no room left" in window.dock.notice.text()
    window.dock.notice.actions()["Set up…"].click()
    assert front.on_setup
    assert "no room left" in front.this_computer.outcome.text()
    assert front.this_computer.repair_button.isVisible()
    assert not front.this_computer.install_button.isVisible()
    until(lambda: "on disk" in front.this_computer.about.text())
    grab("setup-there", front)
    front.back.click()
    assert not front.on_setup
    window.settings_changed()
    until(lambda: front.starter.busy)  # tried again: what the settings name may be another one
    until(lambda: "did not start" in window.dock.notice.text())


def test_a_backend_that_starts_and_is_gone_is_told(front, data, window):
    set_up(data, "echo Listening on http://127.0.0.1:9")
    window.settings_changed()
    until(lambda: "started, but does not answer at http://127.0.0.1:9" in window.dock.notice.text())
    set_up(data, "echo no room left >&2; exit 3")
    window.dock.notice.actions()["Try again"].click()
    assert window.dock.notice.text() == "Starting the backend on this computer…"
    until(lambda: "no room left" in window.dock.notice.text())


def test_a_start_under_way_is_not_that_of_other_settings(front, data, window):
    set_up(data, "exec sleep 100")
    window.settings_changed()
    until(lambda: front.starter.busy)
    set_up(data, "echo no room left >&2; exit 3")
    window.settings_changed()
    until(lambda: "no room left" in window.dock.notice.text())


@pytest.mark.slow
def test_another_version_is_brought_up_to_date(front, data, window, tmp_path):
    set_up(data)
    front.installer.environment.mark(Installed("0.0.1", False))
    window.settings_changed()
    until(lambda: window.dock.connection.state.ready)
    here, notice = front.this_computer, window.dock.notice
    assert (
        notice.text() == f"The backend on this computer is version 0.0.1, this plugin is {paths.version()}."
    )
    notice.actions()["Update…"].click()
    assert here.update_button.isVisible()
    wheel = tmp_path / "text2earth_backend-1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    here.source.setText(str(wheel))
    here.update_button.click()
    until(lambda: not front.installer.state.busy)
    assert front.installer.state.phase is Phase.FAILED
    assert front.installer.environment.installed() == Installed("0.0.1", False), "what was there is kept"
    assert here.update_button.isVisible()


def test_it_is_removed(front, data, window):
    set_up(data, "exit 0")
    window.settings_changed()
    front.open()
    here = front.this_computer
    here.remove_button.click()
    assert "Results, jobs and downloaded models stay" in here.outcome.text()
    here.outcome.actions()["Remove it"].click()
    until(lambda: not front.installer.state.busy and not (data / "environment").exists(), 30)
    assert here.outcome.text() == "The backend was removed from this computer."
    assert here.install_button.isVisible()


@pytest.mark.slow
def test_a_server_is_tested_and_used(front, window, tmp_path):
    manager = QgsApplication.authManager()
    if not manager.masterPasswordIsSet():
        assert manager.setMasterPassword("test", True)
    other = Backend(tmp_path / "other", "--model", "text2earth", threads=1).start()
    server = front.server
    front.ways.setCurrentIndex(1)
    server.url.setText(other.url)
    server.token.setText("not the token")
    server.test_button.click()
    until(lambda: "does not accept" in server.outcome.text())
    assert not server.use_button.isEnabled()
    server.token.setText(other.token)
    server.test_button.click()
    until(lambda: "Connected to this computer" in server.outcome.text())
    server.use_button.click()
    until(lambda: window.dock.connection.state.ready)
    assert not front.on_setup
    stored = settings.load()
    assert stored.url == other.url
    assert stored.authcfg in manager.availableAuthMethodConfigs()
    assert other.token not in Path(QgsSettings().fileName()).read_text()
    assert manager.removeAuthenticationConfig(stored.authcfg)
    other.stop()
    front.ways.setCurrentIndex(0)
