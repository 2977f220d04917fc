"""A local model hub: the part of the hub's HTTP protocol that a download uses, with faults on demand.

``GET /api/models/REPO[/revision/REV]`` describes a commit; ``/REPO/resolve/REV/FILE`` answers small files at
once and sends large ones (LFS) to ``/cdn/SHA256`` by a redirect with X-Linked-ETag and X-Linked-Size; byte
ranges are honoured.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LOGIN_PAGE = b"<!DOCTYPE html>\n<html><body>Welcome! Please log in.</body></html>"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Faults:
    """What goes wrong, by file name; every fault happens as often as its count says."""

    break_at: dict[str, int] = field(default_factory=dict)  # the connection breaks after so many bytes, once
    stall_at: dict[str, int] = field(default_factory=dict)  # after so many bytes nothing comes, once
    corrupt: set[str] = field(default_factory=set)  # another byte in the middle, always
    portal: bool = False  # every answer is a login page
    portal_at: set[str] = field(default_factory=set)  # files instead of which a login page comes
    stalled: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


class ModelHub:
    """Serves one folder as one repository, under any name."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        self.faults = Faults()
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, Range
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self.faults.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def ranges(self, name: str) -> list[str | None]:
        """Range headers of the downloads of a file's content, in order."""
        path = f"/cdn/{hashlib.sha256(self.files[name]).hexdigest()}"
        return [ranged for method, asked, ranged in self.requests if (method, asked) == ("GET", path)]

    def describe(self) -> dict[str, Any]:
        siblings = []
        for name, content in self.files.items():
            sibling = {"rfilename": name, "size": len(content), "blobId": git_hash(content)}
            if is_large(name):
                digest = hashlib.sha256(content).hexdigest()
                sibling["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 135}
            siblings.append(sibling)
        return {"_id": "1", "id": "somebody/model", "sha": COMMIT, "siblings": siblings, "tags": []}


def is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".bin"))


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _handler(hub: ModelHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append((self.command, path, self.headers.get("Range")))
            if hub.faults.portal or any(path.endswith("/" + name) for name in hub.faults.portal_at):
                self._answer(200, LOGIN_PAGE, {"Content-Type": "text/html"})
                return
            if path.startswith("/api/models/"):
                revision = path.partition("/revision/")[2] or "main"
                known = revision in ("main", COMMIT)
                self._answer(200 if known else 404, json.dumps(hub.describe()).encode(), {})
            elif path.startswith("/cdn/"):
                self._content(path.removeprefix("/cdn/"))
            else:
                self._resolve(*path.partition("/resolve/")[2].split("/", 1))

        def _resolve(self, revision: str, name: str) -> None:
            if revision not in ("main", COMMIT) or name not in hub.files:
                self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            content, headers = hub.files[name], {"X-Repo-Commit": COMMIT}
            if not is_large(name):
                sent = _corrupt(content) if name in hub.faults.corrupt else content
                self._answer(200, sent, headers | {"ETag": f'"{git_hash(content)}"'})
                return
            digest = hashlib.sha256(content).hexdigest()
            linked = {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(content))}
            self._answer(302, b"", headers | linked | {"Location": f"{hub.url}/cdn/{digest}"})

        def _content(self, digest: str) -> None:
            name = next(n for n, c in hub.files.items() if hashlib.sha256(c).hexdigest() == digest)
            content = _corrupt(hub.files[name]) if name in hub.faults.corrupt else hub.files[name]
            first = 0
            if ranged := self.headers.get("Range"):
                first = int(ranged.removeprefix("bytes=").split("-")[0])
            self.send_response(206 if ranged else 200)
            if ranged:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - first))
            self.send_header("ETag", f'"{digest}"')
            self.end_headers()
            if self.command == "HEAD":
                return
            for faults, act in ((hub.faults.break_at, self._break), (hub.faults.stall_at, self._stall)):
                if name in faults:
                    self.wfile.write(content[first : faults.pop(name)])
                    self.wfile.flush()
                    act()
                    return
            self.wfile.write(content[first:])

        def _break(self) -> None:
            self.close_connection = True

        def _stall(self) -> None:
            hub.faults.stalled.set()
            hub.faults.release.wait()
            self.close_connection = True

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _corrupt(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
