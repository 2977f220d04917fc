"""Opens the panel in a German QGIS and writes what its buttons say to SESSION_OUT."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, os.environ["SESSION_FOLDER"])
from qgis.utils import iface, plugins
from session import run_session


def work() -> None:
    plugins["text2earth_qgis"].window.show_dock()
    dock = plugins["text2earth_qgis"].window.dock
    assert iface.mainWindow().grab().save(os.environ["SESSION_SCREEN"])
    Path(os.environ["SESSION_OUT"]).write_text(json.dumps([dock.run_button.text()]))


run_session(work)
