"""A client for the main thread: it asks a backend, does not wait, and calls back with the answer."""

from __future__ import annotations

import io
from typing import Callable, Optional, TypeVar, cast

import requests
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtNetwork import QNetworkReply

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.quiet_network import Pending
from text2earth_qgis.core.wire.transport import TIMEOUT, QgisAdapter, open_session

T = TypeVar("T")


class AsyncClient(QObject):
    """Asks one backend from the main thread and calls back there; nothing waits."""

    def __init__(self, access: Access, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.access = access
        self._session = open_session(access)
        self._pending: set[Pending] = set()

    def run(
        self, call: calls.Call[T], done: Callable[[T], None], failed: Callable[[PluginError], None]
    ) -> Optional[Pending]:
        """Send a call; one of the callbacks follows, None if the failure was told at once."""
        url = self.access.url
        try:
            url = calls.absolute(url, call.path)
            request = self._session.prepare_request(
                requests.Request(
                    call.method, url, json=call.body, data=call.content, headers=dict(call.headers)
                )
            )
            adapter = cast(QgisAdapter, self._session.get_adapter(url))
            started = adapter.start(request, TIMEOUT)
        except requests.RequestException as error:
            failed(calls.unreachable(error, url))
            return None
        except PluginError as error:
            failed(error)
            return None

        def read(reply: QNetworkReply) -> None:
            try:
                body = bytes(reply.readAll()) if reply.isOpen() else b""
                found = call.read(adapter.response(reply, request, io.BytesIO(body)))
            except requests.RequestException as error:
                failed(calls.unreachable(error, url))
            except PluginError as error:
                failed(error)
            else:
                done(found)

        pending = Pending(self, started, read, self._pending.discard)
        self._pending.add(pending)
        return pending

    def close(self) -> None:
        """Drop every question; no callback comes after this."""
        for pending in list(self._pending):
            pending.cancel()
