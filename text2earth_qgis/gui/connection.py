"""Whether the backend is there, and what it can do.

Asks ``/healthz`` and ``/models`` without waiting, tells by one signal, and asks again while nothing answers
and somebody looks. Knows no widget and no job.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.async_client import AsyncClient
from text2earth_qgis.core.wire.schemas import Json

AGAIN_MS = 5_000


@dataclass(frozen=True)
class State:
    """What is known of a backend. ``trouble`` is a sentence; without it the backend is ready."""

    url: str
    asked: bool = False  # an answer, good or bad, has come
    trouble: str = ""
    health: Json = field(default_factory=dict)
    models: tuple[Json, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether jobs can be sent there."""
        return self.asked and not self.trouble


class Connection(QObject):
    """Watches one backend at a time from the main thread."""

    changed = pyqtSignal()

    def __init__(self, access: Access, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.client = AsyncClient(access, self)
        self.state = State(access.url)
        self._watched = False
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self.check)

    def use(self, access: Access) -> None:
        """Turn to another backend, or to the same one with other credentials."""
        self.client.close()
        self.client.deleteLater()
        self.client = AsyncClient(access, self)
        self._become(State(access.url))
        self.check()

    def watch(self, watched: bool) -> None:
        """Keep asking while somebody looks; asks at once if nothing good is known."""
        self._watched = watched
        if watched and not self.state.ready:
            self.check()
        elif not watched:
            self._again.stop()

    def check(self) -> None:
        """Ask now."""
        self._again.stop()
        self.client.run(calls.healthz(), self._healthy, self._failed)

    def lost(self, error: PluginError) -> None:
        """Note that a request of somebody else found no backend."""
        self._failed(error)

    def close(self) -> None:
        """Ask nothing any more."""
        self._again.stop()
        self.client.close()

    def _healthy(self, health: Json) -> None:
        self.client.run(calls.models(), lambda models: self._complete(health, models), self._failed)

    def _complete(self, health: Json, models: list[Json]) -> None:
        self._become(State(self.client.access.url, True, "", health, tuple(models)))

    def _failed(self, error: PluginError) -> None:
        self._become(State(self.client.access.url, True, str(error)))
        if self._watched:
            self._again.start(AGAIN_MS)

    def _become(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self.changed.emit()
