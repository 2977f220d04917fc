"""The list of runs: headings, search, thousands of runs, removal with or without the file."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtCore import QStandardPaths, Qt
from qgis.PyQt.QtTest import QTest

from tests.support.qgis.dock import start, state
from tests.support.qgis.runs import years_of_runs
from tests.support.qgis.window import SCENE, MainThreadMeter, grab, settle, until
from text2earth_qgis.core import tasks
from text2earth_qgis.core.runs.history import History, Run
from text2earth_qgis.core.runs.watcher import RunStatus
from text2earth_qgis.core.tasks import BackgroundTask
from text2earth_qgis.gui.run_list.model import Heading
from text2earth_qgis.gui.run_list.rows import Row
from text2earth_qgis.gui.run_list.runs import RunsPanel

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
    panel.remove(first.key)
    panel.remove(second.key)
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
    assert told == [keys(panel)[2]]


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
    assert dock.runner.run(key) is None
    assert not Path(run.target).exists()
    assert len(QgsProject.instance().mapLayers()) == 1
    trash = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    found = [path for path in Path(trash, "Trash", "files").iterdir() if path.stem == Path(run.target).stem]
    assert found
    for path in found:
        path.unlink()
