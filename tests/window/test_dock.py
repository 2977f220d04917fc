"""The dock before a run: what it says, what it offers, how it looks."""

from __future__ import annotations

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsPointXY, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.gui import QgsExtentWidget, QgsMapToolPan
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QPlainTextEdit

from tests.support.qgis.dock import PROMPT, ask, drag, state
from tests.support.qgis.window import box, grab, settle, until
from text2earth_qgis.core.layers import RECIPE
from text2earth_qgis.core.wire import calls

pytestmark = pytest.mark.fast

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
PLAIN = Qt.KeyboardModifier.NoModifier


@pytest.fixture
def canvas(iface):
    return iface.mapCanvas()


def test_an_empty_form_says_what_to_do(dock):
    settle()
    assert "prompt" in dock.plan.text()
    assert not dock.run_button.isEnabled()
    assert "prompt" in dock.run_button.toolTip()
    dock.request.prompt.setPlainText(PROMPT)
    assert "extent" in dock.plan.text()
    assert dock.runs.model.rowCount() == 0
    assert dock.request.inputs() is None
    dock.request.prompt.setPlainText("")
    assert not dock.request.extent._text.hasSelectedText()
    grab("empty")


def test_a_project_without_crs_is_told_so(dock, scene):
    crs = scene.crs()
    QgsProject.instance().removeAllMapLayers()  # for a layer, QGIS would ask how to transform it
    dock.request.prompt.setPlainText(PROMPT)
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem())
    until(lambda: "no CRS" in dock.plan.text())
    assert not dock.run_button.isEnabled()
    QgsProject.instance().setCrs(crs)
    until(lambda: "extent" in dock.plan.text())


def test_the_plan_is_the_backends(dock, scene):
    ask(dock, scene)
    plan = dock.planned
    text = dock.plan.text()
    assert f"{plan.width} × {plan.height} px" in text
    assert "4 m per pixel" in text
    assert "NAD83 / UTM zone 14N" in text
    assert f"Level {plan.level}" in text
    assert f"{plan.windows} windows" in text
    assert "nothing leaves it" in text
    assert dock.run_button.isEnabled()
    grab("planned")


def test_typing_asks_once_and_never_waits(dock, scene, monkeypatch):
    ask(dock, scene)
    asked, plan = [], calls.plan
    monkeypatch.setattr(calls, "plan", lambda name, inputs: asked.append(inputs.prompt) or plan(name, inputs))
    for letter in "with boats on it":
        QTest.keyClicks(dock.request.prompt, letter)
    assert dock.planned is None
    until(lambda: dock.planned is not None)
    assert "boats" in dock.planned.recipe["prompt"]
    assert set(asked) == {dock.request.prompt.text()}


def test_a_refusal_is_a_sentence_and_stops_run(dock, scene):
    ask(dock, scene)
    dock.request.extent.take(QgsRectangle(-1e6, 2e6, 2e6, 7e6))
    until(lambda: not dock.run_button.isEnabled())
    assert "allowed" in dock.plan.text()
    assert dock.run_button.toolTip()
    grab("refused")
    dock.request.extent.take(box(scene, 0.5))
    until(dock.run_button.isEnabled)


def test_warnings_are_shown(dock, scene):
    ask(dock, scene)
    dock.request.advanced.crs.setCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    until(lambda: dock.planned is not None and dock.planned.crs == "EPSG:4326")
    assert dock.planned.warnings
    for sentence in dock.planned.warnings:
        assert sentence in dock.plan.text()
    grab("warning")


def test_no_backend(dock, window, scene):
    from text2earth_qgis.core import settings

    before = settings.load()
    ask(dock, scene)
    settings.save(settings.Settings(url="http://127.0.0.1:9"))
    window.settings_changed()
    until(lambda: dock.connection.state.trouble)
    assert "No backend answers at http://127.0.0.1:9" in dock.notice.text()
    assert list(dock.notice.actions()) == ["Set up…", "Try again"]
    assert not dock.run_button.isEnabled()
    grab("no-backend")
    settings.save(before)
    window.settings_changed()
    until(lambda: dock.planned is not None)
    assert dock.notice.isHidden()
    assert dock.run_button.isEnabled()


def test_the_price_of_the_ground(dock, scene):
    ask(dock, scene)
    dock.request.unfold(True)
    until(lambda: "times the work" in dock.request.advanced.price.text())
    grab("more")
    dock.request.advanced.canvas.setCurrentIndex(1)
    until(lambda: dock.planned is not None and dock.planned.recipe["canvas"] == "ground")
    dock.request.unfold(False)


def test_model_bounds_the_gsd(dock, scene):
    finest, *_, coarsest = dock.request.advanced.sizes().offered
    assert (finest, coarsest) == (0.5, 128.0)
    spin = dock.request.gsd.spin
    spin.setValue(1.0)
    spin.stepBy(1)
    assert spin.value() == 2.0
    for _ in range(20):
        spin.stepBy(1)
    assert spin.value() == coarsest
    for _ in range(20):
        spin.stepBy(-1)
    assert dock.request.gsd.value() is None
    assert spin.text() == "Automatic"
    spin.stepBy(1)
    assert spin.value() == finest


def test_an_automatic_gsd_does_not_take_long(dock, scene, monkeypatch):
    from text2earth_qgis.gui.planning import choices
    from text2earth_qgis.gui.planning.choices import takes

    ask(dock, scene, gsd=1.0, share=0.9)
    budget = takes(dock.planned) / 8  # of a fast machine as of a slow one: fine pixels take longer
    monkeypatch.setattr(choices, "BUDGET", budget)
    dock.request.extent.clear()
    assert dock.request.choices.isHidden()
    ask(dock, scene, gsd=None, share=0.9)
    chosen, row = dock.planned, dock.request.choices
    assert takes(chosen) <= budget
    coarse, now, fine = row.buttons
    assert [button.isChecked() for button in row.buttons] == [False, True, False]
    assert f"{round(chosen.ground[0])} m" in now.text()
    assert f"Automatic ({round(chosen.ground[0])} m)" in dock.request.gsd.spin.text()
    assert dock.run_button.isEnabled()
    grab("automatic-gsd")
    fine.click()
    assert fine.isChecked()
    assert dock.request.gsd.value() < chosen.ground[0]
    until(lambda: dock.planned is not None)
    assert takes(dock.planned) > budget
    assert fine.isChecked()
    assert row.isVisible()
    coarse.click()
    until(lambda: dock.planned is not None)
    assert takes(dock.planned) < takes(chosen)
    dock.request.gsd.set_value(None)
    until(lambda: now.isChecked() and dock.planned is not None)


def test_what_sizes_take_is_asked_once_for_an_extent(dock, scene, monkeypatch):
    choose_by_example(dock)
    asked, plan = [], calls.plan
    monkeypatch.setattr(calls, "plan", lambda name, inputs: asked.append(inputs.gsd) or plan(name, inputs))
    ask(dock, scene, gsd=None, share=0.3)
    assert len({*asked}) > 3
    del asked[:]
    QTest.keyClicks(dock.request.prompt, ", hedges")
    until(lambda: dock.planned is not None)
    assert len(asked) == 1


def choose_by_example(dock):
    models = dock.request.advanced.model
    models.setCurrentIndex(models.findData("open-land"))


def test_what_is_sent_is_what_was_planned(dock, scene):
    ask(dock, scene, gsd=None, share=0.3)
    dock.request.advanced.steps.setValue(1)
    assert not dock.run_button.isEnabled()
    until(lambda: dock.planned is not None)
    dock.run_button.click()
    run = dock.runs.model.rows[0].run
    assert run.inputs["gsd"] == pytest.approx(dock.planned.ground[0], rel=0.05)


def test_the_menu_of_pixel_sizes_is_the_models(dock, scene):
    model = dock.request.advanced.model
    model.setCurrentIndex(model.findData("text2earth-mini"))
    titles = [action.text() for action in dock.request.gsd._menu.actions()]
    assert titles == ["Automatic", "0.5 m per pixel", "1 m per pixel", "8 m per pixel"]
    assert "0.5, 1 and 8 m, each up to 1.4 times finer or coarser" in dock.request.gsd.spin.toolTip()
    spin = dock.request.gsd.spin
    spin.setValue(1.0)
    spin.stepBy(1)
    assert spin.value() == 8.0
    for action in dock.request.gsd._menu.actions()[1:]:
        action.trigger()
        dock.request.prompt.setPlainText(PROMPT)
        dock.request.extent.take(box(scene, 0.05))
        until(lambda: dock.planned is not None)


def test_every_input_has_a_name(dock):
    for mode in dock.tabs.modes:
        for kind in (QAbstractSpinBox, QComboBox, QPlainTextEdit, QAbstractButton):
            for widget in mode.panel.findChildren(kind):
                inside = isinstance(
                    widget.parent(), (QAbstractSpinBox, QComboBox, QLineEdit, QgsExtentWidget)
                )
                named = widget.accessibleName() or isinstance(widget, QAbstractButton) and widget.text()
                ours = not inside and not widget.objectName().startswith(("qt_", "m", "collapse"))
                assert named or not ours, f"{type(widget).__name__} {widget.objectName()} in {mode.title}"


def test_a_raster_layer_has_a_menu_of_ours(dock, window, scene, iface):
    iface.layerTreeView().setCurrentLayer(scene)
    dock.setUserVisible(False)
    window._layers.edit.trigger()
    assert dock.isVisible()
    assert (dock.mode, dock.edit.form.layer()) == (dock.edit, scene)
    dock.turn_to(dock.generate)
    ask(dock, scene, gsd=8.0, share=0.2)
    dock.request.advanced.steps.setValue(1)
    until(lambda: dock.planned is not None)
    dock.run_button.click()
    key = dock.runs.model.rows[0].run.key
    until(lambda: dock.runs.row(key).run.state == "fetched")
    run = dock.runs.row(key).run
    until(lambda: dock.results.layer(run) is not None)
    layer = dock.results.layer(run)
    for forgotten in (False, True):
        if forgotten:
            dock.removals.remove([key])
        dock.request.recall({})
        dock.request.extent.clear()
        iface.layerTreeView().setCurrentLayer(layer)
        window._layers.reuse.trigger()
        assert dock.request.prompt.text() == PROMPT
        assert dock.request.seed.value() == run.recipe["seed"]
        assert dock.request.gsd.value() == pytest.approx(8.0, rel=0.01)
        assert dock.request.extent.value() is not None
    QgsProject.instance().removeMapLayer(layer.id())
    alone = QgsRasterLayer(run.target, "found years later")
    QgsProject.instance().addMapLayer(alone)
    until(lambda: alone.customProperty(RECIPE))
    iface.layerTreeView().setCurrentLayer(alone)
    menu = iface.layerTreeView().menuProvider().createContextMenu()
    ours = next(one.menu() for one in menu.actions() if one.text().replace("&", "") == "Text2Earth")
    assert [one.text() for one in ours.actions()] == [
        *("Compare with what is below", "Edit this further", "Make again", "Use its settings", "Open folder"),
    ]
    dock.request.recall({})
    window._layers.remake.trigger()
    until(lambda: dock.runs.model.rows)
    again = dock.runs.model.rows[0].run.key
    until(lambda: state(dock, again) == "fetched")
    made = dock.runs.row(again).run
    assert made.recipe["seed"] == run.recipe["seed"]


def test_aligning_to_a_layer(dock, scene):
    ask(dock, scene, gsd=None)
    dock.request.advanced.align.setLayer(scene)
    until(lambda: dock.planned is not None)
    pixel = scene.rasterUnitsPerPixelX()
    assert [float(size) for size in dock.planned.recipe["frame"]["pixel_size"]] == [pixel, pixel]
    assert dock.request.gsd.spin.text() == "As the layer"
    online = QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/{z}/{x}/{y}.png", "tiles", "wms")
    QgsProject.instance().addMapLayer(online, False)
    dock.request.advanced.align.setLayer(online)
    assert "tiles" in dock.plan.text()
    assert not dock.run_button.isEnabled()
    dock.request.advanced.align.setLayer(None)
    until(lambda: dock.planned is not None)


def test_the_footprint_is_that_of_the_plan(dock, scene):
    ask(dock, scene, share=0.31)
    outline = dock.generate.footprint.geometry().boundingBox()
    assert [
        round(v, 6) for v in (outline.xMinimum(), outline.yMinimum(), outline.xMaximum(), outline.yMaximum())
    ] == [round(v, 6) for v in dock.planned.bbox]
    dock.setUserVisible(False)
    settle()
    assert dock.generate.footprint.geometry().isEmpty()
    dock.setUserVisible(True)


def test_drawing_an_extent(dock, scene, canvas):
    pan = QgsMapToolPan(canvas)
    canvas.setMapTool(pan)
    dock.request.gsd.set_value(2.0)
    dock.request.extent.draw_button.click()
    assert canvas.mapTool() is not pan
    label = drag(canvas.viewport(), QPoint(200, 150), QPoint(420, 330))
    assert " m · about " in label
    assert " px of 2 m" in label
    grab("drawing")
    QTest.mouseRelease(canvas.viewport(), LEFT, PLAIN, QPoint(420, 330))
    assert canvas.mapTool() is pan
    drawn, crs = dock.request.extent.box()
    turn = canvas.getCoordinateTransform()
    a, b = turn.toMapCoordinates(200, 150), turn.toMapCoordinates(420, 330)
    assert crs == canvas.mapSettings().destinationCrs()
    for corner, other in (
        (QgsPointXY(drawn.xMinimum(), drawn.yMaximum()), a),
        (QgsPointXY(drawn.xMaximum(), drawn.yMinimum()), b),
    ):
        assert corner.distance(other) < 0.001
    assert not dock.request.extent.draw_button.isChecked()


@pytest.mark.parametrize("way", ["escape", "right click", "button", "another tool", "another tab", "click"])
def test_leaving_the_drawing_tool(dock, canvas, way):
    pan, other = QgsMapToolPan(canvas), QgsMapToolPan(canvas)
    canvas.setMapTool(pan)
    dock.request.extent.draw_button.click()
    items = len(canvas.scene().items())
    if way == "escape":
        QTest.keyClick(canvas, Qt.Key.Key_Escape)
    elif way == "right click":
        QTest.mousePress(canvas.viewport(), RIGHT, PLAIN, QPoint(100, 100))
    elif way == "button":
        dock.request.extent.draw_button.click()
    elif way == "another tool":
        canvas.setMapTool(other)
    elif way == "another tab":
        dock.turn_to(dock.edit)
    else:
        QTest.mouseClick(canvas.viewport(), LEFT, PLAIN, QPoint(100, 100))
        assert canvas.mapTool() is not pan  # a click draws nothing and leaves nothing
        QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert canvas.mapTool() is (other if way == "another tool" else pan)
    assert not dock.request.extent.draw_button.isChecked()
    assert dock.request.extent.value() is None
    assert len(canvas.scene().items()) == items - 1
    canvas.setMapTool(pan)


def test_the_form_is_remembered(dock, scene):
    ask(dock, scene)
    dock.request.seed.set_value(77)
    dock.request.negative.setPlainText("clouds")
    kept = dock.request.memory()
    dock.request.recall({})
    assert dock.request.prompt.text() == ""
    dock.request.recall(kept)
    assert dock.request.prompt.text() == PROMPT
    assert dock.request.seed.value() == 77
    assert dock.request.negative.text() == "clouds"
    assert dock.request.gsd.value() == 4.0
