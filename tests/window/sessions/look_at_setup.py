"""Looks at the page that sets a backend up, and at what the dock says of a backend that is not there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from looking import BACKEND, grab, use_backend, window
from qgis.core import QgsSettings

from tests.support.qgis.window import until
from text2earth_qgis.core import paths, settings
from text2earth_qgis.core.local.environment import Environment, Installed

WORKS = "echo Collecting text2earth-backend; exec sleep 500"
FAILS = "echo 'ERROR: No matching distribution found for text2earth-backend' >&2; exit 1"


def look(dock) -> None:
    """Go through the states, from a new user's to the backend that runs."""
    front = dock.front
    own = front.installer.environment
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        front.installer.environment = Environment(data)
        use_backend(str(data))
        until(lambda: dock.connection.state.asked)
        new(dock)
        installing(dock, Path(folder, "python"))
        servers(dock)
        installed(dock, data)
        trouble(dock, data)
        front.installer.environment = own
    use_backend(BACKEND)
    until(lambda: dock.connection.state.ready)
    outdated(dock)


def new(dock) -> None:
    """What a new user sees."""
    here = dock.front.this_computer
    grab("setup", dock)
    here._packages.setCollapsed(False)
    grab("setup-sources", dock)
    here.source.setText("/home/somebody/wheels of 2025")
    here.install_button.click()
    grab("setup-source-gone", dock)
    here.source.clear()
    here.outcome.hide()


def installing(dock, python: Path) -> None:
    """An installation under way, and what may come of it."""
    here, installer = dock.front.this_computer, dock.front.installer

    def install(script: str) -> None:
        python.write_text(f'#!/bin/sh\ncase "$1" in -c) echo Python 3.11.2; exit;; esac\n{script}\n')
        python.chmod(0o755)
        here.python.setFilePath(str(python))
        here._packages.setCollapsed(True)
        here.install_button.click()

    install(WORKS)
    until(lambda: any("Collecting" in line for line in installer.state.log))
    here.log_box.setCollapsed(False)
    grab("setup-working", dock)
    here.cancel_button.click()
    until(lambda: not installer.state.busy)
    grab("setup-cancelled", dock)
    install(FAILS)
    until(lambda: not installer.state.busy)
    grab("setup-failed", dock)
    here.python.setFilePath(str(python.with_name("nothing")))
    here.install_button.click()
    until(lambda: not installer.state.busy)
    grab("setup-no-python", dock)
    here.python.setFilePath("")


def servers(dock) -> None:
    """A server elsewhere: not named yet, not there, there."""
    front = dock.front
    front.ways.setCurrentIndex(1)
    grab("server", dock)
    front.server.url.setText("http://127.0.0.1:9")
    front.server.test_button.click()
    until(lambda: front.server._test is None)
    grab("server-away", dock)
    front.server.url.setText(Path(BACKEND, "address").read_text().strip())
    front.server.token.setText(Path(BACKEND, "token").read_text().split()[0])
    front.server.test_button.click()
    until(lambda: front.server._test is None)
    grab("server-tested", dock)
    front.server.url.clear()
    front.server.token.clear()
    front.server.outcome.hide()
    front.ways.setCurrentIndex(0)


def put_program(data: Path, script: str) -> None:
    """Let a script be the backend that is installed."""
    environment = Environment(data)
    environment.python.parent.mkdir(parents=True, exist_ok=True)
    environment.python.write_text(f"#!/bin/sh\n{script}\n")
    environment.python.chmod(0o755)
    environment.mark(Installed(paths.version(), False))


def installed(dock, data: Path) -> None:
    """A backend that is there: brought up to date, mended, removed; and the first layer."""
    front, here = dock.front, dock.front.this_computer
    put_program(data, "exit 0")
    front.open()
    front.installer._become(type(front.installer.state)())
    here.tell("")
    here.log_box.setCollapsed(True)
    until(lambda: here._counting is None)
    grab("setup-there", dock)
    here.remove_button.click()
    grab("setup-remove", dock)
    here.outcome.actions()[list(here.outcome.actions())[0]].click()
    until(lambda: not front.installer.state.busy)
    grab("setup-removed", dock)
    front.first.show()
    front.follow()
    grab("setup-first-layer", dock)
    front.first.hide()
    front.leave()


def trouble(dock, data: Path) -> None:
    """A backend that starts, does not start, is away or locked."""
    put_program(data, "exec sleep 500")
    window().settings_changed()
    until(lambda: dock.front.starter.busy)
    grab("starting", dock)
    put_program(data, "echo 'OSError: [Errno 28] No space left on device' >&2; exit 3")
    window().settings_changed()
    until(lambda: dock.front.failure)
    grab("not-started", dock)
    for state, elsewhere in (
        ("away", settings.Settings(url="https://127.0.0.1:9")),
        ("locked", settings.Settings(url="https://127.0.0.1:9", authcfg="abc1234")),
    ):
        settings.save(elsewhere)
        window().settings_changed()
        until(lambda: dock.connection.state.trouble)
        grab(state, dock)
    settings.save(settings.Settings(poll_seconds=0.1))
    QgsSettings().remove(settings.SERVERS)


def outdated(dock) -> None:
    """A backend of another version than the plugin's, and its page."""
    environment = dock.front.installer.environment = Environment(Path(BACKEND))
    environment.folder.mkdir()
    environment.mark(Installed("0.0.1", False))
    dock._show_connection()
    grab("outdated", dock)
    dock.front.open()
    until(lambda: dock.front.this_computer._counting is None)
    grab("setup-outdated", dock)
    dock.front.leave()
    environment.mark(Installed(paths.version(), False))
    dock._show_connection()
