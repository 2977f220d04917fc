"""Asks the backend how a model reads a prompt while that is typed: the latest one, and not at every key."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import QObject, pyqtSignal

from text2earth_qgis.core.errors import Locked, PluginError, Unreachable
from text2earth_qgis.core.timers import single_shot
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.quiet_network import Pending
from text2earth_qgis.core.wire.schemas import PromptReading
from text2earth_qgis.gui.connection import Connection

PAUSE_MS = 350  # in which the next key may come


class PromptReader(QObject):
    """``read`` carries the prompt and its ``PromptReading``."""

    read = pyqtSignal(str, object)

    def __init__(self, connection: Connection, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._connection = connection
        self._prompt, self._model = "", ""
        self._pending: Optional[Pending] = None
        self._pause = single_shot(self, self._ask, PAUSE_MS)

    def ask(self, prompt: str, model: str) -> None:
        """Ask a moment from now how that model reads a prompt."""
        self.stop()
        self._prompt, self._model = prompt, model
        self._pause.start()

    def stop(self) -> None:
        """Take back the question; no signal comes."""
        self._pause.stop()
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def _ask(self) -> None:
        if self._connection.state.ready:
            self._pending = self._connection.client.run(
                calls.read_prompt(self._prompt, self._model), self._answered, self._failed
            )

    def _answered(self, reading: PromptReading) -> None:
        self._pending = None
        self.read.emit(self._prompt, reading)

    def _failed(self, error: PluginError) -> None:
        self._pending = None
        if isinstance(error, (Unreachable, Locked)):
            self._connection.lost(error)  # a refusal stands in the plan
