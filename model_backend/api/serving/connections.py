"""Connections that send or take nothing are closed, and there are never more than the computer can hold.

uvicorn waits for ever for a request line, for the rest of headers, for whoever does not read an answer.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from model_backend.settings import Settings

SPARE_FILES = 150  # open files that are no connections: database, results, pipes, libraries
READING = 60.0  # seconds that a client may leave an answer unread


def limit(settings: Settings) -> int:
    """Return how many connections there may be; raises the limit on open files as far as that may be."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return settings.max_connections
    wanted = settings.max_connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(settings.max_connections, max(1, soft - SPARE_FILES))


def protocol(settings: Settings) -> type[H11Protocol]:
    """Return the class of connections with a backend's limits."""
    most, seconds = limit(settings), settings.header_seconds

    class Connection(H11Protocol):
        """One connection to a client."""

        _deadline: asyncio.TimerHandle | None = None  # of the request that is to come
        _reading: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._since, self._asked = self.loop.time(), False
            if self.client is None and is_local(transport):
                self.app_state = {**self.app_state, "administrator": True}
            self._await_request()
            if len(self.connections) > most:
                self._make_room()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self._is_waiting():
                _stop(self._deadline)
                self._deadline, self._asked = None, True
            elif self._deadline is None:
                self._await_request()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._reading = self.loop.call_later(READING, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            _stop(self._reading)

        def connection_lost(self, exc: Exception | None) -> None:
            _stop(self._deadline)
            _stop(self._reading)
            super().connection_lost(exc)

        def _is_waiting(self) -> bool:
            """Say whether nothing is asked: no request, not all of one, or what follows one was answered."""
            return self.cycle is None or self.cycle.response_complete

        def _await_request(self) -> None:
            self._deadline = self.loop.call_later(seconds, self.transport.abort)

        def _make_room(self) -> None:
            """Close the connection that has waited longest, at first of those that never asked anything.

            A client's next request may be on its way. Where all are at work it is this one that goes.
            """
            waiting = [one for one in self.connections if isinstance(one, Connection) and one._is_waiting()]
            oldest = min(waiting, key=lambda one: (one._asked, one._since), default=self)
            self.connections.discard(oldest)
            oldest.transport.abort()

    return Connection


def is_local(transport: Any) -> bool:
    """Say whether a connection came through the socket of the data folder."""
    made: socket.socket | None = transport.get_extra_info("socket")
    return made is not None and hasattr(socket, "AF_UNIX") and made.family == socket.AF_UNIX


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
