"""Looks over an edit on this computer while the user sets it up: what can be said before anything is sent.

One look at a time, in a worker: a change takes back the look before, and waits a moment for the next change.
Knows no widget and no network.
"""

from __future__ import annotations

from typing import Callable, Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from text2earth_qgis.core.edits import Sight
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.jobs import Listener
from text2earth_qgis.core.work import Work

PAUSE_MS = 350

Look = Callable[[Listener], Sight]  # looks an edit over, in a worker


class Checker(QObject):
    """Looks over the latest edit only; ``seen`` carries a Sight, ``refused`` a PluginError."""

    seen = pyqtSignal(object)
    refused = pyqtSignal(object)

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._read: Optional[Callable[[], Look]] = None
        self._work: Optional[Work] = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._look)

    def check(self, read: Callable[[], Look]) -> None:
        """Do what ``read`` returns a moment from now: it reads the layers, in the main thread."""
        self.stop()
        self._read = read
        self._pause.start()

    def stop(self) -> None:
        """Take back the look; no signal comes."""
        self._pause.stop()
        if self._work is not None:
            self._work.drop()
            self._work = None

    def _look(self) -> None:
        if self._read is None:
            return
        try:
            look = self._read()
        except PluginError as error:
            self.refused.emit(error)
            return
        self._work = Work("looking at the mask", look, self._done, True)
        QgsApplication.taskManager().addTask(self._work)

    def _done(self, sight: Optional[Sight], error: Optional[PluginError]) -> None:
        self._work = None
        if error is not None:
            self.refused.emit(error)
        elif sight is not None:
            self.seen.emit(sight)
