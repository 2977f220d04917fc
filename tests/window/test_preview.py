"""The preview is painted where the layer will be, in every CRS and rotation of the canvas."""

from __future__ import annotations

import pytest
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtGui import QImage

from tests.support.qgis.window import settle, until

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


def corners(box):
    """Return the corners of a box from its top left clockwise."""
    west, south, east, north = box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()
    return (west, north), (east, north), (east, south), (west, south)


def test_the_preview_of_a_rotated_raster_lies_on_it(iface, scene, tmp_path):
    from text2earth_qgis.gui.canvas.preview_item import PreviewItem

    turned, there = gdal.Open(scene.source()), tmp_path / "turned.tif"
    x, side, _, y, _, _ = turned.GetGeoTransform()
    made = gdal.GetDriverByName("GTiff").CreateCopy(str(there), turned)
    placed = (x, 0.8 * side, 0.6 * side, y, 0.6 * side, -0.8 * side)
    made.SetGeoTransform(placed)
    width, height = made.RasterXSize, made.RasterYSize
    made = None
    ends = [
        (placed[0] + placed[1] * col + placed[2] * row, placed[3] + placed[4] * col + placed[5] * row)
        for col, row in ((0, 0), (width, 0), (width, height), (0, height))
    ]
    layer = QgsRasterLayer(str(there), "turned")
    layer.setRenderer(scene.renderer().clone())
    QgsProject.instance().addMapLayer(layer)
    root, canvas = QgsProject.instance().layerTreeRoot(), iface.mapCanvas()
    root.findLayer(scene.id()).setItemVisibilityChecked(False)
    box = QgsRectangle(layer.extent())
    box.scale(1.2)
    canvas.setExtent(box)
    with_layer = picture(canvas)
    root.findLayer(layer.id()).setItemVisibilityChecked(False)
    empty = picture(canvas)
    item = PreviewItem(canvas)
    photograph = QImage(scene.source()).convertToFormat(QImage.Format.Format_RGB32)
    item.show_image(photograph, ends, layer.crs())
    with_preview = picture(canvas)
    item.remove()
    gone, off = difference(with_layer, empty), difference(with_layer, with_preview)
    print(f"rotated: {off:.2f} DN in place, {gone:.1f} without")
    assert off < 0.1 * gone


@pytest.mark.parametrize(("crs", "rotation"), GRIDS)
def test_the_preview_lies_on_the_layer(iface, scene, crs, rotation):
    from text2earth_qgis.gui.canvas.preview_item import PreviewItem

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
    item.show_image(photograph, corners(scene.extent()), scene.crs())
    with_preview = picture(canvas)
    moved = QgsRectangle(scene.extent())
    moved.setXMinimum(moved.xMinimum() + 3 * scene.rasterUnitsPerPixelX())
    moved.setXMaximum(moved.xMaximum() + 3 * scene.rasterUnitsPerPixelX())
    item.show_image(photograph, corners(moved), scene.crs())
    beside = picture(canvas)
    item.remove()
    canvas.setRotation(0)
    there = difference(with_layer, empty)
    right, wrong = difference(with_layer, with_preview), difference(with_layer, beside)
    print(f"{crs}: {right:.2f} DN in place, {wrong:.2f} three pixels beside it, {there:.1f} without")
    assert right < 0.07 * there
    assert right < 0.6 * wrong
    assert not [i for i in canvas.scene().items() if isinstance(i, PreviewItem)]
