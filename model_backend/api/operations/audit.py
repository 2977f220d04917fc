"""Who did what, when, from where, and what was refused: JSON lines in ``audit.log`` of the data folder.

Every request that changes something is in it, and every one that was refused for who sent it. Polls and
downloads are not, nor anything that a body or a query holds: no prompt, no signature.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Message, Scope, Send

from model_backend.logs import Throttle

BYTES, KEPT = 10 << 20, 5  # of a file, and older ones that are kept
REFUSED = (401, 403, 429)
WORKERS = "/workers/"  # what workers say thousands of times is no deed of anybody
ADMINISTRATOR = "administrator"


class Audit:
    """The audit log of a backend, and the number of its answers by method and status."""

    def __init__(self, data_dir: Path) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        handler = logging.handlers.RotatingFileHandler(
            data_dir / "audit.log", maxBytes=BYTES, backupCount=KEPT, encoding="utf-8"
        )
        self._log = logging.Logger("audit")  # not of the process's tree: nothing else writes here
        self._log.addHandler(handler)
        self._refusals = Throttle()  # a stranger must not push out what others did

    def watched(self, scope: Scope, send: Send, request: str) -> Send:
        """Return a ``send`` that notes how a request was answered."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, int(message["status"]), Headers(raw=message["headers"]), request)
            await send(message)

        return noting

    def close(self) -> None:
        """Close the file."""
        for handler in self._log.handlers:
            handler.close()

    def _note(self, scope: Scope, status: int, headers: Headers, request: str) -> None:
        method, path = scope["method"], scope["path"]
        self.answers[method if method in _METHODS else "other", status] += 1
        changes = method in ("POST", "PUT", "DELETE") and not path.startswith(WORKERS)
        if status not in REFUSED and not changes:
            return
        state, client = scope.get("state", {}), scope.get("client")
        line: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "who": ADMINISTRATOR if state.get("administrator") else state.get("owner"),
            "from": client[0] if client else "socket",
            "method": method[:20],
            "path": path[:300],
            "status": status,
            "request": request,
        }
        if made := headers.get("location"):
            line["made"] = made.rpartition("/")[2]
        record = logging.LogRecord("audit", logging.INFO, "", 0, "%s", (json.dumps(line),), None)
        if status in REFUSED and not self._refusals.filter(record):
            return
        self._log.handle(record)


_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
