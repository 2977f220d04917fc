"""Several runs at once: each with its progress and its Cancel, and nothing on the screen jumps."""

from __future__ import annotations

from itertools import pairwise

from qgis.PyQt.QtCore import QTimer

from tests.support.qgis.dock import running, start, state
from tests.support.qgis.window import MainThreadMeter, grab, until
from text2earth_qgis.gui.run_list.model import Heading

LONG = {"gsd": 1.0, "steps": 200}  # minutes
GRABS = 10


def places(dock, keys):
    """Return where everything is that must not move while runs go on."""
    view = dock.runs.view
    cards = [dock.runs.card(key) for key in keys]
    parts = (dock.plan, dock.run_button, dock.runs, dock.runs.search, view, *cards)
    return [part.geometry() for part in parts], view.verticalScrollBar().value(), dock.notice.isVisible()


def wait(seconds):
    over = []
    QTimer.singleShot(int(seconds * 1000), lambda: over.append(1))
    until(lambda: over)


def test_two_runs_go_on_side_by_side_and_nothing_jumps(dock, scene):
    first = start(dock, scene, **LONG)
    assert dock.runs.chosen().run.key == first
    running(dock, first)
    until(dock.run_button.isEnabled)
    second = start(dock, scene, **LONG)
    keys = [second, first]
    assert [line.title for line in dock.runs.model.lines if isinstance(line, Heading)][0] == "Under way"
    assert [row.run.key for row in dock.runs.model.rows][:2] == keys
    assert dock.runs.chosen().run.key == second
    until(lambda: "step" in dock.runs.card(first).phase() and "queue" in dock.runs.card(second).phase())
    until(lambda: dock.previews.items() and "left" in dock.runs.card(first).phase())
    assert "windows" in dock.runs.card(first).phase()
    wait(1)
    seen, progress = [], []
    with MainThreadMeter() as meter:
        for number in range(GRABS):
            wait(0.4)
            grab(f"several-runs-{number}", dock)
            seen.append(places(dock, keys))
            progress.append(dock.runs.card(first).progress())
            assert len(dock.previews.items()) == 1
    assert all(one == seen[0] for one in seen), "nothing moves"
    assert all(before <= after for before, after in pairwise(progress))
    assert meter.longest < meter.allowed
    dock.runs.card(first).cancel.click()
    until(lambda: state(dock, first) == "dismissed")
    running(dock, second)
    dock.runs.card(second).cancel.click()
    until(lambda: state(dock, second) == "dismissed")
    until(lambda: not dock.previews.items())


def test_the_outline_goes_when_the_result_is_there(dock, scene):
    key = start(dock, scene, gsd=8.0, steps=1, share=0.2)
    outline = dock.generate.footprint
    assert not outline.geometry().isEmpty()
    until(lambda: state(dock, key) == "fetched")
    until(lambda: dock.results.layer(dock.runs.row(key).run) is not None)
    until(lambda: outline.geometry().isEmpty())
    dock.connection.check()
    wait(0.3)
    assert outline.geometry().isEmpty(), "until something changes"
    dock.request.prompt.setPlainText("a forest")
    until(lambda: not outline.geometry().isEmpty())
