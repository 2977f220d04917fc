"""Every input of the dock takes every value: no error box, no dialog, and Run only where there is a plan."""

from __future__ import annotations

from math import inf, nan

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRectangle
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import QLocale, QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit, QPlainTextEdit

from tests.support.qgis.dock import LAKE, drag, polygons, square
from tests.support.qgis.window import Interruptions, box, settle, until

PROJECTS = {
    "none": "", "degrees": "EPSG:4326", "metres": "EPSG:26914", "feet": "EPSG:2277", "polar": "EPSG:3031"
}  # fmt: skip
EXTENTS = {
    "world": (-180, -90, 180, 90),
    "beyond the poles": (-200, -95, 200, 95),
    "north of the pole": (10, 91, 20, 99),
    "across the antimeridian": (179.99, 10, 180.01, 10.02),
    "one pixel": (13.0, 52.0, 13.000001, 52.000001),
    "a line": (13.0, 52.0, 14.0, 52.0),
    "a point": (13.0, 52.0, 13.0, 52.0),
    "turned over": (14.0, 53.0, 13.0, 52.0),
    "not a number": (nan, nan, nan, nan),
    "half a number": (13.0, nan, 14.0, 53.0),
    "endless": (-inf, -inf, inf, inf),
    "huge": (-1e300, -1e300, 1e300, 1e300),
    "far": (1e7, 1e7, 1e7 + 1, 1e7 + 1),
    "good": (13.0, 52.0, 13.002, 52.002),
}
TEXTS = ("1.5", "1,5", "1,000.5", "-1", "0", "1e9", "99999999999999999999", "abc", "", " ", "½", "٣")


@pytest.fixture
def interruptions():
    with Interruptions() as watch:
        yield watch
        settle()
        assert watch.none, watch.dialogs + watch.errors


def answered(dock):
    """Wait until the dock knows what to say of the request, and check that it says so."""
    mode = dock.mode
    until(lambda: dock.run_button.isEnabled() or (dock.plan.text() and dock.plan.isEnabled()))
    until(lambda: mode.missing() or mode.refused or mode.checked)
    if dock.run_button.isEnabled():
        assert mode.checked
    else:
        assert dock.run_button.toolTip()
        assert not mode.checked, dock.plan.text()


@pytest.mark.parametrize("crs", PROJECTS)
def test_extents(interruptions, dock, scene, iface, crs):
    QgsProject.instance().removeAllMapLayers()  # for a layer, QGIS would ask how to transform it
    canvas, request = iface.mapCanvas(), dock.request
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem(PROJECTS[crs]))
    request.prompt.setPlainText(LAKE)
    for name, corners in EXTENTS.items():
        request.extent.take(QgsRectangle(*corners, False))
        answered(dock)
        if crs == "degrees":
            assert dock.run_button.isEnabled() or name not in ("good", "turned over"), name
            assert not dock.run_button.isEnabled() or name not in ("world", "not a number", "endless"), name
    for view in (QgsRectangle(-180, -90, 180, 90), QgsRectangle(-1e8, -1e8, 1e8, 1e8)):
        canvas.setExtent(view)
        settle()
        request.extent._widget.setOutputExtentFromCurrent()
        answered(dock)
        request.extent.draw_button.click()
        drag(canvas.viewport(), QPoint(20, 20), QPoint(canvas.width() - 20, canvas.height() - 20))
        QTest.mouseRelease(
            canvas.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier,
            QPoint(canvas.width() - 20, canvas.height() - 20),
        )  # fmt: skip
        answered(dock)
    line = request.extent.findChild(QLineEdit, "mCondensedLineEdit")
    for text in ("13,52,13.002,52.002", "13 52 14", "a,b,c,d", "nan,nan,nan,nan", ""):
        line.setText(text)
        line.editingFinished.emit()
        answered(dock)


def type_into(field, text):
    """Type as a user does, and leave the field."""
    field.setFocus()
    field.selectAll()
    if text.isascii() and text:
        QTest.keyClicks(field, text)
    else:
        field.insert(text)
    QTest.keyClick(field, Qt.Key.Key_Tab)


def inputs(widget, kind):
    return [one for one in widget.findChildren(kind) if one.isVisibleTo(widget) and one.isEnabled()]


@pytest.mark.parametrize(
    "locale", [QLocale.Language.English, QLocale.Language.German], ids=["point", "comma"]
)
@pytest.mark.parametrize("tab", ["generate", "edit", "extend"])
def test_fields(interruptions, dock, scene, iface, tab, locale):
    before = QLocale()
    QLocale.setDefault(QLocale(locale))
    try:
        fill_in(dock, scene, tab)
        panel = dock.mode.panel
        for part in dock.mode.panel._folds.values():
            part.setCollapsed(False)
        settle()
        for spin in inputs(panel, QAbstractSpinBox):
            for text in TEXTS:
                type_into(spin.findChild(QLineEdit), text)
            spin.stepUp(), spin.stepDown(), spin.clear()
            QTest.keyClick(spin, Qt.Key.Key_Tab)
        for field in inputs(panel, QLineEdit):
            for text in TEXTS:
                type_into(field, text)
        for prompt in inputs(panel, QPlainTextEdit):
            for text in (*TEXTS, "x" * 5000, "\x00\ud800"):
                prompt.setPlainText(text)
        for combo in inputs(panel, QComboBox):
            for place in range(combo.count()):
                combo.setCurrentIndex(place)
        for check in inputs(panel, QCheckBox):
            check.click(), check.click()
        settle()
    finally:
        QLocale.setDefault(before)
        for mode in dock.tabs.modes:
            mode.recall({})


def fill_in(dock, scene, tab):
    """Bring a tab to where nothing is missing."""
    mode = getattr(dock, tab)
    dock.turn_to(mode)
    if tab == "generate":
        dock.request.prompt.setPlainText(LAKE)
        dock.request.extent.take(box(scene, 0.2))
    elif tab == "extend":
        mode.form.source.setLayer(scene)
        until(lambda: mode.grid is not None)
        mode.form.reach.spins["right"].setValue(20)
    else:
        mask = polygons([square(scene, 100, 100, 40)], scene.crs())
        mode.form.source.setLayer(scene)
        mode.form.mask.choose(mask)
        mode.form.prompt.setPlainText(LAKE)
    until(dock.run_button.isEnabled)


@pytest.mark.parametrize("crs", PROJECTS)
def test_masks_in_any_project(interruptions, dock, scene, iface, crs):
    """The tab Edit with masks that lie nowhere, and maps that show what is no place on Earth."""
    fill_in(dock, scene, "edit")
    node = QgsProject.instance().layerTreeRoot()
    node.setItemVisibilityCheckedRecursive(False)
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem(PROJECTS[crs]))
    form = dock.edit.form
    for corners in EXTENTS.values():
        iface.mapCanvas().setExtent(QgsRectangle(*corners, False))
        settle()
        form.grow.setValue(form.grow.value() + 1)
        shape = square(scene, 100, 100, 40)
        shape.translate(*(corners[0], corners[1]))
        form.mask.choose(polygons([shape], scene.crs()))
        until(lambda: dock.edit.missing() or dock.edit.refused or dock.edit.checked)
        form.brush.button.click()
        drag_on(iface.mapCanvas())
        form.brush.button.click()
    until(lambda: dock.edit.preview._work is None)


def drag_on(canvas):
    for at in (QPoint(100, 100), QPoint(200, 150)):
        QTest.mousePress(canvas.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
        QTest.mouseRelease(canvas.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)


def test_layers_come_and_go(interruptions, dock, scene):
    fill_in(dock, scene, "edit")
    for combo in dock.findChildren(QgsMapLayerComboBox):
        combo.setLayer(scene)
    QgsProject.instance().removeAllMapLayers()
    settle()
    assert not dock.run_button.isEnabled()
    dock.turn_to(dock.generate)
    assert not dock.run_button.isEnabled()
