"""The list of runs: headings, search, thousands of runs, removal with or without the file."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta
from pathlib import Path

import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtCore import QEvent, QStandardPaths, Qt
from qgis.PyQt.QtGui import QKeyEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication

from tests.support.qgis.dock import ask, bar, start, state, status
from tests.support.qgis.runs import years_of_runs
from tests.support.qgis.window import SCENE, MainThreadMeter, grab, settle, until
from text2earth_qgis.core import tasks
from text2earth_qgis.core.runs.history import History, Run
from text2earth_qgis.core.runs.watcher import RunStatus
from text2earth_qgis.core.tasks import BackgroundTask
from text2earth_qgis.gui.run_list import removals
from text2earth_qgis.gui.run_list.model import Heading
from text2earth_qgis.gui.run_list.removals import Removals
from text2earth_qgis.gui.run_list.rows import Row
from text2earth_qgis.gui.run_list.runs import RunsPanel
from text2earth_qgis.gui.runner import Runner

COUNT = 5000


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "history.sqlite")


@pytest.fixture
def panel(iface, history):
    """The list alone, in a window of its own, of two days and more."""
    years_of_runs(history, 250)
    panel = RunsPanel()
    panel.resize(300, 500)
    panel.read(history.latest)
    panel.show()
    settle()
    yield panel
    panel.delegate.thumbnails.close()
    panel.deleteLater()


def headings(panel):
    return [line.title for line in panel.model.lines if isinstance(line, Heading)]


def keys(panel):
    return [row.run.key for row in panel.model.rows]


def made(history, **changes):
    """Write a run of now."""
    return history.put(
        dataclasses.replace(Run("http://127.0.0.1:1", {"prompt": "a new lake"}, "/x/new.tif"), **changes)
    )


def test_thousands_of_runs_open_scroll_and_are_searched_at_once(iface, history):
    years_of_runs(history, COUNT)
    with MainThreadMeter() as meter:
        began = time.thread_time()
        panel = RunsPanel()
        panel.resize(300, 500)
        panel.read(history.latest)
        panel.show()
        settle()
        opened = time.thread_time() - began
        began = time.thread_time()
        bar = panel.view.verticalScrollBar()
        while len(panel.model.rows) < 1000:
            bar.setValue(bar.maximum())
            settle()
        scrolled = (time.thread_time() - began) / 10
        began = time.thread_time()
        QTest.keyClicks(panel.search, "harbour 4998")
        until(lambda: len(panel.model.rows) == 1)
        found = time.thread_time() - began
    print(
        f"{COUNT} runs: opened in {opened * 1000:.0f} ms, a page in {scrolled * 1000:.0f} ms, "
        f"searched in {found * 1000:.0f} ms; longest stay {meter.longest * 1000:.1f} ms in {meter.where}"
    )
    assert opened < 0.3 * meter.allowed / 0.050
    assert meter.longest < meter.allowed
    panel.delegate.thumbnails.close()
    panel.deleteLater()


def test_runs_stand_under_their_day_and_those_under_way_on_top(panel, history):
    assert headings(panel)[:1] in (["Today"], ["Yesterday"])
    assert "Yesterday" in headings(panel)
    assert keys(panel) == [run.key for run in history.latest()]
    first, second = (made(history, state="running", job=name) for name in "ab")
    for run in (first, second):
        panel.put(Row(run, RunStatus(run, "Making the image.")))
    assert headings(panel)[0] == "Under way"
    assert keys(panel)[:2] == [second.key, first.key]
    assert panel.chosen().run.key == second.key, "a new one is chosen"
    settle()
    assert panel.view.visualRect(panel.view.currentIndex()).top() >= 0
    panel.choose(first.key)
    panel.view.verticalScrollBar().setValue(400)
    panel.put(Row(first, RunStatus(first, "Making the image.", 40.0)))
    assert panel.view.verticalScrollBar().value() == 400, "progress scrolls nothing"
    grab("run-list", panel)
    panel.put(Row(history.put(dataclasses.replace(first, state="fetched"))))
    assert headings(panel)[:2] == ["Under way", "Today"]
    assert panel.chosen().run.key == first.key
    panel.put(Row(history.put(dataclasses.replace(second, state="dismissed"))))
    assert headings(panel)[0] == "Today"
    assert keys(panel)[:2] == [second.key, first.key]
    panel.remove([first.key, second.key])
    assert keys(panel) == [run.key for run in history.latest(limit=102)][2:]


def test_what_is_looked_for_is_left_when_a_new_run_begins(panel, history):
    QTest.keyClicks(panel.search, "NAIP 3")
    until(lambda: panel.model.words == "NAIP 3")
    assert all("NAIP" in row.run.raster for row in panel.model.rows)
    assert panel.model.rows
    panel.search.setText("nowhere")
    until(lambda: not panel.model.lines)
    grab("run-list-nothing-found", panel)
    run = made(history, state="running", job="a")
    panel.put(Row(run, RunStatus(run, "Making the image.")))
    assert panel.search.text() == ""
    assert keys(panel)[0] == panel.chosen().run.key == run.key
    assert panel.card(run.key) is not None
    panel.search.setText("lake new")
    until(lambda: keys(panel) == [run.key])
    assert panel.card(run.key) is not None, "a card is there after a search too"


def test_no_task_begins_while_the_list_is_painted(panel, monkeypatch):
    """QGIS repaints its bar of progress when one does, and a painting within a painting ends QGIS."""
    thumbnails, began, came = panel.delegate.thumbnails, [], []
    until(lambda: not tasks._under_way)  # of the runs that are in the list
    start_task = BackgroundTask.start  # QGIS itself does not tell of tasks that are not listed
    monkeypatch.setattr(BackgroundTask, "start", lambda task: (began.append(task), start_task(task)))
    thumbnails.came.connect(came.append)
    assert thumbnails.of(str(SCENE)).isNull(), "as the delegate asks while it paints"
    assert not began
    until(lambda: str(SCENE) in came)
    assert not thumbnails.of(str(SCENE)).isNull()


def test_a_row_is_as_high_as_what_it_says(panel, history):
    short = made(history, state="failed", message="No.")
    waits = made(history, state="successful")
    long = made(history, state="failed", message="The backend could not finish the job. " * 9)
    panel.read(history.latest)
    settle()
    heights = [panel.view.visualRect(panel._index(run.key)).height() for run in (short, waits, long)]
    line = panel.view.fontMetrics().height()
    assert heights[0] == heights[1] == heights[2] - 2 * line


def test_removing_asks_first(panel):
    told = []
    panel.removed.connect(told.append)
    panel.choose(keys(panel)[1])
    panel.view.setFocus()
    QTest.keyClick(panel.view, Qt.Key.Key_Delete)
    assert list(panel.question.actions()) == ["Remove", "Cancel"], "its file is not there"
    panel.question.actions()["Cancel"].click()
    assert told == []
    QTest.keyClick(panel.view, Qt.Key.Key_Delete)
    panel.choose(keys(panel)[2])
    assert panel.question.isHidden(), "another one is chosen"
    panel.buttons["removed"].click()
    panel.question.actions()["Remove"].click()
    assert told == [[keys(panel)[2]]]


def test_several_are_chosen_and_removed_at_once(panel, history):
    told = []
    panel.removed.connect(told.append)
    run = made(history, state="running", job="a")
    panel.put(Row(run, RunStatus(run, "Making the image.")))
    listed = keys(panel)
    panel.choose(listed[1])
    panel.view.setFocus()
    QTest.keyClick(panel.view, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(panel.view, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert [row.run.key for row in panel.selected()] == listed[1:4]
    assert panel.chosen() is None
    enabled = {name for name, button in panel.buttons.items() if button.isEnabled()}
    assert enabled == {"removed"}, "the others are about one run"
    panel.buttons["removed"].click()
    assert panel.question.text() == "Remove 3 runs from the list?"
    grab("run-list-remove-several", panel)
    panel.question.actions()["Remove"].click()
    assert told == [listed[1:4]]
    panel.view.selectAll()
    panel.buttons["removed"].click()
    panel.question.actions()["Remove"].click()
    assert told[1] == listed[1:], "what is under way stays"
    history.remove(listed[1:])
    panel.remove(listed[1:])
    until(lambda: len(keys(panel)) > 1)  # the next page
    assert headings(panel)[0] == "Under way"
    assert keys(panel) == [one.key for one in history.latest(limit=len(keys(panel)))]
    assert panel.card(run.key) is not None
    panel.bring_back(history.restore(listed[1:]))
    assert len(panel.selected()) == 100
    assert keys(panel) == [one.key for one in history.latest(limit=len(keys(panel)))]
    assert [row.run.key for row in panel.selected()] == listed[1:]


def test_a_file_goes_to_the_trash_with_its_layer(dock, scene):
    key = start(dock, scene, gsd=8.0)
    until(lambda: state(dock, key) == "fetched")
    until(lambda: len(QgsProject.instance().mapLayers()) == 2)
    run = dock.runs.row(key).run
    dock.runs.choose(key)
    dock.runs.buttons["removed"].click()
    grab("run-list-remove", dock)
    dock.runs.question.actions()["With its file"].click()
    assert dock.runs.row(key) is None
    assert dock.runner.run_of(run.target) is None
    assert not Path(run.target).exists()
    assert len(QgsProject.instance().mapLayers()) == 1
    found = in_trash(run)
    assert found
    assert dock.runs.offer.label.text() == "1 run removed."
    dock.runs.offer.away.click()
    assert dock.runs.offer.isHidden()
    assert in_trash(run) == found, "what is removed for good has its file in the trash all the same"
    for path in found:
        path.unlink()


def in_trash(run):
    """Return what the trash has of a run, its files and what is noted of them."""
    trash = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    name = Path(run.target).stem
    return sorted(path for path in Path(trash, "Trash").glob(f"*/{name}*"))


def two_results(dock, scene):
    """Make two scenes, both on the map, and return their runs."""
    found = []
    for number in (1, 2):
        key = start(dock, scene, gsd=8.0)
        until(lambda key=key: state(dock, key) == "fetched")
        until(lambda number=number: len(QgsProject.instance().mapLayers()) == 1 + number)
        found.append(dock.runner.run(key))
    return found


def remove_all(dock, answer):
    dock.runs.view.selectAll()
    dock.runs.buttons["removed"].click()
    dock.runs.question.actions()[answer].click()


def test_ctrl_z_brings_runs_and_their_files_back(dock, scene, backend):
    runs = two_results(dock, scene)
    before = keys(dock.runs)
    thumbnails = dock.runs.delegate.thumbnails
    until(lambda: not any(thumbnails.of(run.target).isNull() for run in runs))
    layers = {layer.name() for layer in QgsProject.instance().mapLayers().values()}
    pixels = [Path(run.target).read_bytes() for run in runs]
    remove_all(dock, "With their files")
    assert keys(dock.runs) == []
    assert not any(Path(run.target).exists() for run in runs)
    assert len(QgsProject.instance().mapLayers()) == 1
    assert all(in_trash(run) for run in runs)
    assert dock.runs.offer.label.text() == "2 runs removed."
    assert dock.runs.offer.undo.isVisible()
    grab("run-list-undo", dock)
    shortcut = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    shortcut.ignore()
    QApplication.sendEvent(dock.runs.view, shortcut)
    assert shortcut.isAccepted(), "QGIS undoes nothing of its own"
    QTest.keyClick(dock.runs.view, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert keys(dock.runs) == before
    assert [dock.runner.run(run.key) for run in runs] == runs, "with all that history knew"
    assert [Path(run.target).read_bytes() for run in runs] == pixels
    assert not any(in_trash(run) for run in runs)
    assert not any(thumbnails.of(run.target).isNull() for run in runs)
    assert {layer.name() for layer in QgsProject.instance().mapLayers().values()} == layers
    assert dock.runs.offer.isHidden()
    shortcut.ignore()
    QApplication.sendEvent(dock.runs.view, shortcut)
    assert not shortcut.isAccepted()
    assert [status(backend, run).status_code for run in runs] == [200, 200]


def test_a_file_that_is_not_in_the_trash_any_more_is_said(dock, scene, iface):
    gone, other = two_results(dock, scene)
    remove_all(dock, "With their files")
    for path in in_trash(gone):
        path.unlink()
    dock.runs.offer.undo.click()
    assert keys(dock.runs) == [other.key, gone.key]
    assert Path(other.target).is_file()
    assert f"{gone.target} is not in the trash any more." in bar(iface)[0]


def test_removals_are_undone_from_the_last_one_back(dock, scene, backend):
    first, second = two_results(dock, scene)
    for run in (first, second):
        dock.runs.choose(run.key)
        dock.runs.buttons["removed"].click()
        dock.runs.question.actions()["Remove"].click()
    assert keys(dock.runs) == []
    dock.runs.offer.undo.click()
    assert keys(dock.runs) == [second.key]
    assert dock.runs.offer.label.text() == "1 run removed.", "the one before"
    dock.runs.offer.away.click()
    until(lambda: dock.runner.run(first.key) is None)
    assert [status(backend, run).status_code for run in (first, second)] == [404, 200]
    assert Path(first.target).is_file()
    assert dock.runs.offer.isHidden()


def test_what_was_removed_is_erased_a_while_later_by_any_qgis(dock, scene, backend, monkeypatch):
    """Also after QGIS was killed: another one reads the same history, and nothing else."""
    first, second = two_results(dock, scene)
    dock.removals.remove([first.key])
    runner = Runner(History(dock.runner._history.path), QgsProject.instance())
    other = Removals(runner, dock.results)
    other.look()
    settle()
    assert status(backend, first).status_code == 200, "it can still be undone"
    monkeypatch.setattr(removals, "OFFERED", timedelta(0))
    other.look()
    until(lambda: runner.run(first.key) is None)
    assert status(backend, first).status_code == 404
    assert status(backend, second).status_code == 200
    other.stop()
    runner.stop()
    dock.removals.undo()
    assert keys(dock.runs) == [second.key]
    assert dock.runs.offer.isHidden()


def test_variants_that_are_brought_back_are_decided_on(dock, scene):
    dock.request.seed.set_value(5)
    dock.request.seed.set_variants(2)
    ask(dock, scene, gsd=8.0)
    dock.run_button.click()
    strip = dock.variants.strip
    until(lambda: sum(one.ready for one in strip.pictures.pictures.variants) == 2)
    shown = strip.keys
    remove_all(dock, "Remove")
    assert strip.isHidden()
    dock.runs.offer.undo.click()
    assert strip.keys == shown
    strip.discard_all.trigger()


def test_thousands_are_removed_and_brought_back_at_once(dock):
    years_of_runs(dock.runner._history, COUNT)
    dock.runs.read(dock.runner.latest)
    while dock.runs.model.canFetchMore():
        dock.runs.model.fetchMore()
    before = keys(dock.runs)
    assert len(before) == COUNT
    meter = MainThreadMeter()

    def timed(act):
        began = time.thread_time()
        act()
        settle()
        return time.thread_time() - began

    removed = timed(lambda: remove_all(dock, "Remove"))
    assert keys(dock.runs) == []
    back = timed(dock.runs.offer.undo.click)
    assert keys(dock.runs) == before
    scattered = timed(lambda: dock.removals.remove(before[::10]))
    assert len(keys(dock.runs)) == COUNT - COUNT // 10
    print(
        f"{COUNT} runs: removed in {removed * 1000:.0f} ms, brought back in {back * 1000:.0f} ms, every "
        f"tenth removed in {scattered * 1000:.0f} ms"
    )
    assert max(removed, back, scattered) < 1.0 * meter.allowed / 0.050
    dock.removals.remove(keys(dock.runs))
    dock.removals.close()
    until(lambda: dock.runner.run(before[0]) is None)
