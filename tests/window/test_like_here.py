"""Like here: samples drawn on the map or taken from layers, what is refused, and runs that are used again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from qgis.core import QgsFeature, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest

from tests.support.qgis.backend import Backend, build_bank
from tests.support.qgis.dock import LEFT, PLAIN, drag, polygons, press_run, square, state, texts_fit
from tests.support.qgis.window import box, grab, settle, until


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend with made-up images to make land by example of."""
    folder = tmp_path_factory.mktemp("bank") / "data"
    build_bank(folder / "models", "open-land")
    one = Backend(folder, "--model", "open-land", "--no-token", threads=1)
    yield one.start()
    one.stop()


@pytest.fixture
def form(dock, scene):
    """The form of the edit mode, its raster and mask chosen, the group open."""
    dock.turn_to(dock.edit)
    form = dock.edit.form
    form.source.setLayer(scene)
    form.mask.choose(polygons([square(scene, 200, 150, 40)], scene.crs()))
    form._folds["like"].setCollapsed(False)
    yield form
    form.use_samples((), ())


def on_canvas(iface, layer, col, row):
    """Return where a pixel of a raster is on the canvas."""
    corner = square(layer, col, row, 1).boundingBox()
    there = iface.mapCanvas().getCoordinateTransform().transform(corner.xMinimum(), corner.yMaximum())
    return QPoint(round(there.x()), round(there.y()))


def draw(iface, panel, layer, col, row, side):
    """Draw a sample's area on the map, from one pixel of a raster to another."""
    panel.draw.click()
    viewport, last = iface.mapCanvas().viewport(), on_canvas(iface, layer, col + side, row + side)
    label = drag(viewport, on_canvas(iface, layer, col, row), last)
    QTest.mouseRelease(viewport, LEFT, PLAIN, last)
    return label


def test_a_backend_without_images_says_what_is_missing(dock, form, scene):
    like = form.like_here
    like.add_row()
    assert len(form.request().samples) == 1
    like.set_models(())
    settle()
    assert "Install the model open-land" in like.said.text()
    assert like.said.isVisible()
    assert not like.form.isVisible()
    assert form.request().samples == ()
    like.set_models(dock.connection.state.models)
    assert like.form.isVisible()


def test_areas_are_drawn_on_the_map_and_taken_away_by_a_click(dock, form, scene, iface):
    like, canvas = form.like_here, iface.mapCanvas()
    label = draw(iface, like, scene, 20, 20, 60)
    assert "px of NAIP 2018" in label
    assert not like.draw.isChecked()
    draw(iface, like, scene, 300, 200, 50)
    assert form._folds["like"].title() == "Like here: 2"
    assert [row.raster.currentLayer() for row in like.rows] == [scene, scene]
    shape = like.rows[0].shown().shape
    wanted = square(scene, 20, 20, 60)
    assert shape.intersection(wanted).area() / shape.combine(wanted).area() > 0.9
    until(dock.run_button.isEnabled)
    iface.mainWindow().resizeDocks([dock], [300], Qt.Orientation.Horizontal)
    settle()
    grab("edit-like-here")
    texts_fit(dock)
    iface.mainWindow().resizeDocks([dock], [420], Qt.Orientation.Horizontal)
    settle()
    like.draw.click()
    QTest.mouseClick(canvas.viewport(), LEFT, PLAIN, on_canvas(iface, scene, 50, 50))
    assert len(like.rows) == 1
    assert like.rows[0].mark.text() == "1"
    dock.turn_to(dock.generate)
    assert not dock.edit.samples.areas.isVisible()
    dock.turn_to(dock.edit)
    like.rows[0].remove.click()
    assert form.request().samples == ()
    canvas.setExtent(QgsRectangle(0, 0, 100, 100))
    settle()
    like.draw.click()
    drag(canvas.viewport(), QPoint(100, 100), QPoint(200, 200))
    QTest.mouseRelease(canvas.viewport(), LEFT, PLAIN, QPoint(200, 200))
    assert "no raster file where you drew" in like.said.text()


def test_each_wrong_thing_is_a_sentence(dock, form, scene, iface):
    like = form.like_here
    until(lambda: dock.edit.found is not None)
    row = like.add_row()
    row.area.new_button.click()
    area = row.area.layer()
    assert area.name() == "Like here"
    assert area.isEditable()
    assert iface.activeLayer() is area
    settle()
    assert "The area 'Like here' is empty" in dock.plan.text()
    feature = QgsFeature()
    feature.setGeometry(square(scene, 9000, 9000, 20))
    area.addFeature(feature)
    until(lambda: "The area of the sample lies outside of the raster" in dock.plan.text())
    area.changeGeometry(feature.id(), square(scene, 20, 20, 60))
    until(dock.run_button.isEnabled)
    online = QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/{z}/{x}/{y}.png", "tiles", "wms")
    QgsProject.instance().addMapLayer(online, False)
    row.raster.setLayer(online)
    settle()
    assert "'tiles' has no file to take a sample of" in dock.plan.text()


def test_a_run_like_here_and_the_same_again(dock, form, scene, backend, iface, tmp_path):
    like = form.like_here
    row = like.add_row()
    row.area.choose(polygons([square(scene, 20, 20, 60)], scene.crs(), "pond"))
    row.words.setText("grassland")
    draw(iface, like, scene, 300, 200, 60)
    form.prompt.setPlainText("grassland")
    form.sources.setChecked(True)
    until(lambda: dock.edit.found is not None)
    key = press_run(dock)
    until(lambda: state(dock, key) == "fetched")
    until(lambda: not backend.uploads)
    done = dock.runs.row(key).run
    assert [one["kind"] for one in done.recipe["examples"]["samples"]] == ["grassland", None]
    assert set(done.sources["corners"]) == {"raster", "sample 1", "sample 2"}
    layers = QgsProject.instance().mapLayersByName("Sources")
    until(lambda: QgsProject.instance().mapLayersByName("Sources"))
    layers = QgsProject.instance().mapLayersByName("Sources")
    assert not QgsProject.instance().layerTreeRoot().findLayer(layers[0].id()).isVisible()
    assert layers[0].renderer().classes()
    form.use_samples((), ())
    form.sources.setChecked(False)
    dock.runs.choose(key)
    dock.runs.buttons["use_again"].click()
    assert form.sources.isChecked()
    assert [row.words.text() for row in like.rows] == ["grassland", ""]
    shape = like.rows[0].shown().shape
    assert shape.symDifference(square(scene, 20, 20, 60)).area() < 1e-3
    assert [row.raster.currentLayer() for row in like.rows] == [scene, scene]
    until(dock.run_button.isEnabled)
    dock.edit.use_again(replace(done, samples=["gone", scene.id()]))
    settle()
    assert "no longer has the sample of the earlier run" in dock.plan.text()
    assert not dock.run_button.isEnabled()
    like.rows[0].raster.setLayer(scene)
    until(dock.run_button.isEnabled)
    form.sources.setChecked(False)


def test_a_scene_like_a_place_and_the_same_again(dock, scene, iface, backend):
    form, like = dock.request, dock.request.like_here
    form.extent.take(box(scene, 0.2))
    form.gsd.set_value(5.0)
    draw(iface, like, scene, 20, 20, 80)
    form.advanced.sources.setChecked(True)
    until(lambda: dock.planned is not None)
    until(dock.run_button.isEnabled)  # without a prompt
    key = press_run(dock)
    until(lambda: state(dock, key) == "fetched")
    until(lambda: not backend.uploads)
    done = dock.runs.row(key).run
    assert len(done.recipe["examples"]["samples"]) == 1
    until(lambda: QgsProject.instance().mapLayersByName("Sources"))
    form.recall({})
    like.restore((), ())
    dock.runs.choose(key)
    dock.runs.buttons["use_again"].click()
    assert like.rows[0].raster.currentLayer() is scene
    assert like.rows[0].shown() is not None
    until(dock.run_button.isEnabled)
    like.restore((), ())
    form.recall({})


def test_a_diffusion_model_begins_with_land_like_here(dock, scene, iface, backend):
    form, advanced = dock.request, dock.request.advanced
    assert advanced.start.isHidden()  # land by example begins with nothing
    advanced.model.setCurrentIndex(advanced.model.findData("text2earth-mini"))
    assert not advanced.start.isHidden()
    form.extent.take(box(scene, 0.2))
    form.gsd.set_value(8.0)
    form.prompt.setPlainText("grassland")
    advanced.steps.setValue(2)
    advanced.start.start.setCurrentIndex(advanced.start.start.findData("samples"))
    settle()
    assert "Draw what it is to begin with under Like here" in dock.plan.text()
    advanced.sources.setChecked(True)
    draw(iface, form.like_here, scene, 20, 20, 80)
    settle()
    assert "Only land by example has sources" in dock.plan.text()
    advanced.sources.setChecked(False)
    advanced.start.strength.setValue(0.5)
    form.unfold(True)
    until(lambda: dock.planned is not None)
    assert "begins with land by example" in dock.plan.text()
    grab("generate-like-here")
    key = press_run(dock)
    until(lambda: state(dock, key) == "fetched")
    done = dock.runs.row(key).run
    assert len(done.recipe["start"]["samples"]) == 1
    assert done.recipe["start"]["strength"] == 0.5
    form.recall({})
    form.use_samples((), ())
    dock.runs.choose(key)
    dock.runs.buttons["use_again"].click()
    assert form.begins_like_here()
    assert advanced.start.strength.value() == 0.5
    until(dock.run_button.isEnabled)
    layer = QgsProject.instance().mapLayersByName(f"grassland, seed {done.recipe['seed']}")[0]
    dock.generate.use_recipe(dict(done.recipe), layer)
    settle()
    assert "no longer has the sample" in dock.plan.text()
    form.use_samples((), ())
    form.recall({})
