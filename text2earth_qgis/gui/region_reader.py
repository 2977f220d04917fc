"""Reads the regions that a request is to have, in a worker: a layer may be large.

One reading at a time: a change takes back the one before, and waits a moment for the next change. Knows no
widget and no network.
"""

from __future__ import annotations

from typing import Callable, Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from text2earth_qgis.core import regions
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.schemas import Polygons
from text2earth_qgis.core.work import Work

PAUSE_MS = 200

Wanted = tuple[regions.Layer, Optional[regions.Near]]


class RegionReader(QObject):
    """Reads the latest choice only; ``found`` carries Polygons, ``refused`` a PluginError."""

    found = pyqtSignal(object)
    refused = pyqtSignal(object)

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._wanted: Optional[Callable[[], Optional[Wanted]]] = None
        self._work: Optional[Work] = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._read)

    def read(self, wanted: Callable[[], Optional[Wanted]]) -> None:
        """Read what ``wanted`` returns a moment from now."""
        self.stop()
        self._wanted = wanted
        self._pause.start()

    def stop(self) -> None:
        """Take back the reading; no signal comes."""
        self._pause.stop()
        if self._work is not None:
            self._work.drop()
            self._work = None

    def _read(self) -> None:
        wanted = self._wanted() if self._wanted is not None else None
        if wanted is None:
            return
        layer, near = wanted
        self._work = Work(
            "reading the regions", lambda listener: regions.read(layer, near, listener.stop), self._done
        )
        QgsApplication.taskManager().addTask(self._work)

    def _done(self, found: Optional[Polygons], error: Optional[PluginError]) -> None:
        self._work = None
        if error is not None:
            self.refused.emit(error)
        elif found is not None:
            self.found.emit(found)
