"""The log of a process: on standard error, as text or JSON, and nobody can flood it.

Lines carry what they are about: the request that a thread answers, the job that a worker is at. A request
brings its id from QGIS and the job keeps it, so that one word finds all lines from there to the worker.
"""

from __future__ import annotations

import json
import logging
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

Form = Literal["text", "json"]

MOST = 20  # equal messages in a
WINDOW = 60.0  # seconds

_subject: ContextVar[dict[str, str]] = ContextVar("subject", default={})  # noqa: B039 - never changed


def about(**subject: str) -> None:
    """Say what the lines of this thread or task are about from here on: ``request``, ``job``."""
    _subject.set({name: value for name, value in subject.items() if value})


def current_request() -> str:
    """Return the id of the request that this thread or task is at; empty: none."""
    return _subject.get().get("request", "")


class Throttle(logging.Filter):
    """Holds messages back that come too often, and says with the next one how many they were."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}  # begin of a window, and messages in it

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a message is to be written."""
        now, key = time.monotonic(), (record.name, str(record.msg)[:200])
        began, count = self._seen.get(key, (now, 0))
        if now - began > WINDOW:
            if count > MOST:
                record.msg = f"{record.msg} ({count - MOST} more of these in a minute were left out)"
            began, count = now, 0
        if len(self._seen) > 1000:
            self._seen.clear()
        self._seen[key] = began, count + 1
        return count < MOST


class Text(logging.Formatter):
    """A line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message, and what it is about behind it."""
        subject = " ".join(f"{name}={value}" for name, value in _subject.get().items())
        return super().format(record) + (f" [{subject}]" if subject else "")


class Json(logging.Formatter):
    """A line for programs: one JSON object."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        """Return time, level, part of the backend, message, what it is about, and a traceback if any."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": self._part,
            "message": record.getMessage(),
            **_subject.get(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def begin(part: str = "", form: Form = "text") -> None:
    """Write the log of this process; ``part`` of the backend says whose it is."""
    handler = logging.StreamHandler()
    prefix = f"{part}: " if part else ""
    text = Text(f"%(levelname)s:     {prefix}%(message)s")
    handler.setFormatter(text if form == "text" else Json(part or "api"))
    handler.addFilter(Throttle())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
