"""How long things take is said before they are run: sizes to choose from, while drawing, of an edit."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import QPoint
from qgis.PyQt.QtTest import QTest

from tests.support.qgis.dock import LEFT, PLAIN, ask, drag, fill_edit, start, state, texts_fit
from tests.support.qgis.window import grab, settle, until
from text2earth_qgis.core.wire import calls


@pytest.fixture
def timed(dock, scene):
    """The dock, of whose model a scene was made: its speed is known."""
    key = start(dock, scene, gsd=8.0, steps=2, share=0.1)
    until(lambda: state(dock, key) == "successful")
    return dock


def test_three_sizes_with_their_seconds(timed, scene):
    dock = timed
    ask(dock, scene, gsd=None, share=0.9)
    row = dock.request.choices
    until(row.isVisible)
    assert 2 <= sum(button.isVisible() for button in row.buttons) <= 3
    for button in row.buttons:
        size, time = button.text().split("\n")
        assert size.endswith(" m")
        assert time.split()[-1] in ("s", "min")
        assert button.accessibleName() == f"{size}, {time}"
    assert sum(button.isChecked() for button in row.buttons) == 1
    grab("choices")
    asked = []
    plan = calls.plan
    calls.plan = lambda name, inputs: asked.append(inputs.prompt) or plan(name, inputs)
    try:
        QTest.keyClicks(dock.request.prompt, ", hedges")
        until(lambda: dock.planned is not None)
        settle()
    finally:
        calls.plan = plan
    assert len(asked) == 1  # the times of this extent are known
    dock.setFloating(True)
    dock.resize(300, 800)
    settle()
    texts_fit(dock)
    grab("choices-narrow", dock)
    dock.setFloating(False)


def test_the_time_beside_the_pointer_without_a_question(timed, scene, iface):
    dock, viewport = timed, iface.mapCanvas().viewport()
    ask(dock, scene, gsd=4.0, share=0.5)
    until(lambda: dock.request.choices.isVisible())
    dock.request.extent.draw_button.click()
    settle()
    asked, plan = [], calls.plan
    calls.plan = lambda name, inputs: asked.append(name) or plan(name, inputs)
    try:
        label = drag(viewport, QPoint(200, 150), QPoint(420, 330))
        settle()
    finally:
        calls.plan = plan
    assert asked == []
    assert " px of 4 m · about\u00a0" in label
    grab("drawing-time")
    QTest.mouseRelease(viewport, LEFT, PLAIN, QPoint(420, 330))


def test_an_edit_says_how_long_and_in_which_pixels(dock, form, scene):
    from tests.support.qgis.dock import press_run

    fill_edit(dock, form, scene)
    until(lambda: dock.edit.planned is not None)
    assert "Made in pixels of " in dock.plan.text()
    key = press_run(dock)
    until(lambda: state(dock, key) == "successful")
    form.grow.setValue(1.0)
    until(lambda: dock.edit.planned is not None and "about " in dock.plan.text())
    plan = dock.edit.planned
    assert plan.seconds is not None
    assert plan.recipe["edit"]["strength"] == 1.0
    grab("edit-time")


def test_an_edit_that_would_be_refused_says_so_before_it_is_run(dock, form, scene):
    fill_edit(dock, form, scene)
    until(lambda: dock.edit.planned is not None)
    form.prompt.setPlainText("a lake " * 400)
    until(lambda: dock.edit.refused)
    assert "characters" in dock.plan.text()
    assert not dock.run_button.isEnabled()
    form.prompt.setPlainText("a lake")
    until(dock.run_button.isEnabled)
