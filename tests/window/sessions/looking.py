"""What the looks share: the window to look at, a picture of it, and whether all of its texts can be read."""

from __future__ import annotations

import os
from pathlib import Path

from qgis.PyQt.QtCore import QEventLoop, Qt, QTimer
from qgis.PyQt.QtWidgets import QMenu, QWidget
from qgis.utils import iface, plugins
from session import show

from tests.support.qgis.dock import cut_texts
from tests.support.qgis.window import until

FOLDER = Path(os.environ["SESSION_LOOKS"])
BACKEND = os.environ["SESSION_BACKEND"]
cut: list[str] = []  # texts that cannot be read, each after its state


def window():
    """Return the plugin's share of the window."""
    return plugins["text2earth_qgis"].window


def open_dock():
    """Open a project with the scene, and the dock, as wide as it is to be; return both."""
    dock, scene = show()
    iface.mainWindow().resizeDocks([dock], [int(os.environ["SESSION_WIDTH"])], Qt.Orientation.Horizontal)
    return dock, scene


def use_backend(folder: str) -> None:
    """Let this folder be that of the user's backend on this computer."""
    os.environ["TEXT2EARTH_DATA_DIR"] = folder
    window().settings_changed()


def grab(state: str, widget: QWidget) -> None:
    """Write what a part of the window looks like, once all is drawn."""
    dock = window().dock
    until(lambda: not iface.mapCanvas().isDrawing())
    until(lambda: dock.plan.isEnabled() or not dock.connection.state.ready)
    pause = QEventLoop()
    QTimer.singleShot(250, pause.quit)
    pause.exec()
    if widget is dock:
        cut.extend(f"{state}: {text}" for text in cut_texts(widget))
    assert widget.grab().save(str(FOLDER / f"{state}.png"))


def grab_window(state: str) -> None:
    """Write what the whole window looks like."""
    grab(state, iface.mainWindow())


def grab_menu(state: str, menu: QMenu) -> None:
    """Write what a menu looks like when it is open."""
    menu.popup(iface.mainWindow().rect().center())
    grab(state, menu)
    menu.close()
