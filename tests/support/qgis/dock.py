"""Steps that tests take in the dock: fill in a form, run it, see what it says."""

from __future__ import annotations

import re

import requests
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QFontMetrics, QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAbstractButton, QApplication, QLabel, QPushButton

from tests.support.qgis.window import box, settle, until

PROMPT = "a lake with reed beds, surrounded by meadows and birches, a road from north to south"
LAKE = "a lake"
TINY_INPAINT = "tiny-inpaint"
BREAKS = "[ \n\u200b\u2e80-\uffef]+"  # where a line may end; Chinese may between any two signs
LEFT, PLAIN = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def ask(dock, scene, gsd=4.0, share=0.5):
    """Fill in the form and wait for the plan."""
    dock.request.prompt.setPlainText(PROMPT)
    dock.request.gsd.set_value(gsd)
    dock.request.extent.take(box(scene, share))
    until(lambda: dock.planned is not None)


def drag(viewport, a, b):
    """Press, move and release as a user would; QTest's moves carry no position offscreen."""
    QTest.mousePress(viewport, LEFT, PLAIN, a)
    for part in range(1, 5):
        at = a + (b - a) * part / 4
        spot = QPointF(at), QPointF(viewport.mapToGlobal(at))
        QApplication.sendEvent(
            viewport, QMouseEvent(QEvent.Type.MouseMove, *spot, Qt.MouseButton.NoButton, LEFT, PLAIN)
        )
    label = next(w for w in viewport.parent().findChildren(QLabel) if w.isVisible()).text()
    return label


def start(dock, scene, gsd=4.0, steps=0, share=0.5):
    """Fill in the form, press Run, and return the key of the run."""
    dock.request.advanced.steps.setValue(steps)
    ask(dock, scene, gsd, share)
    dock.run_button.click()
    return dock.runs.model.rows[0].run.key


def state(dock, key):
    return dock.runs.row(key).run.state


def running(dock, key):
    """Wait until the backend is at it; for those that take minutes."""
    until(lambda: state(dock, key) == "running")


def status(backend, run):
    return requests.get(f"{backend.url}/jobs/{run.job}", timeout=60)


def bar(iface):
    """Return the texts and the buttons of the message bar."""
    settle()
    labels = [w.text() for item in iface.messageBar().items() for w in item.findChildren(QLabel)]
    texts = [item.text() for item in iface.messageBar().items()]
    buttons = [b for item in iface.messageBar().items() for b in item.findChildren(QPushButton)]
    return " ".join(labels + texts), buttons


def square(layer, col, row, side):
    """Return a square of pixels of a raster."""
    pixel, extent = layer.rasterUnitsPerPixelX(), layer.extent()
    x, y = extent.xMinimum() + col * pixel, extent.yMaximum() - row * pixel
    return QgsGeometry.fromRect(QgsRectangle(x, y - side * pixel, x + side * pixel, y))


def polygons(shapes, crs, name="lots"):
    """Add a polygon layer of the user's own."""
    layer = QgsVectorLayer(f"Polygon?crs={crs.authid()}", name, "memory")
    for shape in shapes:
        feature = QgsFeature()
        feature.setGeometry(shape)
        layer.dataProvider().addFeatures([feature])
    layer.updateExtents()
    QgsProject.instance().addMapLayer(layer)
    return layer


def fill_edit(dock, form, scene, side=64, corner=(200, 150)):
    """Fill in all that is needed, and wait for the look at it."""
    mask = polygons([square(scene, *corner, side)], scene.crs())
    form.mask.choose(mask)
    form.prompt.setPlainText(LAKE)
    until(lambda: dock.edit.found is not None)
    return mask


def press_run(dock):
    dock.run_button.click()
    return dock.runs.model.rows[0].run.key


def texts_fit(dock):
    """Check that no text that is seen in the dock is cut off."""
    cut = cut_texts(dock)
    assert not cut, cut


def cut_texts(dock) -> list[str]:
    """Return the texts that are seen in the dock and cut off."""
    inside = dock.widget().rect()
    found = []
    for widget in dock.findChildren((QLabel, QAbstractButton)):
        if not widget.isVisible() or not widget.text() or "…" in widget.text():
            continue
        corner = widget.mapTo(dock.widget(), QPoint(0, 0))
        wraps = isinstance(widget, QLabel) and widget.wordWrap()
        pieces = re.split(BREAKS if wraps else "\n", widget.text())
        wide = max(map(QFontMetrics(widget.font()).horizontalAdvance, pieces))
        outside = corner.x() < 0 or corner.x() + widget.width() > inside.width()
        outside |= wraps and widget.heightForWidth(widget.width()) > widget.height() + 1
        if outside or wide > widget.width() + 1:
            found.append(widget.text())
    return found
