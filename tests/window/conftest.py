"""Fixtures of the tests that run inside a started QGIS: the window, the plugin, a real backend."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.utils import iface as the_iface
from qgis.utils import plugins

from tests.support.dock import TINY_INPAINT
from tests.support.qgis_window import PATIENCE, PYTHON, ROOT, SCENE, settle, until

BUILD = """
import sys
from tests.support.tiny_models import build_tiny
build_tiny(sys.argv[1]), build_tiny(sys.argv[2], "inpaint")
"""
FOREIGN = ("PYTHON", "QT_", "QGIS", "GDAL_", "PROJ_", "LD_LIBRARY", "LD_PRELOAD")


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
def window(iface):
    """The plugin's share of the window."""
    return plugins["text2earth_qgis"].window


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
def dock(window, scene, backend, tmp_path):
    """The dock, open, its form empty, talking to the backend; what runs at the end is cancelled."""
    from text2earth_qgis.core import settings

    settings.save(settings.Settings(url=backend.url, folder=str(tmp_path), poll_seconds=0.1))
    window.settings_changed()
    window.show_dock()
    dock = window.dock
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


@pytest.fixture
def form(dock, scene):
    """The form of the edit mode, open, its raster chosen, with a model that is quick."""
    dock.turn_to(dock.edit)
    form = dock.edit.form
    form.source.setLayer(scene)
    form.model.model.setCurrentIndex(form.model.model.findData(TINY_INPAINT))
    form.model.steps.setValue(2)
    return form
