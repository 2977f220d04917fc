"""The answer to the latest wish only: what is read or looked over in a worker while the user still types.

One answer at a time: a new wish takes back the one before, and waits a moment for the next. Knows no widget
and no network.
"""

from __future__ import annotations

from typing import Callable, Optional

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.tasks import BackgroundTask, Listener

Look = Callable[[Listener], object]  # finds the answer, in a worker


class Latest(QObject):
    """Answers the latest wish; ``found`` carries the answer, ``refused`` a ``PluginError``."""

    found = pyqtSignal(object)
    refused = pyqtSignal(object)

    def __init__(self, doing: str, pause_ms: int, parent: Optional[QObject] = None) -> None:
        """Begin to look ``pause_ms`` after a wish; ``doing`` says what, where QGIS lists or fails it."""
        super().__init__(parent)
        self._doing = doing
        self._wish: Optional[Callable[[], Optional[Look]]] = None
        self._work: Optional[BackgroundTask] = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(pause_ms)
        self._pause.timeout.connect(self._look)

    def want(self, wish: Callable[[], Optional[Look]]) -> None:
        """Look as ``wish`` says a moment from now: it is called in the main thread, and None is no look."""
        self.stop()
        self._wish = wish
        self._pause.start()

    def stop(self) -> None:
        """Take back the wish; no signal comes."""
        self._pause.stop()
        if self._work is not None:
            self._work.drop()
            self._work = None

    def _look(self) -> None:
        try:
            look = self._wish() if self._wish is not None else None
        except PluginError as error:
            self.refused.emit(error)
            return
        if look is not None:
            self._work = BackgroundTask(self._doing, look, self._done, True)
            self._work.start()

    def _done(self, answer: object, error: Optional[PluginError]) -> None:
        self._work = None
        if error is not None:
            self.refused.emit(error)
        elif answer is not None:
            self.found.emit(answer)
