"""Keeps one worker process per device alive and at work while the API runs.

Knows when a worker is to be started, replaced or killed, and what is to be removed; does not know what
workers do.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
import time
from contextlib import suppress
from typing import Any

from model_backend import processes
from model_backend.errors import BackendError
from model_backend.jobs.device_worker import DeviceWorker
from model_backend.jobs.files import Files
from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.uploads import Uploads
from model_backend.settings import Settings

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at workers; their death is noticed at once
SWEEP = 60.0  # seconds between removals of what has expired
PATIENCE = 5.0  # seconds a worker gets to leave at shutdown


class Supervisor:
    """Starts workers, replaces those that died or stand still, removes what has expired."""

    def __init__(self, settings: Settings, store: JobStore, files: Files, uploads: Uploads) -> None:
        self._settings = settings
        self._store = store
        self._files = files
        self._uploads = uploads
        self._look = threading.Event()
        self._workers = [DeviceWorker(device.strip(), self._look) for device in settings.device.split(",")]
        self._stopping = False
        self._sweep_at = 0.0
        self._looked = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start the workers and watch them."""
        self._thread.start()

    def wake(self) -> None:
        """Tell the workers that there is something to do, or something to stop."""
        for worker in self._workers:
            worker.wake()

    def alive(self) -> int:
        """Return the number of workers that run."""
        return sum(worker.alive for worker in self._workers)

    def health(self) -> list[dict[str, Any]]:
        """Return how the worker of each device is, as JSON."""
        return [worker.health() for worker in self._workers]

    def free_bytes(self) -> int:
        """Return the free bytes of the disk that results go to."""
        return shutil.disk_usage(self._files.root).free

    def stop(self) -> None:
        """End the workers; what they worked on stays queued."""
        self._stopping = True
        self._look.set()
        self._thread.join()
        for worker in self._workers:
            worker.leave()
        for worker in self._workers:
            worker.end(PATIENCE)
            with suppress(BackendError):  # a full or locked disk; the next start takes over
                self._store.claims.release(worker.name)

    def _run(self) -> None:
        took_over = False
        while not self._stopping:
            try:
                if not took_over:
                    self._store.upkeep.take_over()
                    took_over = True
                self._look_after()
            except (OSError, sqlite3.Error, BackendError):  # a full disk, say: it must not end the watch
                log.exception("the supervisor could not do its round")
            self._look.wait(TICK)
            self._look.clear()

    def _look_after(self) -> None:
        away, self._looked = time.monotonic() - self._looked, time.monotonic()
        for worker in self._workers:
            if away > self._settings.silence_seconds / 2:  # this process itself stood still
                worker.forgive()
            self._check(worker)
        living = [worker.name for worker in self._workers if worker.alive]
        self._store.upkeep.end_hopeless_jobs(self._settings.max_attempts, living)
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP
            self._sweep()

    def _sweep(self) -> None:
        """Remove what is not wanted any more."""
        upkeep = self._store.upkeep
        self._store.database.keep_reserve()
        if upkeep.is_clock_steady():
            expired = upkeep.expired(self._settings.result_hours * 3600)
            upkeep.forget(self._files.remove(expired))
            self._uploads.sweep(upkeep.needs_upload)
        self._files.sweep(upkeep.folders)
        self._files.forget_blocks(self._store)

    def _check(self, worker: DeviceWorker) -> None:
        if worker.exit_code is not None:
            log.warning("worker %s ended with code %d", worker.name, worker.exit_code)
            self._store.claims.release(worker.name, crashed=True, fault=worker.fault)
            self._sweep_at = 0.0  # it may have left files behind
            worker.clear()
        if worker.is_due:
            worker.start(self._order())
        elif worker.alive:
            self._check_work(worker)

    def _check_work(self, worker: DeviceWorker) -> None:
        """Kill a worker that stands still; its end is seen at the next look."""
        settings = self._settings
        if fault := worker.standstill(settings.silence_seconds, settings.stall_seconds):
            log.warning("worker %s: %s", worker.name, fault)
            worker.kill(fault)
        elif self._store.upkeep.is_ignoring_cancel(worker.name, settings.cancel_seconds):
            log.warning("worker %s ignores a cancel: killed", worker.name)
            worker.kill()

    def _order(self) -> dict[str, Any]:
        """Return what a worker is told at its start."""
        settings = self._settings.model_copy(update={"threads": self._threads()})
        return {"processes": processes.registered(), "settings": settings.model_dump(mode="json")}

    def _threads(self) -> int:
        """Return the CPU threads of each worker; 0 leaves it to torch, which takes what there is."""
        workers = len(self._workers)
        if workers == 1:
            return self._settings.threads
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, (self._settings.threads or cores) // workers)
