"""The group "Like here" of the edit's form: what it asks for and refuses, and a run that is used again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from qgis.core import QgsFeature, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt

from tests.support.qgis.backend import Backend, build_bank
from tests.support.qgis.dock import bar, polygons, press_run, square, state, texts_fit
from tests.support.qgis.window import grab, settle, until


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
    form.use_sample(None, None)


def test_a_backend_without_images_says_what_is_missing(dock, form, scene):
    like = form.like_here
    like.area.choose(polygons([square(scene, 20, 20, 60)], scene.crs(), "pond"))
    assert form.request().sample is not None
    like.set_models(())
    settle()
    assert "Install the model open-land" in like.said.text()
    assert like.said.isVisible()
    assert not like.form.isVisible()
    assert form.request().sample is None
    like.set_models(dock.connection.state.models)
    assert like.form.isVisible()


def test_each_wrong_thing_is_a_sentence(dock, form, scene, iface):
    like = form.like_here
    until(lambda: dock.edit.found is not None)
    like.area.new_button.click()
    area = like.area.layer()
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
    iface.mainWindow().resizeDocks([dock], [300], Qt.Orientation.Horizontal)
    settle()
    grab("edit-like-here")
    texts_fit(dock)
    iface.mainWindow().resizeDocks([dock], [420], Qt.Orientation.Horizontal)


def test_a_run_like_here_and_the_same_again(dock, form, scene, backend, iface, tmp_path):
    like = form.like_here
    area = polygons([square(scene, 20, 20, 60)], scene.crs(), "pond")
    like.area.choose(area)
    like.words.setText("grassland")
    form.prompt.setPlainText("grassland")
    until(lambda: dock.edit.found is not None)
    key = press_run(dock)
    until(lambda: state(dock, key) == "fetched")
    until(lambda: not backend.uploads)
    done = dock.runs.row(key).run
    assert [one["kind"] for one in done.recipe["examples"]["samples"]] == ["grassland"]
    form.use_sample(None, None)
    assert form.request().sample is None
    dock.runs.choose(key)
    dock.runs.buttons["use_again"].click()
    again = like.area.layer()
    assert again is not area
    assert next(again.getFeatures()).geometry().symDifference(square(scene, 20, 20, 60)).area() < 1e-3
    assert (like.raster.currentLayer(), like.words.text()) == (scene, "grassland")
    until(dock.run_button.isEnabled)
    dock.edit.use_again(replace(done, assembly={**done.assembly, "sample": "gone"}))
    settle()
    assert "no longer has the sample of the earlier run" in dock.plan.text()
    assert not dock.run_button.isEnabled()
    like.raster.setLayer(scene)
    until(dock.run_button.isEnabled)


def test_a_scene_like_a_sample_is_left_to_the_toolbox(dock, scene, iface, window):
    from text2earth_qgis.core.runs.history import Run

    extent = {"bbox": [500000, 5800000, 500100, 5800100], "crs": "EPSG:32633"}
    sample = {"source": {"upload": "0" * 32}, "words": ""}
    inputs = {"prompt": "a lake", "extent": extent, "samples": [sample]}
    dock.again.use(Run(dock.connection.state.url, inputs, "a.tif", state="fetched"))
    assert dock.request.prompt.text() == "a lake"
    assert "made like a sample, which the backend no longer has" in bar(iface)[0]


def test_a_raster_of_tiles_is_no_sample(dock, form):
    online = QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/{z}/{x}/{y}.png", "tiles", "wms")
    QgsProject.instance().addMapLayer(online, False)
    form.like_here.raster.setLayer(online)
    settle()
    assert "'tiles' has no file to take a sample of" in dock.plan.text()
