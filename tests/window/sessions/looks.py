"""Grabs the dock in every state, in whatever theme, scale and language this QGIS was started.

``SESSION_WIDTH`` is that of the dock in pixels, its usual one if it is not given.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, os.environ["SESSION_FOLDER"])
from qgis.core import QgsRectangle
from qgis.PyQt.QtCore import QEventLoop, Qt, QTimer
from qgis.utils import iface
from session import fill, run_session, until

from text2earth_qgis.gui.canvas.brush import stroke

PATH = ((180, 180), (230, 240), (300, 230))
OUT, NAME = Path(os.environ["SESSION_SCREEN"]).parent, os.environ["SESSION_LOOK"]


def grab(state: str) -> None:
    pause = QEventLoop()
    QTimer.singleShot(400, pause.quit)
    pause.exec()
    assert iface.mainWindow().grab().save(str(OUT / f"{NAME}-{state}.png"))


def work() -> None:
    dock = fill(0.5, steps=200)
    if width := int(os.environ.get("SESSION_WIDTH", 0)):
        iface.mainWindow().resizeDocks([dock], [width], Qt.Orientation.Horizontal)
    grab("planned")
    dock.run_button.click()
    key = dock.runs.model.rows[0].run.key
    until(lambda: dock.previews.items())
    grab("running")
    dock.runner.cancel(key)
    until(lambda: dock.runs.row(key).run.state == "dismissed")
    dock.removals.remove([key])
    dock.request.gsd.set_value(4.0)
    dock.request.advanced.steps.setValue(2)
    until(lambda: dock.planned is not None and dock.planned.recipe["steps"] == 2)
    dock.run_button.click()
    key = dock.runs.model.rows[0].run.key
    until(lambda: dock.runs.row(key).run.state == "fetched")
    dock.runs.choose(key)
    dock.request.unfold(True)
    until(lambda: dock.request.advanced.price.text())
    grab("finished")
    dock.request.unfold(False)
    variants(dock)
    good = dock.request.extent.box()[0]
    dock.request.extent.take(QgsRectangle(-1e6, 2e6, 2e6, 7e6))
    until(lambda: not dock.run_button.isEnabled())
    grab("refused")
    dock.request.extent.take(good)
    dock.request.extent.draw_button.click()
    grab("drawing")
    dock.request.extent.clear()
    dock.request.recall({})
    dock.removals.remove([key])
    grab("empty")
    edit(dock)


def variants(dock) -> None:
    """Make a few, and look at one."""
    dock.request.seed.set_variants(5)
    until(lambda: dock.planned is not None and dock.planned.variants == 5)
    dock.run_button.click()
    strip = dock.variants.strip
    until(lambda: sum(one.ready for one in strip.pictures.pictures.variants) == 5)
    strip.pictures.chosen.emit(strip.keys[1])
    grab("variants")
    strip.discard_all.trigger()
    dock.request.seed.set_variants(1)


def edit(dock) -> None:
    """Paint a mask, look at the edit, and run it."""
    dock.turn_to(dock.edit)
    form = dock.edit.form
    form.model.model.setCurrentIndex(form.model.model.findData("tiny-inpaint"))
    form.model.steps.setValue(200)  # long enough to be seen running
    grab("edit-empty")
    form.brush.button.click()
    canvas = iface.mapCanvas()
    path = [canvas.getCoordinateTransform().toMapCoordinates(x, y) for x, y in PATH]
    dock.edit.brush.stroked.emit(stroke(path, 25 * canvas.mapUnitsPerPixel()), False)
    dock.edit.brush.leave()
    form.prompt.setPlainText("a lake with reed beds")
    form.feather.setValue(60.0)
    until(lambda: dock.edit.found is not None)
    until(lambda: not dock.edit.preview.picture().isNull())
    grab("edit-planned")
    dock.run_button.click()
    key = dock.runs.model.rows[0].run.key
    until(lambda: dock.runs.row(key).run.state in ("running", "fetched"))
    grab("edit-running")
    until(lambda: dock.runs.row(key).run.state == "fetched")
    form.unfold(True)
    form.bands.which.setCurrentIndex(1)
    grab("edit-finished")
    extend(dock)


def extend(dock) -> None:
    """Ask for land around the raster."""
    dock.turn_to(dock.extend)
    form = dock.extend.form
    form.model.model.setCurrentIndex(form.model.model.findData("tiny-inpaint"))
    until(lambda: dock.extend.grid is not None)
    grab("extend-empty")
    form.prompt.setPlainText("a forest")
    form.reach.spins["right"].setValue(200)
    until(lambda: dock.extend.planned is not None)
    grab("extend-planned")


run_session(work)
