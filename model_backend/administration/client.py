"""Asks a running backend through the socket in its data folder; see ``api.operations.admin``."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

from model_backend.api.serving import admin_socket
from model_backend.api.tokens import BadSetUp

PATIENCE = 60.0  # seconds for an answer


class _Connection(http.client.HTTPConnection):
    def __init__(self, data_dir: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._data_dir = data_dir

    def connect(self) -> None:
        self.sock = admin_socket.connect(self._data_dir)
        self.sock.settimeout(PATIENCE)


def ask(data_dir: Path, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Return the JSON that the backend of a folder answers; BadSetUp: there is none, or it refuses."""
    if not admin_socket.SUPPORTED:
        raise BadSetUp("These commands need sockets in folders, which Python has not on Windows.")
    connection = _Connection(data_dir)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, f"/admin/{path}", sent, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except OSError as error:
        raise BadSetUp(
            f"No backend answers in {data_dir} ({error.strerror or error}). Start it, or name its folder"
            " (--data-dir); the user must be the one that it runs as."
        ) from error
    finally:
        connection.close()
    if answer.status >= 400:
        raise BadSetUp(str(said.get("detail", said)))
    return said
