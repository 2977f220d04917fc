"""Layouts in the dock: a layer, its field and what that has, a new layer to draw on, the plan, and again."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from tests.support.qgis.dock import polygons, press_run, square, state
from tests.support.qgis.window import box, grab, settle, until
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.wire.schemas import GenerateInputs


@pytest.fixture
def form(dock, scene):
    """The form, filled in but for prompt and layout; its model is quick."""
    request = dock.request
    request.extent.take(box(scene, 0.3))
    request.advanced.steps.setValue(2)
    request.gsd.set_value(4.0)
    request.seed.set_value(3)
    settle()
    return request


def add(layer, value, shape):
    """Add a feature to a layer that is being edited."""
    feature = QgsFeature(layer.fields())
    feature.setAttributes([value, 60.0, None])
    feature.setGeometry(shape)
    assert layer.addFeature(feature)


def planned(dock):
    """Wait for the plan and return its regions, as which the tiny diffusion model takes a layout."""
    until(lambda: dock.planned is not None)
    return [region["prompt"] for region in dock.planned.recipe.get("regions") or []]


def test_a_layout_is_drawn_on_a_new_layer(dock, form, scene):
    form._folds["layout"].setCollapsed(False)
    panel = form.layout_panel
    assert panel.form.isHidden()
    assert "Write in the prompt" in dock.plan.text()
    panel.draw("lines")
    layer = panel.features.layer()
    assert isinstance(layer, QgsVectorLayer)
    assert layer.isEditable()
    assert layer.editorWidgetSetup(0).type() == "ValueMap"
    assert panel.field.currentField() == "class"
    until(lambda: "has no feature" in dock.plan.text())
    middle = box(scene, 0.3)
    level = middle.center().y()
    line = f"LINESTRING({middle.xMinimum()} {level}, {middle.xMaximum()} {level})"
    add(layer, "river", QgsGeometry.fromWkt(line))
    assert planned(dock) == ["water"]
    assert panel.said.text() == "1 feature: river"
    assert form._folds["layout"].title() == "Layout: 1 feature"
    assert dock.run_button.isEnabled()
    grab("layout", dock)
    inputs = dock.generate._inputs()
    assert inputs is not None
    assert GenerateInputs.from_json(inputs.to_json()).to_json() == inputs.to_json()
    panel.features.choose(None)
    until(lambda: "Write in the prompt" in dock.plan.text())
    form.set_inputs(inputs, 3)
    assert panel.kept() == inputs.layout
    assert planned(dock) == ["water"]


def test_a_layer_that_is_removed_leaves_no_other_in_its_place(dock, form, scene, tmp_path):
    middle, others = [square(scene, 200, 150, 40)], [square(scene, 20, 15, 40)]
    fields = (
        form.layout_panel.features.layers, form.regions.features.layers, dock.edit.form.mask.layers,
        form.like_here.add_row().raster, form.advanced.align,
    )  # fmt: skip
    for field in fields:
        is_raster = field in fields[3:]
        kept = class_raster(tmp_path / "kept.tif", scene) if is_raster else polygons(others, scene.crs(), "a")
        gone = class_raster(tmp_path / "gone.tif", scene) if is_raster else polygons(middle, scene.crs(), "b")
        field.setLayer(gone)
        assert field.currentLayer() is gone
        QgsProject.instance().removeMapLayer(gone.id())
        settle()
        assert field.currentLayer() is None
        QgsProject.instance().removeMapLayer(kept.id())
    form.use_samples((), ())


def test_the_table_says_what_values_are(dock, form, scene):
    layer = QgsVectorLayer(f"Polygon?crs={scene.crs().authid()}&field=code:integer", "corine", "memory")
    feature = QgsFeature(layer.fields())
    feature.setAttribute(0, 312)
    feature.setGeometry(QgsGeometry.fromRect(box(scene, 0.2)))
    layer.dataProvider().addFeatures([feature])
    layer.updateExtents()
    QgsProject.instance().addMapLayer(layer)
    settle()
    panel = form.layout_panel
    panel.features.choose(layer)
    until(lambda: "class that is known here" in dock.plan.text())
    panel.table.setCurrentIndex(panel.table.findData("corine"))
    assert planned(dock) == ["forest"]
    kept = dock.generate.memory()
    assert kept["layout_field"] == {"field": "code", "table": "corine"}


def class_raster(path, scene, style=None, east=0):
    """Add a raster of 10 m around a scene to the project: 80 in the west, 40 in the east."""
    extent = scene.extent()
    values = np.full((40, 60), 40, "u1")
    values[:, :30] = 80
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 60, 40, 1)
    dataset.SetGeoTransform((extent.center().x() - 300 + east, 10, 0, extent.center().y() + 200, 0, -10))
    dataset.SetProjection(scene.crs().toWkt())
    dataset.GetRasterBand(1).WriteRaster(0, 0, 60, 40, values.tobytes())
    dataset = None
    layer = QgsRasterLayer(str(path), "land cover")
    assert layer.isValid()
    if style:
        kinds = [QgsPalettedRasterRenderer.Class(*one) for one in style]
        layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, kinds))
    QgsProject.instance().addMapLayer(layer)
    settle()
    return layer


def test_a_raster_of_classes_is_a_layout(dock, form, scene, tmp_path):
    middle = scene.extent().center()
    area = QgsRectangle(middle.x() - 150, middle.y() - 100, middle.x() + 150, middle.y() + 100)
    form.extent.take(area)
    form._folds["layout"].setCollapsed(False)
    panel = form.layout_panel
    panel.features.choose(scene)
    settle()
    assert "is shown in colours of several bands" in dock.plan.text()
    layer = class_raster(
        tmp_path / "cover.tif", scene, [(80, QColor("blue"), "a lake"), (40, QColor("red"), "40")]
    )
    panel.features.choose(layer)
    settle()
    assert panel.form.isVisible()
    assert not panel.field.isVisible()
    assert not panel.features.only.isVisible()
    assert planned(dock) == ["water"]
    assert any("40 of the layout is a class unknown here" in one for one in dock.planned.warnings)
    panel.table.setCurrentIndex(panel.table.findData("worldcover"))
    until(lambda: planned(dock) == ["farmland", "water"])
    assert panel.said.text() == "a raster of 1 kB"
    assert form._folds["layout"].title() == "Layout: a raster of 1 kB"
    grab("layout-raster", dock)
    inputs = dock.generate._inputs()
    assert GenerateInputs.from_json(inputs.to_json()).to_json() == inputs.to_json()
    panel.features.choose(None)
    form.set_inputs(inputs, 3)
    assert panel.kept() == inputs.layout
    assert planned(dock) == ["farmland", "water"]
    recipe = dict(dock.planned.recipe)
    with pytest.raises(PluginError, match="Choose it again under Layout"):
        dock.generate.use_recipe({**recipe, "regions": None, "land_cover": {"kinds": {}}}, scene)
    assert panel.kept() is None
    dock.generate.use_recipe(recipe, scene)
    form.extent.take(area)
    form.gsd.set_value(4.0)
    assert planned(dock) == ["farmland", "water"], "the outlines of its classes are in the file"
    panel.features.choose(None)
    # Its style is followed.
    panel.table.setCurrentIndex(panel.table.findData("words"))
    panel.features.choose(layer)
    kinds = [QgsPalettedRasterRenderer.Class(40, QColor("green"), "forest")]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, kinds))
    until(lambda: planned(dock) == ["forest"])


def test_an_edit_has_a_layout(dock, scene, tmp_path):
    dock.turn_to(dock.edit)
    form = dock.edit.form
    form.source.setLayer(scene)
    form.mask.choose(polygons([square(scene, 200, 150, 40)], scene.crs()))
    form.model.steps.setValue(2)
    form._folds["layout"].setCollapsed(False)
    panel = form.layout_panel
    panel.features.choose(class_raster(tmp_path / "far.tif", scene, east=9000))
    until(lambda: "does not reach to what is asked for" in dock.plan.text())
    panel.draw("areas")
    drawn = panel.features.layer()
    until(lambda: "has no feature" in dock.plan.text())
    add(drawn, "lake", square(scene, 190, 140, 60))
    until(dock.run_button.isEnabled)
    assert panel.said.text() == "1 feature: lake"
    grab("edit-layout", dock)
    key = press_run(dock)
    until(lambda: state(dock, key) == "fetched")
    done = dock.runs.row(key).run
    assert [one["kind"] for one in done.recipe["layout"]] == ["water"]
    panel.features.choose(None)
    dock.runs.choose(key)
    dock.edit.use_again(done)
    settle()
    assert panel.kept().geojson["features"][0]["properties"]["class"] == "lake"
    assert not form._folds["layout"].isCollapsed()
    until(dock.run_button.isEnabled)
    form.use_layout(None)
