"""Layouts in the dock: a layer, its field and what that has, a new layer to draw on, the plan, and again."""

from __future__ import annotations

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsVectorLayer

from tests.support.qgis.window import box, grab, settle, until
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
