"""Starts a job and closes QGIS by its menu while the job runs."""

import os
import sys
from pathlib import Path

sys.path.insert(0, os.environ["SESSION_FOLDER"])
from qgis.core import QgsProject
from qgis.utils import iface
from session import fill, run_session, until


def work() -> None:
    dock = fill(4.0, steps=100)
    dock.run_button.click()
    key = dock.runs.model.rows[0].run.key
    until(lambda: dock.runs.row(key).run.job)
    Path(os.environ["SESSION_OUT"]).write_text(dock.runs.row(key).run.job)
    QgsProject.instance().setDirty(False)
    iface.actionExit().trigger()


run_session(work, ends=False)
