"""What the scripts share that run in a QGIS of their own: a scene, the dock, waiting, an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QTimer
from qgis.utils import iface, plugins

sys.path.append(os.environ["SESSION_ROOT"])
sys.path.append(os.path.join(os.environ["SESSION_ROOT"], ".ci"))
from tests.support.qgis.dock import PROMPT
from tests.support.qgis.window import SCENE, box, until


def show():
    """Open a project with the scene, and the dock; return both."""
    iface.newProject(False)
    iface.mainWindow().resize(1400, 1000)
    layer = QgsRasterLayer(str(SCENE), "NAIP 2018")
    QgsProject.instance().setCrs(layer.crs())
    QgsProject.instance().addMapLayer(layer)
    iface.mapCanvas().setExtent(layer.extent())
    iface.mapCanvas().refresh()
    plugins["text2earth_qgis"].window.show_dock()
    return plugins["text2earth_qgis"].window.dock, layer


def fill(gsd: float, steps: int = 0):
    """Show the scene and fill in the form; return the dock."""
    dock, layer = show()
    until(lambda: dock.connection.state.ready)
    dock.request.prompt.setPlainText(PROMPT)
    dock.request.gsd.set_value(gsd)
    dock.request.advanced.steps.setValue(steps)
    dock.request.extent.take(box(layer, 0.5))
    until(lambda: dock.planned is not None)
    return dock


def run_session(work: Callable[[], object], ends: bool = True) -> None:
    """Do ``work`` once QGIS has its window; end QGIS with exit code 0, or 3 if it failed, 8 if it hung."""

    def act() -> None:
        try:
            work()
        except BaseException:  # noqa: BLE001 (the edge: it becomes the exit code)
            traceback.print_exc()
            leave(3)
        if ends:
            leave(0)

    QTimer.singleShot(550_000, lambda: leave(8))
    QTimer.singleShot(500, act)


def leave(code: int) -> None:
    """End at once."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
