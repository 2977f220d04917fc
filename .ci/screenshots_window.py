"""Runs inside QGIS (--code): brings the window into the states of the user guide and grabs each.

Environment: SCREENS_FOLDER (where the PNGs go), SCREENS_BACKGROUND (a raster).
"""

import os
import sys
import time
import traceback
from pathlib import Path

from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QTimer
from qgis.utils import iface, plugins

FOLDER = Path(os.environ["SCREENS_FOLDER"])
PATIENCE = 200.0  # seconds for a run
SIZE = 1300, 980
STROKE = ((270, 330), (320, 295), (380, 305), (420, 350))  # on the canvas, in pixels
REACH = 28  # of the brush, in pixels of the canvas


def wait(done=lambda: False, seconds: float = PATIENCE) -> None:
    """Let QGIS work until something is done."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("not done in time")
        QgsApplication.processEvents()
        time.sleep(0.01)


def rest(seconds: float = 1.0) -> None:
    """Let QGIS draw."""
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end and not iface.mapCanvas().isDrawing())


def grab(name: str, widget=None) -> None:
    """Write what a widget, or the whole window, looks like."""
    rest()
    if not (widget or iface.mainWindow()).grab().save(str(FOLDER / f"{name}.png")):
        raise OSError(f"{name}.png cannot be written")


def project() -> QgsRasterLayer:
    """Open a project with an aerial image, all of it in view."""
    iface.newProject(False)
    iface.mainWindow().resize(*SIZE)
    layer = QgsRasterLayer(os.environ["SCREENS_BACKGROUND"], "NAIP 2018 (real)")
    QgsProject.instance().setCrs(layer.crs())
    QgsProject.instance().addMapLayer(layer)
    return layer


def look_at(box: QgsRectangle, share: float) -> None:
    """Show a box with what is around it."""
    view = QgsRectangle(box)
    view.scale(share)
    iface.mapCanvas().setExtent(view)
    iface.mapCanvas().refresh()


def finished(dock) -> None:
    """Press Run and wait for the result."""
    wait(dock.run_button.isEnabled)
    dock.run_button.click()
    wait(lambda: dock.runner.under_way())
    wait(lambda: not dock.runner.under_way())
    rest()


def setting_up(window) -> None:
    """The page of a new user."""
    window._front.open()
    grab("setup", window.dock)
    window._front.leave()


def generating(dock, scene: QgsRasterLayer) -> None:
    """A request with its plan, and three variants of it."""
    dock.turn_to(dock.generate)
    middle = QgsRectangle(scene.extent())
    middle.scale(0.3)
    look_at(middle, 1.6)
    dock.request.prompt.setPlainText("a village by a lake")
    dock.request.extent.take(middle)
    wait(lambda: dock.planned is not None)
    rest(4.0)  # the choices by time
    grab("generate")
    dock.request.gsd.set_value(2.0)
    dock.request.seed.set_value(3)
    dock.request.seed.set_variants(3)
    finished(dock)
    look_at(middle, 1.2)
    grab("variants")
    dock.variants.strip.keep.click()
    dock.variants.strip.all_discarded.emit()
    QgsProject.instance().layerTreeRoot().findGroup("Text2Earth").setItemVisibilityChecked(False)


def editing(dock, scene: QgsRasterLayer) -> None:
    """A mask under the brush, and the prompt."""
    from text2earth_qgis.gui.canvas.brush import stroke

    canvas = iface.mapCanvas()
    look_at(scene.extent(), 0.6)
    rest()
    dock.again.edit(scene)
    form = dock.edit.form
    form.brush.button.click()
    path = [canvas.getCoordinateTransform().toMapCoordinates(x, y) for x, y in STROKE]
    dock.edit.brush.stroked.emit(stroke(path, REACH * canvas.mapUnitsPerPixel()), False)
    dock.edit.brush.leave()
    form.prompt.setPlainText("a lake")
    wait(lambda: dock.edit.found is not None and not dock.edit.preview.picture().isNull())
    grab("edit")


def extending(dock, scene: QgsRasterLayer) -> None:
    """Land that is to be added."""
    dock.turn_to(dock.extend)
    look_at(scene.extent(), 1.6)
    dock.extend.form.source.setLayer(scene)
    wait(lambda: dock.extend.grid is not None)
    dock.extend.form.reach.button.click()
    dock.extend.form.reach.spins["right"].setValue(160)
    dock.extend.form.reach.spins["bottom"].setValue(80)
    wait(lambda: dock.extend.found is not None)
    grab("extend")


def work() -> None:
    """Grab all; end QGIS with 0 if that could be done."""
    code = 1
    try:
        window = plugins["text2earth_qgis"].window
        scene = project()
        window.show_dock()
        wait(lambda: window.dock.connection.state.ready)
        setting_up(window)
        generating(window.dock, scene)
        editing(window.dock, scene)
        extending(window.dock, scene)
        code = 0
    except Exception:  # noqa: BLE001 - whatever it is, QGIS has to end
        traceback.print_exc()
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)  # a regular exit may ask questions or crash on a virtual screen


QTimer.singleShot(500, work)
