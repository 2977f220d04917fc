"""Runs inside QGIS (--code): shows a result over real imagery with the dock open, grabs the window, leaves.

Environment: DEMO_RESULT, DEMO_BACKGROUND (rasters) and DEMO_SCREENSHOT (the PNG to write).
"""

import os
import sys

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QTimer
from qgis.utils import iface, plugins

GUARD_MS = 120_000


def leave(code: int) -> None:
    """End at once: a regular exit may ask questions or crash on a virtual screen."""
    sys.stdout.flush()
    os._exit(code)


def show() -> None:
    """Lay out the scene: background, result above it in its group, dock open."""
    iface.newProject(False)
    iface.mainWindow().resize(1500, 950)
    project = QgsProject.instance()
    background = QgsRasterLayer(os.environ["DEMO_BACKGROUND"], "NAIP 2018 (real)")
    project.setCrs(background.crs())
    project.addMapLayer(background)
    from text2earth_qgis.core import layers

    result = layers.add_result(os.environ["DEMO_RESULT"], project)
    iface.setActiveLayer(result)
    plugins["text2earth_qgis"].window.show_dock()
    canvas = iface.mapCanvas()
    view = result.extent()
    view.scale(2.2)
    canvas.setExtent(view)
    canvas.mapCanvasRefreshed.connect(lambda: QTimer.singleShot(2500, grab))
    canvas.refresh()


def grab() -> None:
    """Write the window to the PNG."""
    leave(0 if iface.mainWindow().grab().save(os.environ["DEMO_SCREENSHOT"]) else 1)


QTimer.singleShot(GUARD_MS, lambda: leave(8))
QTimer.singleShot(500, show)
