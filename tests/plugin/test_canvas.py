"""The map keeps drawing, and other tasks begin, while jobs wait: a pool has few threads.

Before QGIS 3.34 tasks run in the thread pool that renders maps.
"""

import time

import pytest
from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas

from tests.support.qgis.toolbox import HOURS, PATIENCE
from text2earth_qgis.core.runs.history import History, Run
from text2earth_qgis.core.runs.watcher import JobWatcher
from text2earth_qgis.core.threads import pool_of_tasks
from text2earth_qgis.core.wire.schemas import Extent, GenerateInputs
from text2earth_qgis.core.wire.transport import open_client
from text2earth_qgis.processing.generate import Generate

SHORTER = 60_000  # milliseconds: than any of the jobs takes
JOBS = 6


@pytest.fixture
def canvas(qtbot):
    layer = QgsVectorLayer("Polygon?crs=EPSG:32633", "x", "memory")
    widget = QgsMapCanvas()
    qtbot.addWidget(widget)
    widget.resize(400, 300)
    widget.setDestinationCrs(layer.crs())
    widget.setLayers([layer])
    widget.setExtent(QgsRectangle(500000, 5800000, 500256, 5800256))
    widget.show()
    with qtbot.waitSignal(widget.mapCanvasRefreshed, timeout=PATIENCE):
        widget.refresh()
    yield widget
    widget.setLayers([])


def refresh(canvas, qtbot):
    started = time.monotonic()
    with qtbot.waitSignal(canvas.mapCanvasRefreshed, timeout=SHORTER):
        canvas.refreshAllLayers()
    return time.monotonic() - started


def unfinished(backend):
    jobs = open_client(backend.access).fetch_json("jobs?limit=1000")["jobs"]
    return [job for job in jobs if job["status"] in ("accepted", "running")]


@pytest.fixture
def _two_threads():
    """As on a machine with two cores."""
    pool = pool_of_tasks()
    before = pool.maxThreadCount()
    pool.setMaxThreadCount(2)
    yield
    pool.setMaxThreadCount(before)


@pytest.mark.usefixtures("_two_threads")
def test_while_algorithms_wait(backend, canvas, tmp_path, qtbot):
    made = []
    for number in range(JOBS):
        context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
        parameters = {**HOURS, "PROMPT": "a lake", "OUTPUT": str(tmp_path / f"{number}.tif")}
        algorithm = Generate()
        algorithm.initAlgorithm()
        task = QgsProcessingAlgRunnerTask(algorithm, parameters, context, feedback)
        made.append((task, context, feedback, algorithm))
        QgsApplication.taskManager().addTask(task)
    qtbot.waitUntil(lambda: len(unfinished(backend)) == JOBS, timeout=PATIENCE)
    times = [refresh(canvas, qtbot) for _ in range(3)]
    for task, *_ in made:
        task.cancel()
    qtbot.waitUntil(lambda: QgsApplication.taskManager().count() == 0, timeout=PATIENCE)
    print("seconds to refresh:", times)
    assert unfinished(backend) == []


@pytest.mark.usefixtures("_two_threads")
def test_while_the_dock_watches(backend, canvas, tmp_path, qtbot):
    history = History(tmp_path / "history.sqlite")
    inputs = GenerateInputs(
        "a lake", Extent([500000, 5800000, 504096, 5803072], "EPSG:32633"), 1.0, steps=170
    )
    watchers, ends = [], []
    for number in range(JOBS):
        run = Run(backend.url, inputs.to_json(), str(tmp_path / f"{number}.tif"))
        watcher = JobWatcher(lambda: backend.access, history, run, 0.1)
        watcher.dismissed.connect(ends.append)
        watchers.append(watcher)
        watcher.start()
    qtbot.waitUntil(lambda: len(unfinished(backend)) == JOBS, timeout=PATIENCE)
    times = [refresh(canvas, qtbot) for _ in range(3)]
    for watcher in watchers:
        watcher.cancel()
    qtbot.waitUntil(lambda: len(ends) == JOBS, timeout=PATIENCE)
    print("seconds to refresh:", times)
    assert unfinished(backend) == []
