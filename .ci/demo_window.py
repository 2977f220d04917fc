"""Runs inside QGIS (--code): a result over real imagery, the dock with a request; grabs the window.

Environment: DEMO_RESULT, DEMO_BACKGROUND (rasters), DEMO_PROMPT and DEMO_SCREENSHOT (the PNG to write).
"""

import os
import sys
import time

from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QTimer
from qgis.utils import iface, plugins

GUARD_MS = 120_000
PATIENCE = 30.0  # seconds for the backend's plan


def leave(code: int) -> None:
    """End at once: a regular exit may ask questions or crash on a virtual screen."""
    sys.stdout.flush()
    os._exit(code)


def show() -> None:
    """Lay out the scene: background, result above it in its group, dock open with a request."""
    iface.newProject(False)
    iface.mainWindow().resize(1500, 950)
    project = QgsProject.instance()
    background = QgsRasterLayer(os.environ["DEMO_BACKGROUND"], "NAIP 2018 (real)")
    project.setCrs(background.crs())
    project.addMapLayer(background)
    from text2earth_qgis.core import layers

    result = layers.add_result(os.environ["DEMO_RESULT"], project)
    iface.setActiveLayer(result)
    window = plugins["text2earth_qgis"].window
    window.show_dock()
    wait(0.5)
    view = result.extent()
    view.scale(1.35)
    canvas = iface.mapCanvas()
    canvas.setExtent(view)
    canvas.refresh()
    dock = window.dock
    dock.request.prompt.setPlainText(os.environ["DEMO_PROMPT"])
    dock.request.gsd.set_value(0.6)
    dock.request.extent.take(result.extent())
    wait(PATIENCE, lambda: dock.planned is not None)
    wait(2.5)
    leave(0 if iface.mainWindow().grab().save(os.environ["DEMO_SCREENSHOT"]) else 1)


def wait(seconds: float, done=lambda: False) -> None:
    """Let QGIS work for so long, or until something is done."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not done():
        QgsApplication.processEvents()
        time.sleep(0.02)


QTimer.singleShot(GUARD_MS, lambda: leave(8))
QTimer.singleShot(500, show)
