"""A client that waits for the answers of any OGC API - Processes 1.0 server, with what ours adds.

Uses a ``requests.Session`` given to it (``transport.open_client`` makes one that goes through QGIS); knows no
QGIS itself. Everything raised is a ``PluginError`` whose text is a sentence for the user.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from typing import Callable, Mapping, Optional, TypeVar
from urllib.parse import urlsplit

import requests

from text2earth_qgis.core.errors import BackendError, Unreachable, unwritable
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.schemas import Json, Link, Plan, StatusInfo

T = TypeVar("T")
Progress = Callable[[int, int], object]  # bytes there, bytes in all

RANGE = 8 << 20  # bytes of one range request
PIECE = 4 << 20  # bytes of an upload that are sent at once
CHECKING = 600  # seconds a backend may take to check what was sent
ATTEMPTS = 5  # of one range, before a download gives up


class Client:
    """Asks one backend from one thread."""

    def __init__(
        self,
        session: requests.Session,
        base_url: str,
        timeout: float = 30.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Ask ``base_url`` through ``session``; ``timeout`` is seconds without a byte, ``pause`` waits."""
        self.base_url = base_url
        self._session = session
        self._timeout = timeout
        self._pause = pause

    def run(self, call: calls.Call[T]) -> T:
        """Send a call and return what its answer says."""
        return call.read(self._send(call.method, call.path, call.headers, call.body, call.content))

    def landing(self) -> Json:
        """Return the landing page."""
        return self.run(calls.landing())

    def healthz(self) -> Json:
        """Return version, model, device, profile and queue of our backend."""
        return self.run(calls.healthz())

    def models(self) -> list[Json]:
        """Return the model cards of our backend."""
        return self.run(calls.models())

    def processes(self) -> list[Json]:
        """Return the summaries of all processes."""
        return self.run(calls.processes())

    def plan(self, process: str, inputs: Json, outputs: Optional[Json] = None) -> Plan:
        """Return what a request comes to."""
        return self.run(calls.plan(process, inputs, outputs))

    def execute(self, process: str, inputs: Json, key: str, outputs: Optional[Json] = None) -> StatusInfo:
        """Start a job; the same ``key`` with the same inputs never starts a second one."""
        return self.run(calls.execute(process, inputs, key, outputs))

    def status(self, job: str) -> StatusInfo:
        """Return where a job stands."""
        return self.run(calls.status(job))

    def results(self, job: str) -> dict[str, Link]:
        """Return the links of a finished job, by output."""
        return self.run(calls.results(job))

    def delete(self, job: str) -> bool:
        """Dismiss a job or remove a finished one; False if it was gone already."""
        return self.run(calls.delete(job))

    def fetch(self, href: str) -> bytes:
        """Return the bytes behind a link."""
        return self.run(calls.fetch(href))

    def fetch_json(self, href: str) -> Json:
        """Return the JSON object behind a link."""
        return self.run(calls.fetch_json(href))

    def download(self, link: Link, path: Path, progress: Optional[Progress] = None) -> int:
        """Write what is behind a link to ``path`` and return its size in bytes.

        Goes by ranges into a ``.part`` file beside ``path``, renamed at the end; a part left by an earlier
        try is continued if the server still has the same file. Size and SHA-256 are checked where the server
        says them.
        """
        target = Path(path)
        head = self._send("HEAD", link.href)
        size = int(head.headers.get("Content-Length") or -1) if head.status_code == 200 else -1
        tag = head.headers.get("ETag", "")
        part = _part(target, link.href, tag, size)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if size >= 0 and head.headers.get("Accept-Ranges") == "bytes":
                self._ranges(link.href, part, (size, tag), progress)
            else:
                self._whole(link.href, part, progress)
            there = part.stat().st_size
            if (size >= 0 and there != size) or (link.sha256 and _sha256(part) != link.sha256):
                part.unlink()
                raise Unreachable(tr("The result arrived damaged and was thrown away. Try again."))
            os.replace(part, target)
        except requests.RequestException as error:  # while the body came; also an OSError
            raise calls.unreachable(error, link.href) from error
        except OSError as error:
            raise unwritable(target, error) from error
        return there

    def upload(self, upload: str, path: Path, progress: Optional[Progress] = None) -> None:
        """Send a file to the upload that ``calls.begin_upload`` has begun, in pieces.

        A piece that does not arrive is sent again, from where the backend says it stands.
        """
        size, attempt, state = path.stat().st_size, 0, {"received": 0, "complete": False}
        with path.open("rb") as file:
            while state["received"] < size:
                there = file.seek(int(state["received"]))
                try:
                    state = self.run(calls.send_piece(upload, there, file.read(PIECE), size))
                    attempt = 0
                except (Unreachable, BackendError) as error:
                    attempt += 1
                    misplaced = isinstance(error, BackendError) and error.status == 409
                    lost = isinstance(error, Unreachable) or misplaced or error.passing
                    if attempt == ATTEMPTS or not lost:
                        raise
                    self._pause(0.25 * 2**attempt)
                    state = self._standing(upload, state)
                    attempt = 0 if state["received"] > there else attempt
                if progress:
                    progress(int(state["received"]), size)
        for _second in range(CHECKING):  # only if the answer to the last piece was lost
            if state["complete"]:
                return
            self._pause(1.0)
            state = self._standing(upload, state)
        raise Unreachable(tr("The backend does not finish checking the raster that was sent. Try again."))

    def _standing(self, upload: str, known: Json) -> Json:
        """Return how far an upload is; as far as ``known`` while the backend is away."""
        try:
            return self.run(calls.upload_state(upload))
        except Unreachable:
            return known

    def _ranges(self, href: str, part: Path, known: tuple[int, str], progress: Optional[Progress]) -> None:
        size, tag = known
        there = part.stat().st_size if tag and part.exists() else 0
        with part.open("r+b" if there else "wb") as file:
            file.seek(there)
            while there < size:
                last = min(there + RANGE, size) - 1
                headers = {"Range": f"bytes={there}-{last}", **({"If-Range": tag} if tag else {})}
                body = self._patiently(href, headers, (there, last, size))
                file.write(body)
                there += len(body)
                if progress:
                    progress(there, size)

    def _patiently(self, href: str, headers: dict[str, str], span: tuple[int, int, int]) -> bytes:
        """Return the bytes of one range; a link that breaks is tried again, a file that changed is not."""
        first, last, size = span
        attempt = 0
        while True:
            try:
                response = calls.checked(self._send("GET", href, headers=headers))
                break
            except (Unreachable, BackendError) as error:
                attempt += 1
                if attempt == ATTEMPTS or (isinstance(error, BackendError) and not error.passing):
                    raise
            self._pause(0.25 * 2**attempt)
        same = response.headers.get("Content-Range", "") == f"bytes {first}-{last}/{size}"
        if same and len(response.content) == last - first + 1:
            return response.content
        raise BackendError(
            tr("The result has changed on the backend during the download. Try again."), response.status_code
        )

    def _whole(self, href: str, part: Path, progress: Optional[Progress]) -> None:
        with self._send("GET", href, stream=True) as response, part.open("wb") as file:
            size = int(calls.checked(response).headers.get("Content-Length") or -1)
            for block in response.iter_content(1 << 20):
                file.write(block)
                if progress:
                    progress(file.tell(), size)

    def _send(
        self,
        method: str,
        path: str,
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[Json] = None,
        content: Optional[bytes] = None,
        stream: bool = False,
    ) -> requests.Response:
        url = calls.absolute(self.base_url, path)
        try:
            return self._session.request(
                method,
                url,
                json=body,
                data=content,
                headers=dict(headers or {}),
                timeout=self._timeout,
                stream=stream,
                allow_redirects=method in ("GET", "HEAD"),
            )
        except requests.RequestException as error:
            raise calls.unreachable(error, url) from error


def shares(progress: Callable[[float], object]) -> Progress:
    """Return a callback that tells the share done of a transfer whose size is known."""
    return lambda there, size: progress(there / size) if size > 0 else None


def _part(target: Path, href: str, tag: str, size: int) -> Path:
    """Name the partial file after what it is a part of, so that another file never continues it."""
    what = hashlib.sha256(f"{urlsplit(href).path} {tag} {size}".encode()).hexdigest()[:8]
    stem = re.sub(r"[^\w.-]", "_", target.name)
    return target.with_name(f"{stem}.{what}.part")


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
