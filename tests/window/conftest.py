"""Fixtures of the tests that run inside a started QGIS: the window, the plugin, a real backend."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.utils import iface as the_iface
from qgis.utils import plugins

from tests.support.qgis.backend import Backend, build_model
from tests.support.qgis.dock import TINY_INPAINT
from tests.support.qgis.window import SCENE, settle, until

os.environ["OMP_NUM_THREADS"] = "1"  # of backends: tiny models are slower on more threads


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend with tiny models: one that generates, one that edits."""
    folder = tmp_path_factory.mktemp("backend")
    build_model(folder / "data" / "models" / TINY_INPAINT, "inpaint")
    one = Backend(folder / "data", "--model", str(build_model(folder / "tiny")), "--no-token", threads=1)
    yield one.start()
    one.stop()


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
    dock.request.unfold(False)
    dock.edit.form.recall({})
    dock.edit.form.unfold(False)
    dock.extend.form.recall({})
    dock.extend.form.unfold(False)
    dock.request.use_samples((), ())
    dock.removals.remove([row.run.key for row in dock.runs.model.rows])
    dock.removals.close()


@pytest.fixture
def form(dock, scene):
    """The form of the edit mode, open, its raster chosen, with a model that is quick."""
    dock.turn_to(dock.edit)
    form = dock.edit.form
    form.source.setLayer(scene)
    form.model.model.setCurrentIndex(form.model.model.findData(TINY_INPAINT))
    form.model.steps.setValue(2)
    return form
