"""Extending from the dock: sides that are dragged, drawn, typed and taken back, and the way to a result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication

from tests.support.qgis.dock import TINY_INPAINT, press_run, state, texts_fit
from tests.support.qgis.window import MainThreadMeter, grab, settle, until

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
PLAIN, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def form(dock, scene, iface):
    """The form of the extend mode, its raster chosen and small on the map, with a model that is quick."""
    dock.turn_to(dock.extend)
    form = dock.extend.form
    form.source.setLayer(scene)
    around = scene.extent()
    around.scale(2)
    iface.mapCanvas().setExtent(around)
    form.model.model.setCurrentIndex(form.model.model.findData(TINY_INPAINT))
    form.model.steps.setValue(2)
    until(lambda: dock.extend.grid is not None)
    settle()
    yield form
    dock.extend.tool.leave()
    form.source.setLayer(None)
    form.recall({})


def place(dock, col, row):
    """Return where a pixel of the raster is on the canvas."""
    mode, canvas = dock.extend, dock.extend._canvas
    a, b, c, d, e, f = mode.grid.transform
    there = mode.outline.on_canvas([(a + b * col + c * row, d + e * col + f * row)])[0]
    return canvas, QPoint(round(there.x()), round(there.y()))


def drag(dock, first, last, keys=PLAIN, release=True):
    """Drag from a pixel of the raster to another, outside of it or not."""
    canvas, start = place(dock, *first)
    end = place(dock, *last)[1]
    kinds = QEvent.Type
    send(canvas, kinds.MouseMove, start, NONE, NONE, keys)
    send(canvas, kinds.MouseButtonPress, start, LEFT, LEFT, keys)
    for part in range(1, 6):
        send(canvas, kinds.MouseMove, start + (end - start) * part / 5, NONE, LEFT, keys)
    if release:
        send(canvas, kinds.MouseButtonRelease, end, LEFT, NONE, keys)


def send(canvas, kind, at, button, buttons, keys):
    viewport = canvas.viewport()
    spot = QPointF(at), QPointF(viewport.mapToGlobal(at))
    QApplication.sendEvent(viewport, QMouseEvent(kind, *spot, button, buttons, keys))


def near(value, wanted, dock):
    """Whether a number of pixels is what a pixel of the screen can mean."""
    return abs(value - wanted) <= 1.5 * dock.extend._canvas.mapUnitsPerPixel() / dock.extend.grid.transform[1]


def test_sides_and_corners_are_dragged(dock, form, scene):
    width, height = scene.width(), scene.height()
    assert "Drag a side of the raster outward" in dock.plan.text()
    form.reach.button.click()
    assert dock.extend.outline.has_handles
    grab("extend-handles")
    drag(dock, (width, height / 2), (width + 100, height / 3), release=False)
    grab("extend-dragging")
    label = dock.extend.tool._label._label.text()
    assert "right +" in label
    assert "in all" in label
    QTest.keyClick(dock.extend._canvas, Qt.Key.Key_Escape)
    assert form.reach.value.right == 0
    drag(dock, (width, height / 2), (width + 100, height / 3))
    reach = form.reach.value
    assert near(reach.right, 100, dock)
    assert (reach.top, reach.left, reach.bottom) == (0, 0, 0)
    drag(dock, (0, 0), (-60, -40))
    reach = form.reach.value
    assert near(reach.left, 60, dock)
    assert near(reach.top, 40, dock)
    drag(dock, (-reach.left, height / 2), (30, height / 2))  # inward ends at the raster
    assert form.reach.value.left == 0
    until(lambda: dock.extend.found is not None)
    text = dock.plan.text()
    assert f"{width + form.reach.value.right:,} × {height + form.reach.value.top:,} px" in text
    assert "beside it are used" in text
    QTest.keyClick(dock.extend._canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert form.reach.value == reach
    form.reach.reset.click()
    assert dock.extend.land is None
    drag(dock, (width / 2, height), (width / 2, height + 50), keys=SHIFT)
    reach = form.reach.value
    assert reach.top == reach.left == reach.right == reach.bottom
    assert near(reach.bottom, 50, dock)
    QTest.keyClick(dock.extend._canvas, Qt.Key.Key_Escape)
    assert not form.reach.button.isChecked()
    assert not dock.extend.outline.has_handles


def test_a_rectangle_is_drawn_and_numbers_are_typed(dock, form, scene):
    width, height = scene.width(), scene.height()
    form.reach.button.click()
    drag(dock, (width - 60, 40), (width + 80, height - 40))
    assert near(form.reach.value.right, 80, dock)
    assert form.reach.value.top == 0
    before = form.reach.value
    drag(dock, (width + 120, 10), (width + 200, 90))  # beside it
    until(lambda: "does not touch the raster" in dock.plan.text())
    dock.extend.tool.undone.emit(False)
    assert form.reach.value == before
    form.reach.spins["right"].setValue(64)
    form.reach.unit.setCurrentIndex(1)
    metres = dock.extend._metres[0]
    assert form.reach.spins["right"].value() == pytest.approx(64 * metres, abs=0.01)
    form.reach.spins["top"].setValue(32 * metres)
    assert (form.reach.value.right, form.reach.value.top) == (64, 32)
    assert dock.extend.outline.box.width == width + 64
    until(lambda: dock.extend.found is not None)
    assert f"{width + 64:,} × {height + 32:,} px" in dock.plan.text()


@pytest.mark.parametrize("width", [300, 420])
def test_nothing_is_cut_off(dock, form, iface, width):
    form.reach.spins["right"].setValue(64)
    until(lambda: dock.extend.found is not None)
    form.unfold(True)
    iface.mainWindow().resizeDocks([dock], [width], Qt.Orientation.Horizontal)
    settle()
    grab(f"extend-width-{width}")
    texts_fit(dock)
    form.unfold(False)
    iface.mainWindow().resizeDocks([dock], [420], Qt.Orientation.Horizontal)


def test_rasters_that_cannot_be_extended_say_why(dock, form, scene, tmp_path):
    online = QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/{z}/{x}/{y}.png", "tiles", "wms")
    QgsProject.instance().addMapLayer(online, False)
    form.source.setLayer(online)
    until(lambda: "'tiles' has no raster file" in dock.plan.text())
    assert not form.reach.button.isEnabled()
    nowhere = QgsRasterLayer(scene.source(), "nowhere")
    nowhere.setCrs(QgsCoordinateReferenceSystem())
    QgsProject.instance().addMapLayer(nowhere, False)
    form.source.setLayer(nowhere)
    until(lambda: "'nowhere' has no CRS" in dock.plan.text())
    form.source.setLayer(scene)
    until(lambda: dock.extend.grid is not None)
    assert "Drag a side" in dock.plan.text()


def pixels(path):
    dataset = gdal.Open(str(path))
    raw = dataset.ReadRaster()
    return np.frombuffer(raw, "u1").reshape(dataset.RasterCount, dataset.RasterYSize, dataset.RasterXSize)


def test_from_run_to_the_larger_raster_and_again(dock, form, scene, iface, backend):
    width, height = scene.width(), scene.height()
    form.reach.button.click()
    assert form.fill.isChecked()
    form.fill.setChecked(False)
    form.prompt.setPlainText("a lake")
    drag(dock, (width, height / 2), (width + 70, height / 2))
    form.reach.spins["top"].setValue(40)
    right = form.reach.value.right
    until(dock.run_button.isEnabled)
    with MainThreadMeter() as meter:
        key = press_run(dock)
        until(lambda: state(dock, key) == "fetched")
        until(lambda: len(QgsProject.instance().mapLayers()) == 2)
    print(f"longest of {meter.count:,} stays {meter.longest * 1000:.1f} ms of CPU, in {meter.where}")
    assert meter.longest < meter.allowed
    done = dock.runs.row(key).run
    assert done.process == done.recipe["process"] == "extend"
    made, source = pixels(done.target), pixels(scene.source())
    assert made.shape == (source.shape[0], height + 40, width + right)
    assert made[:, 40:, :width].tobytes() == source.tobytes()
    assert not dock.extend.outline.isVisible()
    layer = QgsProject.instance().layerTreeRoot().children()[0].layer()
    assert Path(layer.source()) == Path(done.target)
    grab("extend-finished")
    until(lambda: not backend.uploads)
    form.recall({})
    form.source.setLayer(None)
    dock.turn_to(dock.generate)
    dock.runs.choose(key)
    dock.runs.buttons["use_again"].click()
    assert dock.mode is dock.extend
    assert form.layer() is scene
    assert (form.prompt.text(), form.fill.isChecked()) == ("a lake", False)
    assert form.seed.value() == done.recipe["seed"]
    until(dock.run_button.isEnabled)
    assert (form.reach.value.top, form.reach.value.right) == (40, right)
    assert dock.extend.outline.isVisible()
    dock.runs.choose(key)
    dock.runs.buttons["varied"].click()
    until(lambda: dock.runs.model.rows[0].run.key != key)
    other = dock.runs.model.rows[0].run.key
    until(lambda: state(dock, other) == "fetched")
    assert pixels(dock.runs.row(other).run.target).shape == made.shape
    assert dock.runs.row(other).run.recipe["seed"] != done.recipe["seed"]


def placed(scene, path, name, transform, crs=None):
    """Add a copy of the raster that lies otherwise."""
    made = gdal.GetDriverByName("GTiff").CreateCopy(str(path), gdal.Open(scene.source()))
    made.SetGeoTransform(transform)
    if crs is not None:
        made.SetProjection(crs.toWkt())
    made = None
    layer = QgsRasterLayer(str(path), name)
    QgsProject.instance().addMapLayer(layer)
    return layer


def test_a_turned_raster_takes_rectangles_and_one_in_degrees_everything(dock, form, scene, tmp_path):
    canvas = dock.extend._canvas
    west, north = scene.extent().xMinimum(), scene.extent().yMaximum()
    turned = placed(scene, tmp_path / "turned.tif", "turned", (west, 4.9, 0.8, north, 0.8, -4.9))
    form.source.setLayer(turned)
    until(lambda: dock.extend.grid is not None)
    assert not form.reach.spins["right"].isEnabled()
    form.reach.button.click()
    assert not dock.extend.outline.has_handles
    width, height = scene.width(), scene.height()
    drag(dock, (width - 40, height - 40), (width + 30, height + 30))
    until(lambda: dock.extend.found is not None)
    reach = form.reach.value
    assert reach.right > 0
    assert reach.bottom > 0
    assert dock.extend.extension().crs == canvas.mapSettings().destinationCrs()
    grab("extend-turned")
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    flat = placed(scene, tmp_path / "flat.tif", "flat", (-99.0, 4e-5, 0.0, 47.0, 0.0, -3e-5), degrees)
    form.source.setLayer(flat)
    until(lambda: dock.extend.grid is not None)
    canvas.setExtent(canvas.mapSettings().layerExtentToOutputExtent(flat, flat.extent()).scaled(2))
    settle()
    assert dock.extend.outline.has_handles
    drag(dock, (width, height / 2), (width + 50, height / 2))
    screen = canvas.mapUnitsPerPixel() / (scene.rasterUnitsPerPixelX() * 4e-5 * 76_000 / 5)
    assert form.reach.value.right == pytest.approx(50, abs=1.5 * screen)
    until(lambda: dock.extend.found is not None)
    assert f"{width + form.reach.value.right:,} × {height:,} px" in dock.plan.text()
