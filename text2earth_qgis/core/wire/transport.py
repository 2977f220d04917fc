"""HTTP through QGIS: ``requests`` on top of QgsNetworkAccessManager, with the user's proxy, certificates and
authentication configurations, and without QGIS's questions about them.

``open_client`` waits (workers, algorithms, qgis_process); ``async_client`` sends the same requests from the
main thread and calls back. Waiting is polling: a Python slot connected in a worker thread corrupts memory in
PyQt 5, and QgsBlockingNetworkRequest with a feedback may hang for ever when cancelled. Knows no job.
"""

from __future__ import annotations

import io
import tempfile
import uuid
from typing import IO, Callable, Optional, TypeVar

import requests
from qgis.core import QgsApplication, QgsNetworkAccessManager
from qgis.PyQt.QtCore import QByteArray, QEventLoop, QUrl
from qgis.PyQt.QtNetwork import QNetworkReply, QNetworkRequest
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from text2earth_qgis.core.errors import Cancelled, Locked, PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.threads import Feedback, in_main_thread, pause, ticking
from text2earth_qgis.core.wire import calls, quiet_network
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.certificates import certificate_fault
from text2earth_qgis.core.wire.client import Client

T = TypeVar("T")

BLOCK = 1 << 20  # bytes moved at once: longer reads hold the GIL and are felt in the user interface
IN_MEMORY = 16 << 20  # bytes of a streamed body before it goes to a temporary file
TIMEOUT = 30.0  # seconds without a byte
NOT_FORWARDED = ("content-length", "accept-encoding", "connection")  # Qt sets these itself
LOOPBACK = ("http://127.0.0.1", "http://localhost", "http://[::1]")


def open_client(access: Access, feedback: Optional[Feedback] = None) -> Client:
    """Return a client for the calling thread; cancelling ``feedback`` ends transfers in ``Cancelled``."""
    return Client(
        open_session(access, feedback), access.url, TIMEOUT, lambda seconds: pause(seconds, feedback)
    )


def open_session(access: Access, feedback: Optional[Feedback] = None) -> requests.Session:
    """Return a session whose credentials go to the backend's origin and nowhere else."""
    session = requests.Session()
    session.trust_env = False  # neither HTTP_PROXY nor .netrc: QGIS decides
    session.headers["Accept"] = "application/json, */*;q=0.5"  # the User-Agent is set by QGIS
    session.adapters.clear()
    for scheme in ("http://", "https://"):
        session.mount(scheme, QgisAdapter(Access(access.url), feedback))
    origin = calls.site(access.url)
    if origin.startswith(("http://", "https://")):
        session.mount(origin + "/", QgisAdapter(access, feedback))
    return session


def wait(
    reply: QNetworkReply,
    feedback: Optional[Feedback] = None,
    sink: Optional[Callable[[bytes], object]] = None,
) -> None:
    """Wait in any thread until ``reply`` has finished; cancelling ``feedback`` aborts it."""

    def drain() -> None:  # after abort() the reply is closed and read() returns None
        while sink is not None and reply.isOpen() and reply.bytesAvailable():
            sink(bytes(reply.read(BLOCK)))

    with ticking() as loop:
        while not reply.isFinished():
            loop.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
            if feedback is not None and feedback.isCanceled():
                reply.abort()
            drain()
    drain()


class QgisAdapter(BaseAdapter):
    """Sends prepared requests through the QgsNetworkAccessManager of the calling thread."""

    def __init__(self, access: Access, feedback: Optional[Feedback] = None) -> None:
        """Send with the credentials of ``access``."""
        super().__init__()
        self.access = access
        self._feedback = feedback
        self._tried = False  # by the main thread, for a worker

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: object = None,
        verify: object = True,
        cert: object = None,
        proxies: object = None,
    ) -> requests.Response:
        """Send and wait; certificates and proxies are those of QGIS, whatever the arguments say."""
        limit = timeout[-1] if isinstance(timeout, tuple) else timeout
        refused = self._try(request)
        if refused is not None:
            return refused
        body = _body(stream)
        reply = self.start(request, float(limit or TIMEOUT))  # type: ignore[arg-type]
        try:
            wait(reply, self._feedback, body.write)
            if self._feedback is not None and self._feedback.isCanceled():
                raise Cancelled(tr("Cancelled."))
            body.seek(0)
            return self.response(reply, request, body)
        except BaseException:
            body.close()
            raise
        finally:
            reply.deleteLater()

    def start(self, request: requests.PreparedRequest, timeout: float) -> QNetworkReply:
        """Hand the request to QGIS; ``timeout`` is seconds without a byte."""
        if self.access.local:
            _spare_loopback(QgsNetworkAccessManager.instance())
        asked = self._authorised(_qt_request(request, timeout))
        body = request.body or b""
        content = QByteArray(body.encode() if isinstance(body, str) else body)
        return quiet_network.send(str(request.method), asked, content)

    def response(
        self, reply: QNetworkReply, request: requests.PreparedRequest, body: IO[bytes]
    ) -> requests.Response:
        """Turn a finished reply and its body into a response, or raise what ``requests`` would."""
        error, code = reply.error(), _number(reply.error())
        status = reply.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
        # 1..99 network, 101..199 proxy; 201.. and 401.. are HTTP statuses. Half a body is a 200 with error 2.
        if status is None or 0 < code < 200 or code == 301:
            reason = certificate_fault(reply) or reply.errorString()
            raise _failure(error)(reason, request=request)
        found = requests.Response()
        found.status_code, found.url, found.request = int(status), request.url or "", request
        found.connection = self
        found.reason = str(reply.attribute(QNetworkRequest.Attribute.HttpReasonPhraseAttribute) or "")
        found.headers = CaseInsensitiveDict(
            (bytes(name).decode("latin-1"), bytes(reply.rawHeader(name)).decode("latin-1"))
            for name in reply.rawHeaderList()
        )
        found.headers.pop("Content-Encoding", None)  # Qt has decoded the body already
        found.encoding = get_encoding_from_headers(found.headers)
        found.raw = body
        return found

    def close(self) -> None:
        """Keep nothing open: connections belong to QGIS."""

    def _try(self, request: requests.PreparedRequest) -> Optional[requests.Response]:
        """Return the answer to a worker's first request if QGIS would meet it with a question, else None."""
        scout = quiet_network.Scout.active
        if self._tried or scout is None or in_main_thread():
            return None

        def read(reply: QNetworkReply) -> object:
            try:
                return self.response(reply, request, io.BytesIO())
            except requests.RequestException as error:
                return error

        attempt = quiet_network.Try(self._authorised(_qt_request(request, TIMEOUT)), read)
        outcome = scout.wait_for(attempt, self._feedback)
        if isinstance(outcome, requests.RequestException):
            raise outcome
        self._tried = True
        asks = isinstance(outcome, requests.Response) and outcome.status_code == 401
        return outcome if asks else None

    def _authorised(self, request: QNetworkRequest) -> QNetworkRequest:
        if self.access.token:
            request.setRawHeader(b"Authorization", b"Bearer " + self.access.token.encode())
        if not self.access.authcfg:
            return request
        manager = QgsApplication.authManager()
        if not manager.masterPasswordIsSet():  # QGIS would ask for it, in a modal box
            raise Locked(
                tr(
                    "The authentication configuration {authcfg} is locked: QGIS wants its master "
                    "password first. Enter it in Settings > Options > Authentication > Utilities > Input "
                    "master password."
                ).format(authcfg=self.access.authcfg)
            )
        good, request = manager.updateNetworkRequest(request, self.access.authcfg)
        if not good:
            raise PluginError(
                tr(
                    "The authentication configuration {authcfg} cannot be used: it does not exist. "
                    "Choose another in {options}."
                ).format(authcfg=self.access.authcfg, options=calls.OPTIONS)
            )
        return request


def _body(stream: bool) -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(IN_MEMORY) if stream else io.BytesIO()


def _qt_request(request: requests.PreparedRequest, timeout: float) -> QNetworkRequest:
    asked = QNetworkRequest(QUrl.fromEncoded(str(request.url).encode("ascii")))
    attribute = QNetworkRequest.Attribute
    # requests follows redirects itself, keeps ranges and strips credentials on the way to another host.
    asked.setAttribute(attribute.RedirectPolicyAttribute, QNetworkRequest.RedirectPolicy.ManualRedirectPolicy)
    asked.setAttribute(attribute.CacheLoadControlAttribute, QNetworkRequest.CacheLoadControl.AlwaysNetwork)
    asked.setAttribute(attribute.CacheSaveControlAttribute, False)
    asked.setTransferTimeout(int(timeout * 1000))
    if "X-Request-ID" not in request.headers:
        asked.setRawHeader(b"X-Request-ID", uuid.uuid4().hex.encode())  # what a backend's log calls it
    for name, value in request.headers.items():
        if name.lower() not in NOT_FORWARDED:
            asked.setRawHeader(name.encode("latin-1"), value.encode("latin-1"))
    return asked


def _spare_loopback(manager: QgsNetworkAccessManager) -> None:
    """Keep the user's proxy away from this computer, for this thread's manager, without storing it."""
    there = manager.noProxyList()
    missing = [url for url in LOOPBACK if url not in there]
    if missing:
        manager.setFallbackProxyAndExcludes(manager.fallbackProxy(), manager.excludeList(), there + missing)


def _number(error: QNetworkReply.NetworkError) -> int:
    return int(getattr(error, "value", error))  # PyQt 6 has plain enums


def _failure(error: QNetworkReply.NetworkError) -> type[requests.RequestException]:
    kinds = QNetworkReply.NetworkError
    if error in (kinds.OperationCanceledError, kinds.TimeoutError):
        return requests.Timeout
    if error == kinds.SslHandshakeFailedError:
        return requests.exceptions.SSLError
    return requests.exceptions.ProxyError if 100 < _number(error) < 200 else requests.ConnectionError
