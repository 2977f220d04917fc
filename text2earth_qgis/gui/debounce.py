"""Answers only the latest question: for what takes a worker a moment while the user still types.

A new question takes back the one before, and waits a moment for the next. Knows no widget and no network.
"""

from __future__ import annotations

from typing import Callable, Optional

from qgis.PyQt.QtCore import QObject, pyqtSignal

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.tasks import BackgroundTask, Listener
from text2earth_qgis.core.timers import single_shot

Question = Callable[[Listener], object]  # finds the answer, in a worker


class Debounced(QObject):
    """Answers the latest question; ``found`` carries the answer, ``refused`` a ``PluginError``."""

    found = pyqtSignal(object)
    refused = pyqtSignal(object)

    def __init__(self, doing: str, pause_ms: int, parent: Optional[QObject] = None) -> None:
        """Wait ``pause_ms`` for the next question; ``doing`` names the work for QGIS and in failures."""
        super().__init__(parent)
        self._doing = doing
        self._prepare: Callable[[], Optional[Question]] = lambda: None
        self._work: Optional[BackgroundTask] = None
        self._pause = single_shot(self, self._begin, pause_ms)

    def ask(self, prepare: Callable[[], Optional[Question]]) -> None:
        """Answer what ``prepare`` returns a moment from now, in the main thread; None asks nothing."""
        self.stop()
        self._prepare = prepare
        self._pause.start()

    def stop(self) -> None:
        """Take back the question; no signal comes."""
        self._pause.stop()
        if self._work is not None:
            self._work.drop()
            self._work = None

    def _begin(self) -> None:
        try:
            question = self._prepare()
        except PluginError as error:
            self.refused.emit(error)
            return
        if question is not None:
            self._work = BackgroundTask(self._doing, question, self._done, True)
            self._work.start()

    def _done(self, answer: object, error: Optional[PluginError]) -> None:
        self._work = None
        if error is not None:
            self.refused.emit(error)
        elif answer is not None:
            self.found.emit(answer)
