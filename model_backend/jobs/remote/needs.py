"""How many workers were needed lately: what decides who is hired, and who may leave.

What is needed changes with every block, and a machine takes minutes to come: so whoever asks says over how
long a time. Knows neither blocks nor Ray.
"""

from __future__ import annotations

import threading
import time
from collections import deque


class Needs:
    """Numbers that were needed, each at its time; safe to share between threads."""

    def __init__(self, seconds: float) -> None:
        """Remember them for so many ``seconds``. One is needed at first: then it is known how fast it is."""
        self._seconds = seconds
        self._lock = threading.Lock()
        self._seen = deque([(time.monotonic(), 1)])

    def note(self, number: int) -> None:
        """Note that so many are needed now."""
        now = time.monotonic()
        with self._lock:
            self._seen.append((now, number))
            while now - self._seen[0][0] > self._seconds:
                self._seen.popleft()

    def most(self, seconds: float) -> int:
        """Return how many were needed at the most in the last ``seconds``."""
        oldest = time.monotonic() - seconds
        with self._lock:
            return max((number for at, number in self._seen if at >= oldest), default=0)
