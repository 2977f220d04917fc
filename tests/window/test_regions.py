"""Regions in the dock: a layer and its fields, what is sent, the plan, a run, and the same again."""

from __future__ import annotations

import json

import pytest
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerUtils,
)

from tests.support.qgis.dock import state
from tests.support.qgis.window import MainThreadMeter, box, grab, settle, until
from text2earth_qgis.core.layers import recipe_of


def land(layer, *rows, fields="prompt:string", name="land use"):
    """Add a polygon layer: (share of the raster's width and height from its corner, side, prompt)."""
    uri = "&".join(f"field={field}" for field in fields.split(","))
    made = QgsVectorLayer(f"Polygon?crs={layer.crs().authid()}&{uri}", name, "memory")
    whole = layer.extent()
    for x, y, side, prompt in rows:
        left, top = whole.xMinimum() + x * whole.width(), whole.yMaximum() - y * whole.height()
        length = side * whole.width()
        feature = QgsFeature(made.fields())
        feature.setAttribute(0, prompt)
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, top - length, left + length, top)))
        made.dataProvider().addFeatures([feature])
    made.updateExtents()
    QgsProject.instance().addMapLayer(made)
    settle()
    return made


@pytest.fixture
def form(dock, scene):
    """The form, filled in but for the regions; its model is quick."""
    request = dock.request
    request.prompt.setPlainText("annual crops")
    request.extent.take(box(scene, 0.3))
    request.advanced.steps.setValue(2)
    request.gsd.set_value(4.0)
    request.seed.set_value(3)
    until(lambda: dock.planned is not None)
    return request


ROWS = (
    (0.36, 0.36, 0.1, "a lake"), (0.5, 0.36, 0.1, "a forest"), (0.36, 0.5, 0.1, "a lake"),
    (0.5, 0.5, 0.12, "a residential area"),
)  # fmt: skip


def planned(dock):
    """Wait for the plan and return the prompts of its regions."""
    until(lambda: dock.planned is not None)
    return [region["prompt"] for region in dock.planned.recipe.get("regions") or []]


def test_regions_from_a_layer(dock, form, scene, tmp_path):
    layer = land(scene, *ROWS)
    form._folds["regions"].setCollapsed(False)
    settle()
    grab("regions-none", dock)
    assert form.regions.form.isHidden()
    with MainThreadMeter() as meter:
        form.regions.features.choose(layer)
        assert not form.regions.form.isHidden()
        assert form.regions.fields["prompt"].currentField() == "prompt"
        assert not dock.run_button.isEnabled()
        assert planned(dock) == ["a lake", "a forest", "a lake", "a residential area"]
    assert meter.longest < meter.allowed, meter.where
    assert form.regions.said.text() == "4 polygons: a lake, a forest, a residential area"
    assert form._folds["regions"].title() == "Regions: 4 polygons"
    assert dock.run_button.isEnabled()
    grab("regions", dock)
    dock.run_button.click()
    key = dock.runs.model.rows[0].run.key
    until(lambda: state(dock, key) == "fetched")
    until(lambda: made() is not None)
    assert len(recipe_of(made())["regions"]) == 4
    grab("regions-made")


def made():
    """Return the layer that was made."""
    rasters = [one for one in QgsProject.instance().mapLayers().values() if isinstance(one, QgsRasterLayer)]
    return next((one for one in rasters if recipe_of(one)), None)


def test_the_plan_follows_the_layer(dock, form, scene):
    layer = land(scene, *ROWS)
    form.regions.features.choose(layer)
    assert len(planned(dock)) == 4
    layer.selectByIds([2])
    form.regions.features.only.setChecked(True)
    assert planned(dock) == ["a forest"]
    layer.selectByIds([1, 4])
    assert planned(dock) == ["a lake", "a residential area"]
    form.regions.features.only.setChecked(False)
    layer.startEditing()
    layer.deleteFeature(4)
    until(lambda: len(planned(dock)) == 3)
    layer.changeAttributeValue(1, 0, "a river")
    until(lambda: "a river" in planned(dock))
    layer.rollBack()
    until(lambda: len(planned(dock)) == 4)
    form.regions.features.choose(None)
    assert planned(dock) == []
    assert form._folds["regions"].title() == "Regions"


def test_typing_does_not_read_the_layer_again(dock, form, scene):
    form.regions.features.choose(land(scene, *ROWS))
    planned(dock)
    found = dock.generate.drawn
    form.prompt.setPlainText("pasture")
    assert dock.run_button.isEnabled()
    until(lambda: dock.planned is not None)
    assert dock.generate.drawn is found
    form.extent.take(box(scene, 0.2))
    assert not dock.run_button.isEnabled()
    until(lambda: dock.planned is not None)


def test_refusals_are_seen(dock, form, scene):
    form.regions.features.choose(land(scene, *ROWS, fields="code:integer", name="numbers"))
    assert "lack a text field" in dock.plan.text()
    assert not dock.run_button.isEnabled()
    form.regions.features.choose(land(scene, (0.97, 0.97, 0.02, "a lake"), name="corner"))
    until(lambda: "have no polygon near the extent" in dock.plan.text())
    form.regions.features.choose(land(scene, (0.4, 0.4, 0.1, ""), name="mute"))
    until(lambda: "Region 1 has no prompt" in dock.plan.text())
    assert not dock.run_button.isEnabled()
    grab("regions-refused", dock)


def test_fields_are_remembered(dock, form, scene):
    fields = "what:string,rather_not:string,rank:double"
    layer = land(scene, *ROWS, fields=fields)
    form.regions.features.choose(layer)
    assert form.regions.fields["prompt"].currentField() == "what"
    form.regions.fields["negative"].setField("rather_not")
    form.regions.fields["priority"].setField("rank")
    memory = json.loads(json.dumps(form.memory()))
    form.regions.features.choose(None)
    form.recall({})
    form.recall(memory)
    form.regions.features.choose(land(scene, *ROWS, fields=fields, name="other"))
    chosen = {name: combo.currentField() for name, combo in form.regions.fields.items()}
    assert chosen == {"prompt": "what", "negative": "rather_not", "priority": "rank"}
    planned(dock)


def test_the_same_again_without_the_layer(dock, form, scene):
    layer = land(scene, *ROWS)
    form.regions.features.choose(layer)
    planned(dock)
    dock.run_button.click()
    key = dock.runs.model.rows[0].run.key
    until(lambda: state(dock, key) == "fetched")
    QgsProject.instance().removeMapLayer(layer.id())
    form.recall({})
    dock.runs.use_again.emit(key)
    assert form.regions.features.layers.currentText() == "Those of the earlier run"
    assert planned(dock) == ["a lake", "a forest", "a lake", "a residential area"]
    assert form.regions.said.text().startswith("4 polygons: a lake")
    assert not form._folds["regions"].isCollapsed()
    form.regions.features.choose(None)
    assert planned(dock) == []


def test_regions_are_drawn_on_a_new_layer(dock, form, scene, iface):
    form._folds["regions"].setCollapsed(False)
    panel = form.regions
    panel.features.new_button.click()
    layer = panel.features.layer()
    assert layer.isEditable()
    assert iface.activeLayer() is layer
    assert panel.fields["prompt"].currentField() == "prompt"
    assert layer.editorWidgetSetup(0).type() == "ValueMap"
    feature = QgsVectorLayerUtils.createFeature(layer, QgsGeometry.fromRect(box(scene, 0.1)))
    assert (feature["words"], feature["prompt"]) == ("lake", "lake")
    feature.setAttribute("prompt", "a lake with reed beds")
    assert layer.addFeature(feature)
    assert planned(dock) == ["a lake with reed beds"]
    assert layer.renderer().classAttribute() == "words"
    grab("regions-new")
    panel.features.choose(None)
