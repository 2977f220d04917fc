"""Whether the backend is there, and what it can do.

Asks ``/healthz`` and ``/models`` without waiting, tells by one signal, and asks again while nothing answers
and somebody looks. Credentials are read anew for each check: a backend may write its token when it starts.
Knows no widget and no job.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Optional

from qgis.PyQt.QtCore import QObject, pyqtSignal

from text2earth_qgis.core.errors import BackendError, Locked, PluginError, Unreachable
from text2earth_qgis.core.timers import single_shot
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
    locked: bool = False  # QGIS's master password is what is missing
    away: bool = False  # nobody answers there
    health: Json = field(default_factory=dict)
    models: tuple[Json, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether jobs can be sent there."""
        return self.asked and not self.trouble


class Connection(QObject):
    """Watches one backend at a time from the main thread."""

    changed = pyqtSignal()

    def __init__(self, access_of: Callable[[], Access], parent: Optional[QObject] = None) -> None:
        """Ask the backend that ``access_of`` names whenever it is asked."""
        super().__init__(parent)
        self._access_of = access_of
        self.client = AsyncClient(access_of(), self)
        self.state = State(self.client.access.url)
        self._watched = False
        self._again = single_shot(self, self.check)

    def start_over(self) -> None:
        """Forget what is known, and ask the backend that is named now."""
        self._become(State(self._access_of().url))
        self.check()

    def watch(self, watched: bool) -> None:
        """Keep asking while somebody looks; asks at once if nothing good is known."""
        self._watched = watched
        if watched and not self.state.ready:
            self.check()
        elif not watched:
            self._again.stop()

    def check(self) -> None:
        """Ask now, with the credentials of now."""
        self._again.stop()
        access = self._access_of()
        if access != self.client.access:
            self.client.close()
            self.client.deleteLater()
            self.client = AsyncClient(access, self)
        self.client.run(calls.healthz(), self._healthy, self._failed)

    def lost(self, error: PluginError) -> None:
        """Note that a request of somebody else was not answered, or not with these credentials."""
        if isinstance(error, BackendError) and error.status == 401:
            self.start_over()  # the credentials may have changed since
        else:
            self._failed(error)

    def close(self) -> None:
        """Ask nothing any more."""
        self._again.stop()
        self.client.close()

    def _healthy(self, health: Json) -> None:
        self.client.run(calls.models(), lambda models: self._complete(health, models), self._failed)

    def _complete(self, health: Json, models: list[Json]) -> None:
        self._become(State(self.client.access.url, True, health=health, models=tuple(models)))

    def _failed(self, error: PluginError) -> None:
        away = isinstance(error, Unreachable)
        self._become(State(self.client.access.url, True, str(error), isinstance(error, Locked), away))
        if self._watched:
            self._again.start(AGAIN_MS)

    def _become(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self.changed.emit()
