"""The next start of QGIS: the result of the run that was left comes by itself, and is offered."""

import os
import sys
from pathlib import Path

sys.path.insert(0, os.environ["SESSION_FOLDER"])
from qgis.core import QgsProject
from qgis.PyQt.QtWidgets import QPushButton
from qgis.utils import iface, plugins
from session import PROMPT, run_session, until


def work() -> None:
    iface.newProject(False)
    iface.mainWindow().resize(1400, 900)
    dock = plugins["text2earth_qgis"].window.dock
    assert dock.isVisible(), "the dock was open and is not"
    assert dock.request.prompt.text() == PROMPT, "the prompt is forgotten"
    (row,) = dock.runs.model.rows
    until(lambda: dock.runs.row(row.run.key).run.state == "fetched")
    run = dock.runs.row(row.run.key).run
    assert run.job == Path(os.environ["SESSION_OUT"]).read_text()
    assert Path(run.target).is_file()
    assert not QgsProject.instance().mapLayers()
    until(lambda: iface.messageBar().items())
    iface.mainWindow().grab().save(os.environ["SESSION_SCREEN"])
    iface.messageBar().items()[0].findChild(QPushButton).click()
    (layer,) = QgsProject.instance().mapLayers().values()
    assert f"seed {run.recipe['seed']}" in layer.name()


run_session(work)
