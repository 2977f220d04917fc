"""Runs our algorithms as QGIS's toolbox does."""

import gc

from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsScopedProxyProgressTask,
)
from qgis.PyQt import sip

PATIENCE = 200_000  # milliseconds: so long takes only what will never happen, on any machine
# A scene that takes minutes on a machine many times faster than any of today: it does not end by itself.
HOURS = {"EXTENT": "500000,504096,5800000,5803072 [EPSG:32633]", "GSD": 1, "STEPS": 170}


def algorithm_of(name):
    """Return a fresh algorithm of ours."""
    return QgsApplication.processingRegistry().createAlgorithmById(f"text2earth:{name}")


def in_worker(name, parameters, qtbot, during=lambda task: None, project=None):
    """Run as the toolbox does, in a worker thread; return (good, results, log)."""
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    if project is not None:
        context.setProject(project)
    algorithm = algorithm_of(name)
    task = QgsProcessingAlgRunnerTask(algorithm, parameters, context, feedback)
    ends = []
    task.executed.connect(lambda good, results: ends.append((good, results)))
    QgsApplication.taskManager().addTask(task)
    during(task)
    qtbot.waitUntil(lambda: bool(ends), timeout=PATIENCE)
    return (*ends[0], feedback.textLog())


def run_batch(dialog, qtbot):
    """Run the rows of a batch window; newer versions of QGIS do so in workers.

    QGIS 3.22 leaks the exception of a failed row, with it the batch window's frame, with it its task.
    """
    dialog.runAlgorithm()
    qtbot.waitUntil(lambda: dialog.runButton().isEnabled(), timeout=PATIENCE)
    for leaked in gc.get_objects():
        if isinstance(leaked, QgsScopedProxyProgressTask) and not sip.isdeleted(leaked):
            sip.delete(leaked)
