"""The worker processes of one computer: started, watched, replaced, ended.

Knows when one is to be started or killed; what becomes of its blocks it tells an office: the job store where
that is here, the backend where the computer is another one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from model_backend.jobs.device_worker import DeviceWorker
from model_backend.settings import Settings

log = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds a worker gets to leave at shutdown


class Office(Protocol):
    """Who keeps the rows."""

    def release(self, worker: str, *, crashed: bool, fault: str | None) -> None:
        """Free what a worker held that ended."""

    def ignores_cancel(self, worker: str) -> bool:
        """Say whether a worker works on at a job that was dismissed long ago."""


class Crew:
    """The workers of one computer; ``order`` says what a new one is told."""

    def __init__(
        self,
        workers: Sequence[DeviceWorker],
        settings: Settings,
        office: Office,
        order: Callable[[], dict[str, Any]],
    ) -> None:
        self.workers = workers
        self._settings, self._office, self._order = settings, office, order
        self._looked = time.monotonic()

    def look_after(self) -> bool:
        """Replace who ended, kill who stands still; say whether somebody ended."""
        away, self._looked = time.monotonic() - self._looked, time.monotonic()
        ended = False
        for worker in self.workers:
            if away > self._settings.silence_seconds / 2:  # this process itself stood still
                worker.forgive()
            ended |= self._check(worker)
        return ended

    def living(self) -> list[str]:
        """Return the names of those that run."""
        return [worker.name for worker in self.workers if worker.alive]

    def end(self) -> None:
        """Ask all to leave, and end those that do not."""
        for worker in self.workers:
            worker.leave()
        for worker in self.workers:
            worker.end(PATIENCE)

    def _check(self, worker: DeviceWorker) -> bool:
        ended = worker.exit_code is not None
        if ended:
            log.warning("worker %s ended with code %d", worker.name, worker.exit_code)
            self._office.release(worker.name, crashed=True, fault=worker.fault)
            worker.clear()
        if worker.is_due:
            worker.start(self._order())
        elif worker.alive:
            self._check_work(worker)
        return ended

    def _check_work(self, worker: DeviceWorker) -> None:
        """Kill a worker that stands still; its end is seen at the next look."""
        settings = self._settings
        if fault := worker.standstill(settings.silence_seconds, settings.stall_seconds):
            log.warning("worker %s: %s", worker.name, fault)
            worker.kill(fault)
        elif self._office.ignores_cancel(worker.name):
            log.warning("worker %s ignores a cancel: killed", worker.name)
            worker.kill()
