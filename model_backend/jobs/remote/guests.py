"""The workers on other computers, as the backend knows them: by what they asked last, and when.

Their leases are rows; this says only who is there, for those who ask how the backend is and how long a job
will take. Safe to share between threads.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

GONE = 20.0  # seconds of silence after which a worker counts as gone; its crew asks every five


@dataclass(frozen=True)
class _Guest:
    at_work: bool
    seen: float  # on the monotonic clock


class Guests:
    """Who is there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, _Guest] = {}

    def seen(self, worker: str, *, at_work: bool | None = None) -> None:
        """Note that a worker asked; what is not said is as before."""
        with self._lock:
            if at_work is None:
                at_work = worker in self._known and self._known[worker].at_work
            self._known[worker] = _Guest(at_work, time.monotonic())

    def left(self, worker: str) -> None:
        """Note that a worker ended."""
        with self._lock:
            self._known.pop(worker, None)

    def names(self) -> list[str]:
        """Return who is there."""
        return list(self._present())

    def health(self) -> list[dict[str, Any]]:
        """Return how they are, as JSON like that of the backend's own workers."""
        now = time.monotonic()
        return [
            {
                "device": name.rpartition("-")[0],  # with the name of its computer
                "state": "working" if guest.at_work else "idle",
                "secondsSinceProgress": round(now - guest.seen, 1),
            }
            for name, guest in self._present().items()
        ]

    def _present(self) -> dict[str, _Guest]:
        oldest = time.monotonic() - GONE
        with self._lock:
            self._known = {name: guest for name, guest in self._known.items() if guest.seen >= oldest}
            return dict(self._known)
