"""Editing from the dock: what it asks for and refuses, the mask, and the way from Run to the whole result."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import Qt

from tests.support.qgis.dock import (
    LAKE,
    TINY_INPAINT,
    bar,
    fill_edit,
    polygons,
    press_run,
    square,
    state,
    status,
    texts_fit,
)
from tests.support.qgis.raster_files import pixels
from tests.support.qgis.window import MainThreadMeter, grab, settle, until
from text2earth_qgis.core import settings

TIP = Qt.ItemDataRole.ToolTipRole


def outside(path, col, row, side):
    """Return all pixels of a file but those of a square, by rows."""
    dataset = gdal.Open(str(path))
    width = dataset.RasterXSize
    found = b""
    for n in range(dataset.RasterCount):
        raw = bytearray(dataset.GetRasterBand(n + 1).ReadRaster())
        for y in range(row, row + side):
            raw[y * width + col : y * width + col + side] = bytes(side)
        found += bytes(raw)
    return found


def test_the_modes_show_their_own_fields(dock, scene):
    assert [dock.tabs.tabText(n) for n in range(2)] == ["Generate", "Edit"]
    assert dock.request.isVisible()
    assert not dock.edit.form.isVisible()
    dock.request.prompt.setPlainText("houses")
    dock.tabs.setCurrentIndex(1)
    settle()
    assert dock.edit.form.isVisible()
    assert not dock.request.isVisible()
    assert dock.generate.footprint.geometry().isEmpty()
    assert dock.edit.form.prompt.text() == ""
    grab("edit-empty")
    dock.tabs.setCurrentIndex(0)
    assert dock.request.prompt.text() == "houses"


def test_the_mode_and_its_fields_are_remembered(dock, form):
    from qgis import utils

    form.prompt.setPlainText(LAKE)
    form.grow.setValue(3.0)
    form.strength.setValue(0.5)
    form.result.setCurrentIndex(form.result.findData("vrt"))
    mine = {name: one for name, one in sys.modules.items() if name.split(".")[0] == "text2earth_qgis"}
    utils.unloadPlugin("text2earth_qgis")
    sys.modules.update(mine)  # else classes that tests have imported would be others than the plugin's
    assert utils.loadPlugin("text2earth_qgis")
    assert utils.startPlugin("text2earth_qgis")
    again = utils.plugins["text2earth_qgis"].window.dock
    again.setUserVisible(True)
    found = again.edit.form
    assert again.mode is again.edit
    assert (found.prompt.text(), found.grow.value(), found.strength.value()) == (LAKE, 3.0, 0.5)
    assert found.result.currentData() == "vrt"
    found.recall({})
    again.turn_to(again.generate)


def test_each_missing_thing_is_a_sentence(dock, form, scene):
    def says(*words):
        settle()
        assert not dock.run_button.isEnabled()
        for word in words:
            assert word in dock.plan.text(), dock.plan.text()
        assert dock.run_button.toolTip()

    form.source.setLayer(None)
    says("raster layer to edit")
    online = QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/{z}/{x}/{y}.png", "tiles", "wms")
    online.setCrs(QgsCoordinateReferenceSystem())
    QgsProject.instance().addMapLayer(online, False)
    form.source.setLayer(online)
    says("'tiles' has no CRS", "GeoTIFF")
    form.source.setLayer(scene)
    says("Choose a polygon layer as mask")
    mask = polygons([], scene.crs())
    form.mask.choose(mask)
    says("The mask 'lots' is empty")
    feature = QgsFeature()
    feature.setGeometry(square(scene, 5000, 5000, 9))
    mask.dataProvider().addFeatures([feature])
    form.mask.only.setChecked(True)
    says("No polygon is selected")
    form.mask.only.setChecked(False)
    form.prompt.setPlainText(LAKE)
    until(lambda: "lies outside of the raster" in dock.plan.text())
    says("lies outside")
    grab("edit-refused")
    mask.startEditing()
    mask.changeGeometry(next(mask.getFeatures()).id(), square(scene, 100, 100, 50))
    until(dock.run_button.isEnabled)
    form.bands._stretch.setEditText("a lot")
    says("'a lot' is none of")
    form.bands._stretch.setCurrentIndex(0)
    until(dock.run_button.isEnabled)
    mask.rollBack()
    until(lambda: "lies outside of the raster" in dock.plan.text())


@pytest.mark.parametrize("width", [300, 420])
def test_nothing_is_cut_off(dock, form, scene, iface, width):
    fill_edit(dock, form, scene)
    form.unfold(True)
    form.bands.which.setCurrentIndex(1)
    iface.mainWindow().resizeDocks([dock], [width], Qt.Orientation.Horizontal)
    settle()
    assert abs(dock.width() - width) <= 4
    grab(f"edit-width-{width}")
    texts_fit(dock)
    form.unfold(False)
    iface.mainWindow().resizeDocks([dock], [420], Qt.Orientation.Horizontal)


def test_models_that_cannot_edit_are_not_offered(dock, form):
    ids = [form.model.model.itemData(n) for n in range(form.model.model.count())]
    assert TINY_INPAINT in ids
    assert "tiny" not in ids
    models = list(dock.connection.state.models)
    able = ("inpaint", "examples")
    form.model.set_models([card for card in models if card["pipeline"] not in able])
    assert form.model.card() == {}
    form.model.set_models(models)


def test_what_would_be_used_is_said_before(dock, form, scene):
    fill_edit(dock, form, scene)
    text = dock.plan.text()
    assert f"{scene.width():,} × {scene.height():,} px" in text
    assert "192 × 192 px around the mask are used" in text
    assert "nothing leaves it" in text
    assert dock.run_button.isEnabled()
    grab("edit-planned")


def test_other_pixels_than_the_rasters_are_said_before(dock, form, scene):
    fill_edit(dock, form, scene)
    assert "resampled" not in dock.plan.text()
    form.model.model.setCurrentIndex(form.model.model.findData("text2earth-mini"))
    until(lambda: dock.edit.found is not None)
    text = dock.plan.text()
    assert "Made in pixels of 8 m" in text
    assert "The raster has pixels of 5 m, the model makes 8 m" in text
    assert "resampled" in text
    grab("edit-resampled")


def test_from_run_to_the_whole_result(dock, form, scene, iface, tmp_path, backend):
    group = QgsProject.instance().layerTreeRoot().addGroup("imagery")
    node = QgsProject.instance().layerTreeRoot().findLayer(scene.id())
    group.insertChildNode(0, node.clone())
    node.parent().removeChildNode(node)
    renderer = scene.renderer().clone()
    renderer.setRedBand(4)
    scene.setRenderer(renderer)
    before = Path(scene.source()).read_bytes()
    mask = fill_edit(dock, form, scene)
    with MainThreadMeter() as meter:
        key = press_run(dock)
        until(lambda: state(dock, key) == "fetched")
        until(lambda: len(QgsProject.instance().mapLayers()) == 3)
    print(f"longest of {meter.count:,} stays {meter.longest * 1000:.1f} ms of CPU, in {meter.where}")
    assert meter.longest < meter.allowed
    done = dock.runs.row(key).run
    assert Path(done.target).parent == tmp_path
    assert Path(scene.source()).read_bytes() == before
    assert not mask.isEditable()
    names = [mask.name(), f"{scene.name()} edited: a lake, seed {done.recipe['seed']}", scene.name()]
    assert [node.name() for node in group.children()] == names
    layer = group.children()[1].layer()
    assert layer.renderer().redBand() == 4
    assert outside(done.target, 200, 150, 64) == outside(scene.source(), 200, 150, 64)
    assert pixels(done.target) != pixels(scene.source())
    assert list(tmp_path.glob("*_patch*")) == []
    line = dock.runs.model.index(dock.runs.model.find(key))
    assert f"Raster: {scene.name()}" in dock.runs.model.data(line, TIP)
    assert "is finished" in bar(iface)[0]
    until(lambda: not backend.uploads)
    grab("edit-finished")


def test_a_raster_is_a_mask(dock, form, scene, tmp_path):
    path, source = tmp_path / "mask.tif", gdal.Open(scene.source())
    made = gdal.GetDriverByName("GTiff").Create(str(path), source.RasterXSize, source.RasterYSize)
    made.SetGeoTransform(source.GetGeoTransform())
    made.SetProjection(source.GetProjection())
    made.WriteRaster(200, 150, 40, 40, b"\1" * 1600)
    made = None
    layer = QgsRasterLayer(str(path), "changed")
    QgsProject.instance().addMapLayer(layer)
    form.mask.choose(scene)
    assert "The mask is the raster itself" in dock.plan.text()
    form.mask.choose(layer)
    assert form.mask.only.isHidden()
    form.prompt.setPlainText(LAKE)
    until(lambda: dock.edit.found is not None)
    key = press_run(dock)
    until(lambda: state(dock, key) == "fetched")
    done = dock.runs.row(key).run
    assert outside(done.target, 200, 150, 40) == outside(scene.source(), 200, 150, 40)
    assert pixels(done.target) != pixels(scene.source())
    form.mask.choose(None)
    dock.runs.choose(key)
    dock.runs.buttons["use_again"].click()
    assert form.mask.raster() is layer


def test_progress_preview_and_cancel(dock, form, scene, backend, iface):
    form.model.steps.setValue(200)
    fill_edit(dock, form, scene, side=370, corner=(10, 5))
    key = press_run(dock)
    assert dock.runs.card(key).phase() == "Sending"
    until(lambda: state(dock, key) == "running")
    until(lambda: dock.previews.items())
    seen = dock.previews.items()[0].outline().boundingRect().topLeft()
    shape = square(scene, 10, 5, 370).boundingBox()
    there = iface.mapCanvas().getCoordinateTransform().transform(shape.xMinimum(), shape.yMaximum())
    assert (seen.x(), seen.y()) == pytest.approx((there.x(), there.y()))
    grab("edit-running")
    done = dock.runs.row(key).run
    dock.runs.card(key).cancel.click()
    until(lambda: state(dock, key) == "dismissed")
    until(lambda: status(backend, done).json().get("status") in (None, "dismissed"))
    assert len(QgsProject.instance().mapLayers()) == 2
    until(lambda: not backend.uploads)


def test_a_refusal_of_the_backend_is_told_and_listed(dock, form, scene, iface):
    form.feather.setValue(100_000.0)
    fill_edit(dock, form, scene)
    key = press_run(dock)
    until(lambda: state(dock, key) == "failed")
    assert "'Feather' must be" in dock.runs.row(key).run.message
    assert "'Feather' must be" in bar(iface)[0]


def test_an_edit_again_has_the_same_mask_and_settings(dock, form, scene):
    mask = fill_edit(dock, form, scene, side=40)
    form.grow.setValue(5.0)
    form.strength.setValue(0.8)
    form.negative.setPlainText("boats")
    form.seed.set_value(5)
    until(lambda: dock.edit.found is not None)
    key = press_run(dock)
    until(lambda: state(dock, key) == "fetched")
    dock.turn_to(dock.generate)
    form.recall({})
    form.source.setLayer(None)
    dock.runs.choose(key)
    dock.runs.buttons["use_again"].click()
    assert dock.mode is dock.edit
    assert (form.layer(), form.mask.layer()) == (scene, mask)
    assert (form.prompt.text(), form.negative.text()) == (LAKE, "boats")
    assert (form.grow.value(), form.strength.value(), form.seed.value()) == (5.0, 0.8, 5)
    assert (form.model.model.currentData(), form.model.steps.value()) == (TINY_INPAINT, 2)
    QgsProject.instance().removeMapLayer(mask.id())
    dock.runs.buttons["use_again"].click()
    again = form.mask.layer()
    assert is_scratch(again)
    shape = next(again.getFeatures()).geometry()
    assert shape.symDifference(square(scene, 200, 150, 40)).area() < 1e-3
    until(lambda: dock.edit.found is not None)


def is_scratch(layer):
    from text2earth_qgis.gui.canvas.scratch_mask import is_mask

    return is_mask(layer) and layer.isEditable()


@pytest.mark.parametrize("spoilt", [False, True], ids=["as it was", "changed"])
def test_an_edit_that_outlived_qgis_is_put_together(
    dock, form, scene, window, backend, iface, tmp_path, spoilt
):
    """What a start of QGIS finds: a job that went on, sent from this project by a QGIS that is gone."""
    from text2earth_qgis.core.imagery import edit_preparation
    from text2earth_qgis.core.runs.history import History, Run
    from text2earth_qgis.core.tasks import Listener
    from text2earth_qgis.core.wire.transport import open_client

    path = tmp_path / "aerial.tif"
    path.write_bytes(Path(scene.source()).read_bytes())
    source = QgsRasterLayer(str(path), "aerial")
    QgsProject.instance().addMapLayer(source)
    assert QgsProject.instance().write(str(tmp_path / "p.qgz"))
    fill_edit(dock, form, scene)
    form.source.setLayer(source)
    access = settings.access(settings.load())
    order = replace(form.request(), target=tmp_path / "out.tif")
    ready = edit_preparation.prepare(access, order, Listener(lambda _s: None, lambda _t: None, lambda: False))
    left = Run(
        access.url, ready.inputs.to_json(), str(order.target), project=order.project,
        process="edit", assembly=ready.assembly.to_json(),
    )  # fmt: skip
    job = open_client(access).execute("edit", left.inputs, left.key)
    history = History(settings.profile_folder() / "history.sqlite")
    history.put(replace(left, job=job.job, state=job.status))
    if spoilt:
        with path.open("ab") as file:
            file.write(b"0")
    window.runner.take_up()
    until(lambda: dock.runs.row(left.key) and state(dock, left.key) == "fetched")
    until(lambda: len(QgsProject.instance().mapLayers()) == 4)
    done = dock.runs.row(left.key).run
    if spoilt:
        assert Path(done.target).name == "out_patch.tif"
        assert "has changed since" in bar(iface)[0]
    else:
        assert done.target == str(order.target)
        assert outside(done.target, 200, 150, 64) == outside(path, 200, 150, 64)
        assert not (tmp_path / "out_patch.tif").exists()
    until(lambda: not backend.uploads)


def test_what_the_toolbox_waits_for_is_left_to_it(dock, scene, window, tmp_path):
    from qgis.core import (
        QgsApplication,
        QgsProcessingAlgRunnerTask,
        QgsProcessingContext,
        QgsProcessingFeedback,
    )

    mask = polygons([square(scene, 200, 150, 150)], scene.crs())
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("text2earth:edit")
    asked = {"INPUT": scene.id(), "MASK": mask.id(), "PROMPT": LAKE, "MODEL": TINY_INPAINT, "STEPS": 200}
    context, feedback, ends = QgsProcessingContext(), QgsProcessingFeedback(), []
    context.setProject(QgsProject.instance())
    task = QgsProcessingAlgRunnerTask(
        algorithm, {**asked, "OUTPUT": str(tmp_path / "out.tif")}, context, feedback
    )
    task.executed.connect(lambda good, results: ends.append(good))
    QgsApplication.taskManager().addTask(task)
    until(lambda: [run for run in dock.runner.latest() if run.job])
    window.settings_changed()
    assert dock.runner.under_way() == []
    task.cancel()
    until(lambda: ends)
    assert [run.state for run in dock.runner.latest()] == ["dismissed"]
