"""Comparing a layer with what is below it: a line on the map, dragged with the mouse."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QEvent, QItemSelectionModel, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QImage, QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication

from tests.support.qgis.window import MainThreadMeter, grab, settle, until

RED = (200, 30, 40)


@pytest.fixture
def red(scene, tmp_path):
    """A red layer over the whole scene."""
    source = gdal.Open(scene.source())
    path = str(tmp_path / "red.tif")
    copy = gdal.GetDriverByName("GTiff").Create(path, 60, 60, 3)
    wide, high = source.RasterXSize / 60, source.RasterYSize / 60
    west, dx, _, north, _, dy = source.GetGeoTransform()
    copy.SetGeoTransform((west, dx * wide, 0, north, 0, dy * high))
    copy.SetProjection(source.GetProjection())
    for band, value in enumerate(RED, 1):
        copy.GetRasterBand(band).WriteArray(np.full((60, 60), value, np.uint8))
    copy = None
    layer = QgsRasterLayer(path, "Red land")
    QgsProject.instance().addMapLayer(layer)
    settle()
    return layer


def reds(canvas) -> np.ndarray:
    """Return which columns of a row of the canvas are red, as they are seen."""
    image = canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    row = image.height() * 2 // 3
    colours = [image.pixelColor(column, row) for column in range(image.width())]
    return np.array([colour.red() - colour.green() > 150 for colour in colours])


def drag_to(canvas, x: int) -> None:
    viewport, at = canvas.viewport(), QPoint(x, 200)
    for kind, button, held in (
        (QEvent.Type.MouseButtonPress, Qt.MouseButton.LeftButton, Qt.MouseButton.LeftButton),
        (QEvent.Type.MouseMove, Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton),
        (QEvent.Type.MouseButtonRelease, Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton),
    ):
        spot = QPointF(at), QPointF(viewport.mapToGlobal(at))
        QApplication.sendEvent(
            viewport, QMouseEvent(kind, *spot, button, held, Qt.KeyboardModifier.NoModifier)
        )


def test_a_layer_is_compared_with_what_is_below(iface, window, red):
    canvas, swipe = iface.mapCanvas(), window._swipe
    before = canvas.mapTool()
    middle = canvas.viewport().width() // 2
    until(lambda: reds(canvas)[middle - 60 : middle + 60].all())
    with MainThreadMeter() as meter:
        iface.setActiveLayer(red)
        window._layers.compare.trigger()
        until(lambda: swipe.curtain is not None and swipe.curtain.sides)
        drag_to(canvas, middle + 50)
    assert meter.longest < meter.allowed
    seen = reds(canvas)
    assert not seen[middle - 60 : middle + 45].any()
    assert seen[middle + 56 : middle + 100].all()
    grab("swipe", iface.mainWindow())
    canvas.zoomIn()  # the map without the layer is drawn anew
    settle()
    until(lambda: not reds(canvas)[middle - 60 : middle + 45].any())
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert canvas.mapTool() is before
    assert swipe.curtain is None
    until(lambda: reds(canvas)[middle - 60 : middle + 60].all())


def test_it_ends_with_the_layer(iface, window, red):
    window._swipe.compare(red)
    assert window._swipe.curtain is not None
    QgsProject.instance().removeMapLayer(red.id())
    assert window._swipe.curtain is None
    assert iface.mapCanvas().mapTool() is not window._swipe


def test_any_two_layers_are_compared_each_on_its_side(iface, window, red, scene):
    """Chosen together in the tree; the upper one is on the right, and does not cover the other one."""
    canvas, swipe, tree = iface.mapCanvas(), window._swipe, iface.layerTreeView()
    root = QgsProject.instance().layerTreeRoot()
    middle = canvas.viewport().width() // 2
    tree.setCurrentLayer(scene)
    select = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    model = tree.layerTreeModel()
    places = [model.node2index(root.findLayer(layer.id())) for layer in (red, scene)]
    if tree.model() is not model:  # QGIS 3.22 and later sort and filter it
        places = [tree.model().mapFromSource(place) for place in places]
    for place in places:
        tree.selectionModel().select(place, select)
    assert {layer.id() for layer in tree.selectedLayers()} == {red.id(), scene.id()}
    assert window._layers.compare.text() == "Compare the two layers"
    menu = tree.menuProvider().createContextMenu()
    texts = [action.text().replace("&", "") for action in menu.actions()]
    assert "Text2Earth" in texts, texts
    window._layers.compare.trigger()
    until(lambda: swipe.curtain is not None and swipe.curtain.sides == 2)
    drag_to(canvas, middle)
    seen = reds(canvas)
    assert not seen[middle - 60 : middle - 5].any()
    assert seen[middle + 6 : middle + 60].all()
    grab("swipe-two", iface.mainWindow())
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    swipe.compare(scene, red)  # in any order
    until(lambda: swipe.curtain is not None and swipe.curtain.sides == 2)
    assert reds(canvas)[middle + 6 : middle + 60].all()
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
