"""Starts an algorithm as the toolbox does and closes QGIS by its menu while the job runs, then for good.

QGIS itself refuses to close while an algorithm runs, and asks to cancel it first.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, os.environ["SESSION_FOLDER"])
from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
)
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface
from session import run_session, until

from tests.support.qgis.runs import whole
from text2earth_qgis.core import settings
from text2earth_qgis.core.runs.history import History

kept = []


def work() -> None:
    target = str(Path(os.environ["SESSION_OUT"]).with_name("results") / "a.tif")
    box = "500000,504096,5800000,5803072 [EPSG:32633]"  # takes minutes, on any machine
    asked = {"PROMPT": "a lake", "EXTENT": box, "GSD": 1, "STEPS": 170, "OUTPUT": target}
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("text2earth:generate")
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    task = QgsProcessingAlgRunnerTask(algorithm, asked, context, feedback)
    kept.extend([algorithm, context, feedback, task])
    QgsApplication.taskManager().addTask(task)
    history = History(settings.profile_folder() / "history.sqlite")
    until(lambda: [run.state for run in whole(history)] == ["accepted"])
    Path(os.environ["SESSION_OUT"]).write_text(whole(history)[0].job)
    QgsProject.instance().setDirty(False)
    refusals = []

    def close_box() -> None:
        box = QApplication.activeModalWidget()
        if box is not None:
            refusals.append(box.text())
            box.close()

    timer = QTimer()
    timer.timeout.connect(close_box)
    timer.start(200)
    iface.actionExit().trigger()
    until(lambda: refusals)
    assert "currently running" in refusals[0], refusals
    assert not feedback.isCanceled()
    assert task.isActive()


run_session(work)
