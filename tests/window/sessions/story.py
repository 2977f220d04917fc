"""What the scripts share that run in a QGIS of their own: a scene, the dock, waiting, an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from qgis.core import QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QElapsedTimer, QEventLoop, QTimer
from qgis.utils import iface, plugins

ROOT = Path(os.environ["STORY_ROOT"])
PROMPT = "a lake with reed beds, surrounded by meadows and birches, a road from north to south"


def until(condition: Callable[[], object], seconds: float = 200.0) -> None:
    """Serve events until ``condition`` holds."""
    clock = QElapsedTimer()
    clock.start()
    tick = QTimer()
    tick.start(20)
    loop = QEventLoop()
    while not condition():
        if clock.hasExpired(int(seconds * 1000)):
            raise AssertionError(f"not within {seconds} s")
        loop.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def fill(gsd: float, steps: int = 0):
    """Show the scene and fill in the form; return the dock."""
    iface.newProject(False)
    iface.mainWindow().resize(1400, 900)
    layer = QgsRasterLayer(str(ROOT / "resources" / "demo" / "scene.tif"), "NAIP 2018")
    QgsProject.instance().setCrs(layer.crs())
    QgsProject.instance().addMapLayer(layer)
    iface.mapCanvas().setExtent(layer.extent())
    iface.mapCanvas().refresh()
    plugins["text2earth_qgis"].show_dock()
    dock = plugins["text2earth_qgis"].dock
    until(lambda: dock.connection.state.ready)
    middle = QgsRectangle(layer.extent())
    middle.scale(0.5)
    dock.request.prompt.setPlainText(PROMPT)
    dock.request.gsd.set_value(gsd)
    dock.request.advanced.steps.setValue(steps)
    dock.request.extent.take(middle)
    until(lambda: dock.planned is not None)
    return dock


def tell(work: Callable[[], object], ends: bool = True) -> None:
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
