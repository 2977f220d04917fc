"""Painting a mask on the map with real mouse and keys: strokes, erasing, undo, sizes, rotation, other CRS."""

from __future__ import annotations

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
)
from qgis.gui import QgsMapToolPan
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QMouseEvent, QWheelEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication

from tests.support.qgis.dock import polygons, square
from tests.support.qgis.window import MainThreadMeter, grab, settle, until

LEFT, RIGHT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.NoButton
PLAIN, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier
WIDTH = 40  # pixels
A, B = QPoint(200, 250), QPoint(420, 250)


@pytest.fixture
def canvas(iface):
    return iface.mapCanvas()


@pytest.fixture
def form(dock, scene):
    """The form of the edit mode, the brush in hand."""
    dock.turn_to(dock.edit)
    form = dock.edit.form
    form.brush.unit.setCurrentIndex(0)
    form.brush.size.setValue(WIDTH)
    form.brush.button.click()
    yield form
    dock.edit.brush.leave()


def send(viewport, kind, at, button, buttons, keys):
    spot = QPointF(at), QPointF(viewport.mapToGlobal(at))
    QApplication.sendEvent(viewport, QMouseEvent(kind, *spot, button, buttons, keys))


def drag(canvas, *places, keys=PLAIN, release=True, steps=8):
    """Press at the first place, move over the others, release at the last."""
    viewport = canvas.viewport()
    send(viewport, QEvent.Type.MouseButtonPress, places[0], LEFT, LEFT, keys)
    for a, b in zip(places, places[1:], strict=False):
        for part in range(1, steps + 1):
            send(viewport, QEvent.Type.MouseMove, a + (b - a) * part / steps, NONE, LEFT, keys)
    if release:
        send(viewport, QEvent.Type.MouseButtonRelease, places[-1], LEFT, NONE, keys)


def painted(form, canvas):
    """Return all polygons of the mask, in pixels of the canvas, as one."""
    layer = form.mask.layer()
    project = QgsProject.instance()
    way = QgsCoordinateTransform(layer.crs(), canvas.mapSettings().destinationCrs(), project)
    shapes = [feature.geometry() for feature in layer.getFeatures()]
    for shape in shapes:
        shape.transform(way)
    whole = QgsGeometry.unaryUnion(shapes)
    turn = canvas.getCoordinateTransform()
    if whole.isEmpty():
        return whole
    return QgsGeometry.fromWkt(whole.asWkt(9)) if turn is None else _on_canvas(whole, turn)


def _on_canvas(shape, turn):
    rings = shape.asMultiPolygon() if shape.isMultipart() else [shape.asPolygon()]
    places = [
        [[QgsPointXY(turn.transform(point)) for point in ring] for ring in polygon] for polygon in rings
    ]
    return QgsGeometry.fromMultiPolygonXY(places)


def capsule(a, b, width=WIDTH):
    line = QgsGeometry.fromPolylineXY([QgsPointXY(a.x(), a.y()), QgsPointXY(b.x(), b.y())])
    return line.buffer(width / 2, 32)


def alike(one, other):
    """Return the share of two shapes that they have in common."""
    return one.intersection(other).area() / one.combine(other).area()


def test_the_brush_makes_its_mask_and_paints(dock, form, scene, canvas, iface):
    layer = form.mask.layer()
    assert layer.crs() == scene.crs()
    assert layer.isEditable()
    assert iface.activeLayer() is layer
    assert canvas.mapTool() is dock.edit.brush
    drag(canvas, A, B, release=False)
    grab("brush-stroke")
    assert layer.featureCount() == 0
    send(canvas.viewport(), QEvent.Type.MouseButtonRelease, B, LEFT, NONE, PLAIN)
    assert layer.featureCount() == 1
    assert alike(painted(form, canvas), capsule(A, B)) > 0.97
    until(dock.run_button.isEnabled)  # no prompt is needed to fill what the brush covers


def test_strokes_unite_and_shift_takes_away(form, canvas):
    layer = form.mask.layer()
    drag(canvas, A, B)
    drag(canvas, A + QPoint(0, 120), B + QPoint(0, 120))
    assert layer.featureCount() == 2
    drag(canvas, QPoint(310, 220), QPoint(310, 400))
    assert layer.featureCount() == 1
    grab("brush-painted")
    drag(canvas, QPoint(310, 100), QPoint(310, 500), keys=SHIFT)
    left = painted(form, canvas)
    assert not left.intersects(QgsGeometry.fromPointXY(QgsPointXY(310, 300)))
    assert left.intersects(QgsGeometry.fromPointXY(QgsPointXY(220, 250)))
    drag(canvas, QPoint(150, 310), QPoint(470, 310), keys=SHIFT)
    for y in (250, 370):
        drag(canvas, QPoint(150, y), QPoint(470, y), keys=SHIFT)
    assert painted(form, canvas).area() < 1000


def test_each_stroke_is_one_step_back(dock, form, canvas):
    layer = form.mask.layer()
    drag(canvas, A, B)
    first = painted(form, canvas).area()
    drag(canvas, QPoint(310, 200), QPoint(310, 400))
    drag(canvas, QPoint(310, 100), QPoint(310, 240), keys=SHIFT)
    assert layer.undoStack().count() == 3
    layer.undoStack().undo()
    layer.undoStack().undo()
    assert painted(form, canvas).area() == pytest.approx(first)
    QTest.keyClick(canvas, Qt.Key.Key_Z, CTRL)
    assert layer.featureCount() == 0
    assert "is empty" in dock.plan.text()
    layer.undoStack().redo()
    assert painted(form, canvas).area() == pytest.approx(first)


@pytest.mark.parametrize("way", ["escape", "right click", "button", "another tool", "generate", "removed"])
def test_leaving(dock, form, canvas, way):
    pan = QgsMapToolPan(canvas)
    form.brush.button.click()
    canvas.setMapTool(pan)
    form.brush.button.click()
    items = len(canvas.scene().items())
    drag(canvas, A, B, release=False)
    if way == "escape":
        send(canvas.viewport(), QEvent.Type.MouseButtonRelease, B, LEFT, NONE, PLAIN)
        QTest.keyClick(canvas, Qt.Key.Key_Escape)
    elif way == "right click":
        QTest.mousePress(canvas.viewport(), RIGHT, PLAIN, QPoint(100, 100))
    elif way == "button":
        form.brush.button.click()
    elif way == "another tool":
        canvas.setMapTool(pan)
    elif way == "generate":
        dock.turn_to(dock.generate)
    else:
        QgsProject.instance().removeMapLayer(form.mask.layer().id())
        assert form.mask.layer() is None
    send(canvas.viewport(), QEvent.Type.MouseButtonRelease, B, LEFT, NONE, PLAIN)
    settle()
    assert canvas.mapTool() is pan
    assert not form.brush.button.isChecked()
    assert len(canvas.scene().items()) <= items
    canvas.unsetMapTool(pan)


def test_sizes(dock, form, canvas):
    brush = dock.edit.brush
    QTest.keyClick(canvas, Qt.Key.Key_BracketRight)
    assert brush.size == form.brush.size.value() == 50
    QTest.keyClick(canvas, Qt.Key.Key_BracketLeft)
    assert brush.size == 40
    scale = canvas.scale()
    at = QPointF(300, 300)
    event = QWheelEvent(at, at, QPoint(0, 0), QPoint(0, 120), NONE, CTRL, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(canvas.viewport(), event)
    assert brush.size == form.brush.size.value() == 50
    assert canvas.scale() == scale
    form.brush.unit.setCurrentIndex(1)
    form.brush.size.setValue(200)
    drag(canvas, A, B)
    narrow = next(form.mask.layer().getFeatures()).geometry().boundingBox().height()
    assert narrow == pytest.approx(200, rel=0.02)  # UTM: metres, true to scale here
    assert form.memory()["brush"] == {"px": 50.0, "m": 200.0}


def test_a_click_paints_a_dot(form, canvas):
    drag(canvas, A)
    assert alike(painted(form, canvas), capsule(A, A + QPoint(0, 1))) > 0.93


@pytest.mark.parametrize(("crs", "rotation"), [("EPSG:26914", 30), ("EPSG:4269", 0), ("EPSG:4269", 30)])
def test_rotated_and_reprojected(form, canvas, crs, rotation):
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem(crs))
    canvas.setRotation(rotation)
    canvas.zoomToFullExtent()
    QgsProject.instance().layerTreeRoot().setItemVisibilityCheckedRecursive(False)
    until(lambda: not canvas.isDrawing())
    settle()
    drag(canvas, A, B, release=False)
    image = canvas.grab().toImage()
    tinted = [QPoint(x, 250 + y) for x in (190, 310, 430) for y in (-12, 0, 12)]
    assert all(image.pixelColor(spot).blue() < 200 for spot in tinted)  # the map is white here
    send(canvas.viewport(), QEvent.Type.MouseButtonRelease, B, LEFT, NONE, PLAIN)
    assert form.mask.layer().crs().authid() == "EPSG:26914"
    assert alike(painted(form, canvas), capsule(A, B)) > 0.96
    canvas.setRotation(0)


def test_long_strokes_stay_light(form, canvas):
    """A scribble of 4,000 moves: few corners, and no stay in our code that is felt."""
    places = [QPoint(150 + 40 * (n % 10), 200 + 22 * (n // 10) + 8 * (n % 2)) for n in range(100)]
    with MainThreadMeter() as meter:
        drag(canvas, *places, steps=40)
        drag(canvas, *[place + QPoint(11, 7) for place in places], steps=40)
        drag(canvas, *places[::-1], keys=SHIFT, steps=40)
    corners = sum(
        sum(1 for _ in feature.geometry().vertices()) for feature in form.mask.layer().getFeatures()
    )
    print(f"{corners} corners; longest of {meter.count:,} stays {meter.longest * 1000:.1f} ms, {meter.where}")
    assert corners < 3000
    assert meter.longest < meter.allowed


def test_a_layer_of_the_user_is_not_painted_on(dock, form, scene, canvas):
    form.brush.button.click()
    own = polygons([square(scene, 100, 100, 50)], scene.crs())
    form.mask.choose(own)
    form.brush.button.click()
    assert form.mask.layer() is not own
    drag(canvas, A, B)
    assert own.featureCount() == 1
    assert not own.isEditable()
    form.mask.choose(own)
    assert canvas.mapTool() is not dock.edit.brush


def test_what_was_drawn_crossing_itself_is_painted_on(form, canvas):
    layer = form.mask.layer()
    turn = canvas.getCoordinateTransform()
    corners = [turn.toMapCoordinates(x, y) for x, y in ((200, 200), (400, 300), (400, 200), (200, 300))]
    from qgis.core import QgsFeature

    feature = QgsFeature(layer.fields())
    feature.setGeometry(QgsGeometry.fromPolygonXY([corners]))
    layer.addFeature(feature)
    drag(canvas, A, B)
    assert layer.featureCount() == 1
    assert next(layer.getFeatures()).geometry().isGeosValid()
