"""A new user: an empty profile, no backend. Installs one from the panel, makes a first layer: two clicks.

Writes what was seen and how long it took to SESSION_OUT, and pictures of the way beside SESSION_SCREEN.
"""

import json
import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, os.environ["SESSION_FOLDER"])
from qgis.core import QgsProject
from qgis.PyQt.QtWidgets import QFileDialog
from qgis.utils import iface, plugins
from session import run_session, until

SCREEN = Path(os.environ["SESSION_SCREEN"])
WHEELS = os.environ.get("SESSION_WHEELS", "")  # the folder that the user picks


def grab(state: str) -> None:
    name = f"{SCREEN.stem}-{os.environ.get('SESSION_LOOK', 'day')}-{state}.png"
    assert iface.mainWindow().grab().save(str(SCREEN.with_name(name)))


def spent() -> float:
    """Return the seconds of processor time of this QGIS, of what it has run, and of the backend."""
    mine, others = (resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = sum(one.ru_utime + one.ru_stime for one in (mine, others))
    python = str(Path(os.environ["TEXT2EARTH_DATA_DIR"], "environment", "bin", "python")).encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or another user's
            if (process / "cmdline").read_bytes().startswith(python):
                user, system = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
                seconds += (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return seconds


def work() -> None:
    from tests.support.qgis.window import Interruptions, MainThreadMeter, settle

    iface.newProject(False)
    iface.mainWindow().resize(1400, 900)
    window = plugins["text2earth_qgis"].window
    with Interruptions() as interruptions, MainThreadMeter() as meter:
        window.show_dock()
        front = window.dock.front
        until(lambda: window.dock.connection.state.asked)
        assert front.on_setup
        here = front.this_computer
        if WHEELS:
            QFileDialog.getExistingDirectory = lambda *_: WHEELS  # what a person picks there
            here._choose_folder()
        settle()
        grab("page")
        began, spent_before = time.monotonic(), spent()
        here.install_button.click()
        until(lambda: "Installing" in here.title.text() or not front.installer.state.busy)
        grab("working")
        until(lambda: not front.installer.state.busy, 500)
        assert front.first.isVisible(), (front.installer.state.sentence, front.installer.state.output[-20:])
        installed = time.monotonic()
        settle()
        grab("installed")
        front.first.prompt.setPlainText(os.environ.get("SESSION_PROMPT", front.first.prompt.text()))
        front.first.button.click()
        until(lambda: QgsProject.instance().mapLayers(), 300)
        done, spent_in_all = time.monotonic(), spent() - spent_before
        (layer,) = QgsProject.instance().mapLayers().values()
        pause = time.monotonic() + 2  # the map is drawn
        until(lambda: time.monotonic() > pause and not iface.mapCanvas().isDrawing())
        grab("layer")
    seen = {
        "install": installed - began,
        "layer": done - installed,
        "all": done - began,
        "processor": spent_in_all,
        "file": layer.source(),
        "size": [layer.width(), layer.height()],
        "around": iface.mapCanvas()
        .extent()
        .contains(iface.mapCanvas().mapSettings().layerExtentToOutputExtent(layer, layer.extent())),
        "longest": [meter.longest, meter.allowed, meter.where],  # stay in our code on the main thread
        "dialogs": interruptions.dialogs,
        "errors": interruptions.errors,
        "log": list(front.installer.state.log),
    }
    Path(os.environ["SESSION_OUT"]).write_text(json.dumps(seen))


run_session(work)
