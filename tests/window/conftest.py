"""Fixtures of the tests that run inside a started QGIS: the window, the plugin, a real backend."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from qgis.core import QgsProject, QgsRasterLayer, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtCore import QElapsedTimer, QEvent, QEventLoop, QTimer
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface as the_iface
from qgis.utils import plugins

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "backend" / "bin" / "python"
SCENE = ROOT / "resources" / "demo" / "scene.tif"
SCREENS = ROOT / "build" / "screens"
BUILD = """
import sys
from tests.support.tiny_models import build_tiny
build_tiny(sys.argv[1]), build_tiny(sys.argv[2], "inpaint")
"""
PATIENCE = 200.0  # seconds: so long takes only what will never happen, on any machine
USUAL = 300_000  # numbers that are squared and added up in 10 ms
FOREIGN = ("PYTHON", "QT_", "QGIS", "GDAL_", "PROJ_", "LD_LIBRARY", "LD_PRELOAD")


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Serve events until ``condition`` holds."""
    clock = QElapsedTimer()
    clock.start()
    tick = QTimer()
    tick.start(10)
    loop = QEventLoop()
    while not condition():
        if clock.hasExpired(int(seconds * 1000)):
            raise AssertionError(f"not within {seconds} s")
        loop.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def settle() -> None:
    """Serve all events that are due, deferred deletions included."""
    for _ in range(3):
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


class Backend:
    """A backend process with tiny models: one that generates, one that edits."""

    def __init__(self, folder: Path) -> None:
        variables = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        variables.update(OMP_NUM_THREADS="1", TEXT2EARTH_THREADS="1")
        command = [PYTHON, "-c", BUILD, folder / "tiny", folder / "data" / "models" / "tiny-inpaint"]
        subprocess.run(command, check=True, cwd=ROOT, env=variables, timeout=PATIENCE)
        command = [PYTHON, "-m", "model_backend", "serve", "--port", "0", "--no-token"]
        command += ["--data-dir", folder / "data", "--model", folder / "tiny"]
        self.folder = folder
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        listening = threading.Event()
        self.url = ""

        def read() -> None:
            for line in self.process.stdout:
                self.lines.append(line)
                found = re.search(r"Listening on (http://\S+)", line)
                if found:
                    self.url = found.group(1)
                    listening.set()
            listening.set()

        self._reader = threading.Thread(target=read, daemon=True)
        self._reader.start()
        if not listening.wait(PATIENCE) or not self.url:
            raise RuntimeError("The backend did not start:\n" + "".join(self.lines))

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = Backend(tmp_path_factory.mktemp("backend"))
    yield made
    made.stop()
    if os.environ.get("SHOW_BACKEND"):
        sys.stdout.writelines(made.lines)


@pytest.fixture(scope="session")
def iface():
    the_iface.mainWindow().resize(1400, 900)
    return the_iface


@pytest.fixture
def plugin(iface):
    return plugins["text2earth_qgis"]


@pytest.fixture
def scene(iface) -> Iterator[QgsRasterLayer]:
    """A new project in UTM with an aerial photograph, all of it in view."""
    iface.newProject(False)
    project = QgsProject.instance()
    layer = QgsRasterLayer(str(SCENE), "NAIP 2018")
    project.setCrs(layer.crs())
    project.addMapLayer(layer)
    canvas = iface.mapCanvas()
    canvas.setExtent(layer.extent())
    canvas.refresh()
    settle()
    yield layer
    iface.messageBar().clearWidgets()
    project.layerTreeRoot().setItemVisibilityChecked(True)
    for drawn in project.mapLayers().values():
        if isinstance(drawn, QgsVectorLayer) and drawn.isEditable():
            drawn.rollBack()  # else QGIS asks
    project.setDirty(False)
    iface.newProject(False)


@pytest.fixture
def dock(plugin, scene, backend, tmp_path):
    """The dock, open, its form empty, talking to the backend; what runs at the end is cancelled."""
    from text2earth_qgis.core import settings

    settings.save(settings.Settings(url=backend.url, folder=str(tmp_path), poll_seconds=0.1))
    plugin.settings_changed()
    plugin.show_dock()
    dock = plugin.dock
    clear(dock)
    until(lambda: dock.connection.state.ready)
    yield dock
    for key in dock.runner.under_way():
        dock.runner.cancel(key)
    until(lambda: not dock.runner.under_way())
    clear(dock)
    settle()


def clear(dock) -> None:
    """Bring the form and the list back to what a new user sees."""
    dock.turn_to(dock.generate)
    dock.request.extent.clear()
    dock.request.recall({})
    dock.edit.form.recall({})
    for row in list(dock.runs.model.rows):
        dock.runner.forget(row.run.key)


def box(layer: QgsRasterLayer, share: float) -> QgsRectangle:
    """Return the middle of a layer."""
    middle = QgsRectangle(layer.extent())
    middle.scale(share)
    return middle


def grab(name: str, widget=None) -> Path:
    """Write what a widget (the whole window) looks like to build/screens."""
    settle()
    SCREENS.mkdir(parents=True, exist_ok=True)
    path = SCREENS / f"{name}.png"
    assert (widget or the_iface.mainWindow()).grab().save(str(path))
    return path


class Slots:
    """Measures every stay in the plugin's code: from where Qt or a test enters it until it is left again.

    ``longest`` is in seconds of processor time of the main thread: on a busy machine the clock on the wall
    measures the other processes. ``allowed`` is 50 ms, and more on a processor that is slower than usual.
    """

    def __init__(self) -> None:
        self.longest, self.where, self.count = 0.0, "", 0
        self._frame: object = None
        self._began = 0.0

    @property
    def allowed(self) -> float:
        """Return how long a stay may be, by how long this processor takes for what usually takes 10 ms."""
        took = []
        for _ in range(5):
            began = time.thread_time()
            sum(number * number for number in range(USUAL))
            took.append(time.thread_time() - began)
        return 0.050 * max(1.0, min(took) / 0.010)

    def __enter__(self) -> Slots:
        sys.setprofile(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _watch(self, frame, event: str, _argument: object) -> None:
        if (
            event == "call"
            and self._frame is None
            and f"{os.sep}text2earth_qgis{os.sep}" in frame.f_code.co_filename
        ):
            self._frame, self._began = frame, time.thread_time()
        elif event == "return" and frame is self._frame:
            self._frame = None
            self.count += 1
            spent = time.thread_time() - self._began
            if spent > self.longest:
                self.longest, self.where = (
                    spent,
                    f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}",
                )
