"""The end of removed runs: their jobs are deleted at the backend, then the history forgets them.

A run stays in the history, marked as removed, until its backend has answered. So one that QGIS was closed or
killed in between is erased at a later start. Main thread only.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Callable, Iterable, Optional

from qgis.PyQt.QtCore import QObject

from text2earth_qgis.core.errors import BackendError, HistoryError, PluginError
from text2earth_qgis.core.runs.history import History, Run
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.async_client import AsyncClient


class Eraser(QObject):
    """Erases removed runs, one job after the other."""

    def __init__(
        self, history: History, access_of: Callable[[], Access], parent: Optional[QObject] = None
    ) -> None:
        super().__init__(parent)
        self._history, self._access_of = history, access_of
        self._client: Optional[AsyncClient] = None  # while it is at work
        self._left: list[Run] = []
        self._done: list[str] = []

    def erase(self, runs: Iterable[Run]) -> None:
        """Erase these removed runs; while their backend is away they stay marked.

        A job on another backend than that of the settings expires there: credentials go nowhere else.
        """
        known = {run.key for run in self._left}
        self._left += [run for run in runs if run.key not in known]
        if self._left and self._client is None:
            self._client = AsyncClient(self._access_of(), self)
            self._next()

    def close(self) -> None:
        """Stop; what is left is erased another time."""
        if self._client is not None:
            self._end()

    def _next(self) -> None:
        if self._client is None:
            return
        while self._left and not self._has_job(self._left[-1], self._client.access):
            self._done.append(self._left.pop().key)
        if not self._left:
            self._end()
            return
        run = self._left.pop()

        def answered(_there: bool) -> None:
            self._done.append(run.key)
            self._next()

        def failed(error: PluginError) -> None:
            if isinstance(error, BackendError) and not error.passing and error.status != 401:
                answered(False)  # asking again would not help; the job expires there
            else:
                self._end()

        self._client.run(calls.delete(run.job), answered, failed)

    @staticmethod
    def _has_job(run: Run, access: Access) -> bool:
        return bool(run.job) and access.has(run.server)

    def _end(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
            client.deleteLater()
        with suppress(HistoryError):  # they stay marked
            self._history.erase(self._done)
        self._left, self._done = [], []
