"""The preview is painted where the layer will be, in every CRS and rotation of the canvas."""

from __future__ import annotations

import pytest
from conftest import settle, until
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRectangle
from qgis.PyQt.QtGui import QImage

# All on the datum of the photograph: QGIS would ask for a transformation otherwise.
GRIDS = [("EPSG:26914", 0), ("EPSG:5070", 0), ("EPSG:4269", 30)]


def picture(canvas) -> QImage:
    done = []
    canvas.mapCanvasRefreshed.connect(lambda: done.append(1))
    canvas.refreshAllLayers()
    until(lambda: done)
    canvas.mapCanvasRefreshed.disconnect()
    settle()
    return canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)


def difference(one: QImage, other: QImage) -> float:
    """Return the mean difference of two images in DN."""
    size = one.width() * one.height() * 3
    lines = range(one.height())
    pair = [b"".join(bytes(i.constScanLine(y).asarray(i.width() * 3)) for y in lines) for i in (one, other)]
    return sum(abs(a - b) for a, b in zip(*pair, strict=True)) / size


@pytest.mark.parametrize(("crs", "rotation"), GRIDS)
def test_the_preview_lies_on_the_layer(iface, scene, crs, rotation):
    from text2earth_qgis.gui.preview_item import PreviewItem

    canvas = iface.mapCanvas()
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem(crs))
    canvas.setRotation(rotation)
    canvas.zoomToFullExtent()
    node = QgsProject.instance().layerTreeRoot().findLayer(scene.id())
    with_layer = picture(canvas)
    node.setItemVisibilityChecked(False)
    empty = picture(canvas)
    photograph = QImage(scene.source()).convertToFormat(
        QImage.Format.Format_RGB32
    )  # its fourth band is no alpha
    item = PreviewItem(canvas)
    item.show_image(photograph, QgsRectangle(scene.extent()), scene.crs())
    with_preview = picture(canvas)
    moved = QgsRectangle(scene.extent())
    moved.setXMinimum(moved.xMinimum() + 3 * scene.rasterUnitsPerPixelX())
    moved.setXMaximum(moved.xMaximum() + 3 * scene.rasterUnitsPerPixelX())
    item.show_image(photograph, moved, scene.crs())
    beside = picture(canvas)
    item.remove()
    canvas.setRotation(0)
    there = difference(with_layer, empty)
    right, wrong = difference(with_layer, with_preview), difference(with_layer, beside)
    print(f"{crs}: {right:.2f} DN in place, {wrong:.2f} three pixels beside it, {there:.1f} without")
    assert right < 0.07 * there
    assert right < 0.6 * wrong
    assert not [i for i in canvas.scene().items() if isinstance(i, PreviewItem)]
