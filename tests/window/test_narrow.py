"""The dock in little room: nothing is cut off, however its width and height are divided."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import Qt

from tests.support.qgis.dock import ask, start, state, texts_fit
from tests.support.qgis.window import grab, settle, until

pytestmark = pytest.mark.fast


def test_plan_and_question_are_whole_however_the_height_is_divided(dock, scene, iface):
    iface.mainWindow().resizeDocks([dock], [300], Qt.Orientation.Horizontal)
    key = start(dock, scene, gsd=8.0, steps=2)
    until(lambda: state(dock, key) == "fetched")
    for sizes in ([1, 10_000], [10_000, 1]):
        dock.divided.setSizes(sizes)
        dock.runs.choose(key)
        dock.runs.buttons["removed"].click()
        settle()
        assert dock.runs.question.isVisible()
        texts_fit(dock)
        assert dock.width() <= 304
        assert dock.runs.view.viewport().height() >= 50, "the run that is asked about is seen"
        dock.runs.question.hide()
    dock.divided.divide()


@pytest.mark.parametrize("width", [300, 420])
def test_nothing_is_cut_off(dock, scene, iface, width):
    ask(dock, scene)
    dock.request.unfold(True)
    until(lambda: dock.request.advanced.price.text())
    iface.mainWindow().resizeDocks([dock], [width], Qt.Orientation.Horizontal)
    settle()
    assert abs(dock.width() - width) <= 4
    grab(f"width-{width}")
    texts_fit(dock)
    dock.request.unfold(False)
