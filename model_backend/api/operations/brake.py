"""Answers to wrong tokens are held back, so that guessing takes long; a right one never waits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque

log = logging.getLogger(__name__)

FREE = 20  # wrong tokens of an address in a
WINDOW = 60.0  # seconds that cost nothing: somebody's old token, asking every few seconds
SECONDS = 2.0  # that each further answer is held back
MOST = 50  # answers held back at a time: they hold connections that others need


class Brake:
    """Remembers from where wrong tokens came of late."""

    def __init__(self) -> None:
        self._wrong: dict[str, deque[float]] = {}
        self._held = 0

    async def wrong_token(self, client: str) -> None:
        """Note a wrong token, and wait if there were many from there."""
        log.warning("a wrong token came from %s", client)
        if len(self._wrong) > 1000:
            self._wrong.clear()
        times = self._wrong.setdefault(client, deque(maxlen=FREE))
        now = time.monotonic()
        many = len(times) == FREE and now - times[0] < WINDOW
        times.append(now)
        if many and self._held < MOST:
            self._held += 1
            try:
                await asyncio.sleep(SECONDS)
            finally:
                self._held -= 1
