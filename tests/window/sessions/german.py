"""Opens the panel in a German QGIS; writes what a button says, and how wide the forms are at least."""

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
    forms = (dock.request, dock.edit.form, dock.extend.form)
    seen = {"run": dock.run_button.text(), "widths": [form.minimumSizeHint().width() for form in forms]}
    Path(os.environ["SESSION_OUT"]).write_text(json.dumps(seen))


run_session(work)
