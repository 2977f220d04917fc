"""Requests that never open a dialog of QGIS, whatever the server or a proxy answers.

QGIS's network managers meet a 401, a 407 or a certificate that is not trusted with a question to the user, in
a modal box. In the main thread our requests go through a manager of our own, which asks nothing. A worker has
to use the manager of its thread; so the main thread tries first whether there would be one (``Scout``).
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Callable, Optional

from qgis.core import QgsApplication, QgsNetworkAccessManager
from qgis.PyQt.QtCore import QByteArray, QObject, pyqtSignal
from qgis.PyQt.QtNetwork import QNetworkReply, QNetworkRequest, QSslError

from text2earth_qgis.core.errors import Cancelled
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.threads import TICK_MS, Feedback, in_main_thread

LONGEST = 60.0  # seconds that a worker waits for the main thread
_own: list[QgsNetworkAccessManager] = []  # at most one, of the main thread


def send(method: str, request: QNetworkRequest, content: QByteArray) -> QNetworkReply:
    """Send a request from the calling thread."""
    manager = _manager()
    if method == "GET":
        reply = manager.get(request)
    elif method == "HEAD":
        reply = manager.head(request)
    elif method == "POST":
        reply = manager.post(request, content)
    else:
        reply = manager.sendCustomRequest(request, method.encode(), content)
    return _without_questions(reply)


def close() -> None:
    """Give back the manager of the main thread."""
    while _own:
        _own.pop().deleteLater()


def _manager() -> QgsNetworkAccessManager:
    if not in_main_thread():
        return QgsNetworkAccessManager.instance()
    if not _own:  # nobody sets it up, so it is connected to no dialog; it has QGIS's proxies all the same
        _own.append(QgsNetworkAccessManager(QgsApplication.instance()))
    return _own[0]


def _without_questions(reply: QNetworkReply) -> QNetworkReply:
    """Let a certificate that is not trusted fail the request, unless the user saved an exception for it."""
    with suppress(TypeError):  # nothing is connected
        reply.sslErrors.disconnect()
    url = reply.url()
    if url.scheme() == "https":
        saved = QgsApplication.authManager().sslCertCustomConfigByHost(f"{url.host()}:{url.port(443)}")
        if not saved.isNull():
            certificate = saved.sslCertificate()
            reply.ignoreSslErrors([QSslError(kind, certificate) for kind in saved.sslIgnoredErrorEnums()])
    return reply


class Pending(QObject):
    """A request of the main thread under way; ``cancel`` drops it without an answer.

    What a reply calls at its end is a method of a QObject, which PyQt forgets with its object. A function
    inside a function may be collected while its reply lives, which ends twice if it is aborted before it is
    sent.
    """

    def __init__(
        self,
        parent: QObject,
        reply: QNetworkReply,
        read: Callable[[QNetworkReply], None],
        over: Callable[[Pending], None],
    ) -> None:
        """Call ``over`` once at the end, and then ``read`` unless it was cancelled."""
        super().__init__(parent)
        self._reply, self._read, self._over = reply, read, over
        self._ended = False
        reply.finished.connect(self._finished)

    def cancel(self) -> None:
        """Stop the transfer; it is not read."""
        if not self._ended:
            self._end()
            self._reply.abort()

    def fail(self) -> None:
        """Stop the transfer; it is read as one that failed."""
        if not self._ended:
            self._reply.abort()

    def _finished(self) -> None:
        if not self._ended:
            self._end()
            self._read(self._reply)

    def _end(self) -> None:
        self._ended = True
        self._over(self)
        self._reply.deleteLater()
        self.deleteLater()


class Try:
    """A request that the main thread sends for a worker; ``read`` makes an ``outcome`` of the reply there."""

    def __init__(self, request: QNetworkRequest, read: Callable[[QNetworkReply], object]) -> None:
        self.request, self.read = request, read
        self.outcome: object = None
        self.over = threading.Event()


class Scout(QObject):
    """Sends a worker's first request from the main thread, where nothing asks the user.

    Made in the main thread, where QGIS has a window; without one there is no dialog and no need for it.
    """

    active: Optional[Scout] = None
    _sent = pyqtSignal(object)

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._pending: set[Pending] = set()
        self._sent.connect(self._send)
        Scout.active = self

    def close(self) -> None:
        """Leave workers to themselves."""
        Scout.active = None
        for pending in list(self._pending):
            pending.fail()

    def wait_for(self, attempt: Try, feedback: Optional[Feedback]) -> object:
        """Return the outcome of a request, None if none came; for workers. Raises ``Cancelled``."""
        self._sent.emit(attempt)
        for _ in range(int(LONGEST * 1000 / TICK_MS)):
            if attempt.over.wait(TICK_MS / 1000):
                break
            if feedback is not None and feedback.isCanceled():
                raise Cancelled(tr("Cancelled."))
        return attempt.outcome

    def _send(self, attempt: Try) -> None:
        def read(reply: QNetworkReply) -> None:
            attempt.outcome = attempt.read(reply)
            attempt.over.set()

        reply = send("HEAD", attempt.request, QByteArray())
        self._pending.add(Pending(self, reply, read, self._pending.discard))
