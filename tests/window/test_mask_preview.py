"""The tint of a mask on the map: grows and fades in as the edit will, where the raster is, in any view."""

from __future__ import annotations

import numpy as np
import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
)

from tests.support.qgis.dock import polygons, square
from tests.support.qgis.window import MainThreadMeter, grab, settle, until

WHOLE = 130  # alpha


def alpha(preview, layer, col, row):
    """Return the alpha of the tint over a pixel of the raster."""
    pixel, extent, box, image = layer.rasterUnitsPerPixelX(), layer.extent(), preview.box(), preview.picture()
    x, y = extent.xMinimum() + (col + 0.5) * pixel, extent.yMaximum() - (row + 0.5) * pixel
    scale = image.width() / box.width()
    return image.pixelColor(int((x - box.xMinimum()) * scale), int((box.yMaximum() - y) * scale)).alpha()


def drawn(preview, condition=lambda: True):
    until(lambda: not preview.picture().isNull() and preview._work is None and condition())


def test_it_grows_and_fades_in(dock, form, scene, iface):
    preview = dock.edit.preview
    form.mask.choose(polygons([square(scene, 200, 150, 60)], scene.crs()))
    form.feather.setValue(0.0)
    drawn(preview, lambda: alpha(preview, scene, 201, 180) == WHOLE)
    assert alpha(preview, scene, 198, 180) == 0
    pixel = 5.0  # metres
    form.grow.setValue(10 * pixel)
    drawn(preview, lambda: alpha(preview, scene, 192, 180) == WHOLE)
    assert alpha(preview, scene, 188, 180) == 0
    form.grow.setValue(0.0)
    form.feather.setValue(20 * pixel)
    drawn(preview, lambda: 0 < alpha(preview, scene, 205, 180) < WHOLE)
    profile = [alpha(preview, scene, col, 180) for col in range(200, 230, 3)]
    assert profile == sorted(profile)
    assert profile[0] < 0.05 * WHOLE
    x = 10.5 / 20
    assert alpha(preview, scene, 210, 180) == pytest.approx(WHOLE * x * x * (3 - 2 * x), abs=0.08 * WHOLE)
    assert profile[-1] == WHOLE
    grab("edit-tint")


def test_it_ends_with_the_raster_and_with_the_mode(dock, form, scene):
    preview = dock.edit.preview
    form.mask.choose(polygons([square(scene, -40, 100, 80)], scene.crs()))
    drawn(preview, lambda: alpha(preview, scene, 2, 140) > 0)
    assert alpha(preview, scene, -5, 140) == 0
    dock.turn_to(dock.generate)
    assert preview.picture().isNull()
    dock.turn_to(dock.edit)
    drawn(preview)
    dock.setUserVisible(False)
    settle()
    assert preview.picture().isNull()
    dock.setUserVisible(True)
    drawn(preview)
    form.mask.layers.setLayer(None)
    until(lambda: preview.picture().isNull())


@pytest.mark.parametrize(("crs", "rotation"), [("EPSG:26914", 30), ("EPSG:4269", 0), ("EPSG:4269", 30)])
def test_it_lies_on_the_mask(dock, form, scene, iface, crs, rotation):
    """Compared on the screen with the layer's own picture of itself."""
    canvas, preview = iface.mapCanvas(), dock.edit.preview
    layer = polygons([square(scene, 150, 120, 120)], scene.crs())
    form.feather.setValue(0.0)
    form.mask.choose(layer)
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem(crs))
    canvas.setRotation(rotation)
    canvas.zoomToFullExtent()
    QgsProject.instance().layerTreeRoot().setItemVisibilityCheckedRecursive(False)
    until(lambda: not canvas.isDrawing())
    drawn(preview)
    until(lambda: not preview._pause.isActive() and preview._work is None)
    settle()
    image = canvas.grab().toImage()
    turn = canvas.getCoordinateTransform()
    from qgis.core import QgsCoordinateTransform

    way = QgsCoordinateTransform(layer.crs(), canvas.mapSettings().destinationCrs(), QgsProject.instance())
    shape = next(layer.getFeatures()).geometry().densifyByCount(20)
    shape.transform(way)
    there = QgsGeometry.fromPolygonXY([[QgsPointXY(turn.transform(p)) for p in shape.asPolygon()[0]]])
    good = 0
    spots = [(x, y) for x in range(20, canvas.width() - 20, 7) for y in range(20, canvas.height() - 20, 7)]
    for x, y in spots:
        tinted = image.pixelColor(x, y).blue() < 230
        good += tinted == there.contains(QgsPointXY(x, y))
    canvas.setRotation(0)
    print(f"{good} of {len(spots)} spots right")
    assert good > 0.997 * len(spots)


def test_many_polygons_never_stop_the_window(dock, form, scene, iface):
    random = np.random.default_rng(3)
    shapes = [square(scene, *random.uniform(0, 350, 2), 8).buffer(20, 30) for _ in range(3000)]
    layer = polygons(shapes[:1], scene.crs())
    features = []
    for shape in shapes:
        feature = QgsFeature()
        feature.setGeometry(shape)
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    preview = dock.edit.preview
    with MainThreadMeter() as meter:
        form.mask.choose(layer)
        drawn(preview)
        for share in (0.8, 0.5, 0.3):
            box = QgsRectangle(scene.extent())
            box.scale(share)
            iface.mapCanvas().setExtent(box)
            settle()
        until(lambda: not preview._pause.isActive() and preview._work is None)
    print(f"longest of {meter.count:,} stays {meter.longest * 1000:.1f} ms of CPU, in {meter.where}")
    assert meter.longest < meter.allowed


def test_a_thin_mask_is_whole_along_its_middle():
    from text2earth_qgis.gui.canvas.edit_picture import weight

    inside = np.zeros((60, 80), bool)
    inside[20:29, 10:70] = True
    share = weight(inside, (1.0, 1.0), 12.0)
    assert share[24, 40] == 1.0
    assert 0 < share[20, 40] < 0.2
    assert not share[~inside].any()
