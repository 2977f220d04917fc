"""Grabs the dock in every state, in whatever theme and scale this QGIS was started."""

import os
import sys
from pathlib import Path

sys.path.insert(0, os.environ["STORY_FOLDER"])
from qgis.core import QgsRectangle
from qgis.PyQt.QtCore import QEventLoop, QTimer
from qgis.utils import iface
from story import fill, tell, until

OUT, NAME = Path(os.environ["STORY_SCREEN"]).parent, os.environ["STORY_LOOK"]


def grab(state: str) -> None:
    pause = QEventLoop()
    QTimer.singleShot(400, pause.quit)
    pause.exec()
    assert iface.mainWindow().grab().save(str(OUT / f"{NAME}-{state}.png"))


def work() -> None:
    dock = fill(4.0, steps=40)
    grab("planned")
    dock.run_button.click()
    key = dock.runs.model.rows[0].run.key
    until(lambda: dock.previews.items())
    grab("running")
    until(lambda: dock.runs.row(key).run.state == "fetched", 120)
    dock.runs.choose(key)
    dock.request.unfold(True)
    until(lambda: dock.request.advanced.price.text())
    grab("finished")
    dock.request.unfold(False)
    good = dock.request.extent.box()[0]
    dock.request.extent.take(QgsRectangle(-1e6, 2e6, 2e6, 7e6))
    until(lambda: not dock.run_button.isEnabled())
    grab("refused")
    dock.request.extent.take(good)
    dock.request.extent.draw_button.click()
    grab("drawing")
    dock.request.extent.clear()
    dock.request.recall({})
    dock.runner.forget(key)
    grab("empty")


tell(work)
