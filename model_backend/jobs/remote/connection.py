"""The wire between a backend and its workers on other computers: calls in JSON, files by checksum.

A backend that is away, starts anew or is busy is waited for: a worker loses nothing by it. Knows HTTP and the
workers' token; what is asked, ``remote.desk`` and ``api.workers`` know.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from model_backend import __version__
from model_backend.errors import BackendError, Cancelled, Declined
from model_backend.jobs import space

log = logging.getLogger(__name__)

T = TypeVar("T")
PATH = "/workers"  # of all that workers ask for
VERSION = "text2earth-version"  # header: a worker of another version would make other pixels
SHA256 = "text2earth-sha256"  # header: checksum of the body
TIMEOUT = 60.0  # seconds until an answer begins, or goes on
LONGEST_PAUSE = 5.0  # seconds between two tries
_PIECE = 1 << 20  # bytes
_BUSY = (408, 429, 502, 503, 504)  # statuses of a backend, or what is in front of it, that can soon
_RAISED = {"Cancelled": Cancelled, "Declined": Declined}


class Refused(BackendError):
    """The backend does not take this worker, or what it asks; the message says why."""


class _Away(Exception):
    """The backend does not answer at this moment."""


class Connection:
    """Asks one backend; safe to share between threads, each of which keeps a connection open."""

    def __init__(self, url: str, token: str) -> None:
        """Ask the backend at ``url``, with the token of its workers; ValueError if that is no URL of HTTP."""
        self.url, self._token = url.rstrip("/"), token
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url} is no address of a backend; it begins with http:// or https://.")
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._base = parts.path
        self._kept = threading.local()

    def call(self, name: str, patience: float | None = None, **arguments: Any) -> Any:
        """Return the answer to a call; Cancelled, Declined and Refused are raised as the backend says.

        Waits for a backend that is away, ``patience`` seconds at most (then ConnectionError) or for ever.
        """
        body = json.dumps(arguments).encode()
        headers = {"Content-Type": "application/json"}

        def ask() -> Any:
            return json.loads(self._ask("POST", f"/calls/{name}", body, headers))

        answer = self._patiently(ask, patience)
        if "raised" in answer:
            raise _RAISED[answer["raised"]]
        return answer["answer"]

    def send(self, path: str, file: Path) -> dict[str, Any]:
        """Put a file and return what is said to it; raises Cancelled if nobody waits for it any more."""
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()

        def put() -> Any:
            with file.open("rb") as content:
                headers = {SHA256: digest, "Content-Length": str(os.fstat(content.fileno()).st_size)}
                return json.loads(self._ask("PUT", path, content, headers))

        said: dict[str, Any] = self._patiently(put, None)
        if "raised" in said:
            raise Cancelled
        return said

    def fetch(self, path: str, into: Path, sha256: str) -> None:
        """Get a file whole, or not at all: other workers may fetch it at the same time."""
        into.parent.mkdir(parents=True, exist_ok=True)
        part = into.with_name(f".{into.name}.{uuid.uuid4().hex}")

        def get() -> None:
            with part.open("wb") as file:
                self._ask("GET", path, into=file)
            with part.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    raise _Away("the file came damaged")

        try:
            self._patiently(get, None)
            os.replace(part, into)
        finally:
            part.unlink(missing_ok=True)

    def _patiently(self, ask: Callable[[], T], patience: float | None) -> T:
        began, pause = time.monotonic(), 0.0  # a connection that was kept may have ended: at once again
        while True:
            try:
                return ask()
            except _Away as error:
                self.close()
                if patience is not None and time.monotonic() - began > patience:
                    raise ConnectionError(f"{self.url} does not answer: {error}") from error
                if pause:
                    log.warning("%s does not answer (%s): waiting for it", self.url, error)
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, max(0.1, 2 * pause))

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None = None,
        more: dict[str, str] | None = None,
        into: IO[bytes] | None = None,
    ) -> bytes:
        """Return an answer, or write it into a file and return nothing; raises _Away and Refused."""
        headers = {"Authorization": f"Bearer {self._token}", VERSION: __version__, **(more or {})}
        try:
            connection = self._connection()
            connection.request(method, self._base + PATH + path, body, headers)
            response = connection.getresponse()
            if response.status < 300 and into is not None:
                while piece := response.read(_PIECE):
                    into.write(piece)
            said = response.read()
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and space.sentence(error):  # our own disk
                raise
            raise _Away(str(error) or type(error).__name__) from error
        if response.status < 300:
            return said
        if response.status in _BUSY:
            raise _Away(f"status {response.status}")
        try:
            sentence = str(json.loads(said)["detail"])
        except (ValueError, KeyError, TypeError):
            sentence = said[:200].decode("utf-8", "replace")
        raise Refused(f"The backend at {self.url} refused: {sentence}")

    def _connection(self) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if kept is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            kept = self._kept.connection = kind(self._host, self._port, timeout=TIMEOUT)
        return kept

    def close(self) -> None:
        """Close this thread's connection; the next question opens another."""
        if getattr(self._kept, "connection", None) is not None:
            self._kept.connection.close()
            self._kept.connection = None
