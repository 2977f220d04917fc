"""Looks at the forms to generate, edit and extend before anything is run, and at what is drawn for them."""

from __future__ import annotations

from types import SimpleNamespace

from looking import grab, grab_menu, grab_window
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtTest import QTest
from qgis.utils import iface

from tests.support.qgis.dock import PROMPT, TINY_INPAINT
from tests.support.qgis.window import box, settle, until
from text2earth_qgis.gui.canvas.brush import stroke

PATH = ((180, 180), (230, 240), (300, 230))


def look(dock, scene) -> None:
    """Go through the three tabs."""
    generate(dock, scene)
    drawn(dock, scene)
    edit(dock, scene)
    extend(dock, scene)


def choose_model(panel, model: str) -> None:
    """Choose a model in a form."""
    panel.model.setCurrentIndex(panel.model.findData(model))


def generate(dock, scene) -> None:
    """A scene: nothing yet, words, a plan by each kind of model, all settings, refused, drawn."""
    form = dock.request
    dock.turn_to(dock.generate)
    grab("empty", dock)
    form.prompt.setPlainText(PROMPT)
    form.gsd.set_value(0.5)
    form.advanced.steps.setValue(200)
    form.extent.take(box(scene, 0.5))
    until(lambda: dock.planned is not None)
    grab_window("planned")
    form._folds["negative"].setCollapsed(False)
    form.unfold(True)
    until(lambda: form.advanced.price.text())
    grab("more", dock)
    dock.request.parentWidget().parentWidget().parentWidget().verticalScrollBar().setValue(10_000)
    grab("more-below", dock)
    form._folds["negative"].setCollapsed(True)
    form.unfold(False)
    by_example(dock, scene)
    form.extent.take(QgsRectangle(-1e6, 2e6, 2e6, 7e6))
    until(lambda: dock.mode.refused)
    grab("refused", dock)
    form.extent.take(box(scene, 0.5))
    form.extent.draw_button.click()
    grab_window("drawing")
    form.extent.leave_tool()


def by_example(dock, scene) -> None:
    """Words that are understood and offered, and pixel sizes with their times."""
    form = dock.request
    choose_model(form.advanced, "open-land")
    grab("words", dock)
    form.prompt_box.chips.more.click()
    grab("words-all", dock)
    form.prompt_box.chips.more.click()
    form.prompt.setPlainText("a village beside a fjord with moose")
    form.gsd.set_value(None)
    until(lambda: not form.prompt_box.unknown.isHidden() and not form.choices.isHidden())
    until(lambda: dock.planned is not None)
    grab("by-example", dock)
    form.prompt.setFocus()
    form.prompt.moveCursor(form.prompt.textCursor().MoveOperation.End)
    QTest.keyClicks(form.prompt, ", fores")
    until(form.prompt.completer.popup().isVisible)
    grab("completion", form.prompt.completer.popup())
    form.prompt.completer.popup().hide()
    form.prompt.setPlainText(PROMPT)
    for state, button in (("recent", form.prompt_box.recent), ("starters", form.prompt_box.starters)):
        grab_menu(f"menu-{state}", button.menu())
    grab_menu("menu-gsd", form.gsd._menu)
    grab_menu("menu-layout", form.layout_panel.features.findChildren(type(form.gsd._menu))[0])


def drawn(dock, scene) -> None:
    """Regions, a layout and samples of a scene: none yet, new and empty, filled."""
    form = dock.request
    middle = box(scene, 0.3)
    form.extent.take(middle)
    for name, draw, field in (
        ("regions", form.regions.draw, form.regions.features),
        ("layout", lambda: form.layout_panel.draw("areas"), form.layout_panel.features),
    ):
        form._folds[name].setCollapsed(False)
        grab(name, dock)
        draw()
        settle()
        until(lambda: dock.mode.refused)
        grab(f"{name}-new", dock)
        feature = QgsFeature(field.layer().fields())
        feature.setAttribute("prompt" if name == "regions" else "class", "lake")
        feature.setGeometry(QgsGeometry.fromRect(box(scene, 0.1)))
        field.layer().addFeature(feature)
        until(lambda: dock.planned is not None)
        grab(f"{name}-drawn", dock)
        field.layer().rollBack()
        QgsProject.instance().removeMapLayer(field.layer())
        form._folds[name].setCollapsed(True)
    form._folds["like"].setCollapsed(False)
    grab("like-here", dock)
    form.like_here.add_row()
    grab("like-here-lacking", dock)
    form.like_here.rows[0].raster.setLayer(scene)
    form.like_here.rows[0].words.setText("forest")
    form.like_here.add_row().raster.setLayer(scene)
    until(lambda: dock.planned is not None)
    grab("like-here-drawn", dock)
    form.use_samples((), ())
    choose_model(form.advanced, "tiny")


def look_at_filled(name, dock) -> None:
    """What is new copied from its surroundings, planned."""
    choose_model(dock.mode.form.model, "")
    dock.mode.form.fill.setChecked(True)
    until(lambda: dock.mode.planned is not None)
    grab(f"{name}-filled", dock)


def edit(dock, scene) -> None:
    """An edit: no mask yet, the brush in hand, a mask, filled, all settings."""
    dock.turn_to(dock.edit)
    form = dock.edit.form
    form.source.setLayer(scene)
    choose_model(form.model, TINY_INPAINT)
    form.model.steps.setValue(200)  # long enough to be seen running
    grab("edit-empty", dock)
    form.brush.button.click()
    canvas = iface.mapCanvas()
    path = [canvas.getCoordinateTransform().toMapCoordinates(x, y) for x, y in PATH]
    dock.edit.brush.stroked.emit(stroke(path, 25 * canvas.mapUnitsPerPixel()), False)
    form.feather.setValue(60.0)
    until(lambda: dock.edit.found is not None)
    until(lambda: not dock.edit.preview.picture().isNull())
    grab_window("edit-brush")
    dock.edit.brush.leave()
    look_at_filled("edit", dock)
    form.fill.setChecked(False)
    choose_model(form.model, TINY_INPAINT)
    form.prompt.setPlainText("a lake with reed beds")
    until(lambda: dock.edit.planned is not None)
    grab("edit-planned", dock)
    form.unfold(True)
    form.bands.which.setCurrentIndex(1)
    grab("edit-more", dock)
    form.parentWidget().parentWidget().parentWidget().verticalScrollBar().setValue(10_000)
    grab("edit-more-below", dock)
    form.unfold(False)
    form.bands.which.setCurrentIndex(0)
    online(dock)
    form.source.setLayer(scene)


def online(dock) -> None:
    """An online layer: other settings, and a question before anything of it is sent."""
    url = "type=xyz&url=http://127.0.0.1:9/{z}/{x}/{y}.png&zmax=18&zmin=0"
    layer = QgsRasterLayer(url, "Aerial tiles", "wms")
    QgsProject.instance().addMapLayer(layer, False)
    dock.edit.form.source.setLayer(layer)
    until(lambda: dock.edit.found is not None)
    grab("edit-online", dock)
    dock.edit._ask_to_send(SimpleNamespace(host="tiles.example.org", credit="© The makers of the tiles"))
    grab("edit-question", dock)
    dock.question.hide()
    iface.messageBar().clearWidgets()  # QGIS tells how it transforms


def extend(dock, scene) -> None:
    """An extension: how far is not said yet, the outline in hand, a plan, as the raster goes on."""
    dock.turn_to(dock.extend)
    form = dock.extend.form
    around = scene.extent()
    around.scale(2)
    iface.mapCanvas().setExtent(around)
    form.source.setLayer(scene)
    choose_model(form.model, TINY_INPAINT)
    until(lambda: dock.extend.grid is not None)
    grab("extend-empty", dock)
    form.reach.button.click()
    grab_window("extend-handles")
    form.fill.setChecked(False)
    form.prompt.setPlainText("a forest")
    form.reach.spins["right"].setValue(200)
    until(lambda: dock.extend.planned is not None)
    grab_window("extend-planned")
    dock.extend.tool.leave()
    look_at_filled("extend", dock)
    form.unfold(True)
    grab("extend-more", dock)
    form.unfold(False)
