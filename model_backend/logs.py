"""The log of a process: on standard error, and nobody can flood it."""

from __future__ import annotations

import logging
import time

MOST = 20  # equal messages in a
WINDOW = 60.0  # seconds


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


def begin(prefix: str = "") -> None:
    """Write the log of this process; ``prefix`` says whose it is."""
    logging.basicConfig(level=logging.INFO, format=f"%(levelname)s:     {prefix}%(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(Throttle())
