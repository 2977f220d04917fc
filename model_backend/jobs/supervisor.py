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
from model_backend.jobs.crew import Crew
from model_backend.jobs.device_worker import DeviceWorker
from model_backend.jobs.files import Files
from model_backend.jobs.remote.guests import Guests
from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.uploads import Uploads
from model_backend.settings import NO_DEVICE, Settings

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at workers; their death is noticed at once
SWEEP = 60.0  # seconds between removals of what has expired
RAY = "model_backend.jobs.remote.ray_fleet"  # the process that keeps workers on a Ray cluster


class Supervisor:
    """Starts workers, replaces those that died or stand still, removes what has expired."""

    def __init__(
        self, settings: Settings, store: JobStore, files: Files, uploads: Uploads, worker_token: str = ""
    ) -> None:
        self._settings = settings
        self._store = store
        self._files = files
        self._uploads = uploads
        self._look = threading.Event()
        workers = [DeviceWorker(device, self._look) for device in settings.devices]
        fleet = [DeviceWorker("ray", self._look, RAY)] if settings.ray else []
        self._crew = Crew(workers, settings, self, self._order)
        self._fleet = Crew(fleet, settings, self, self._fleet_order)
        self._worker_token = worker_token
        self.guests = Guests()  # workers on other computers
        self._stopping = False
        self._sweep_at = 0.0
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start the workers and watch them."""
        self._thread.start()

    def wake(self) -> None:
        """Tell the workers that there is something to do, or something to stop."""
        for worker in self._crew.workers:
            worker.wake()

    def alive(self) -> int:
        """Return the number of workers that run and make pixels, here and elsewhere."""
        here = sum(worker.alive and worker.device != NO_DEVICE for worker in self._crew.workers)
        return here + len(self.guests.names())

    def health(self) -> list[dict[str, Any]]:
        """Return how each worker is, as JSON: those of this computer's devices, then those elsewhere."""
        return [worker.health() for worker in self._crew.workers] + self.guests.health()

    def is_ready(self) -> bool:
        """Say whether somebody would make a job: a worker that is there, or one that Ray gives us for it."""
        if self.guests.names():
            return True
        if any(fleet.health()["state"] == "working" for fleet in self._fleet.workers):
            return True
        # Without Ray workers elsewhere may come by themselves; with it none comes while the cluster is away.
        own = [one for one in self._crew.workers if not (self._fleet.workers and one.device == NO_DEVICE)]
        return any(one.health()["state"] in ("idle", "working") for one in own)

    def processes(self) -> list[tuple[str, int]]:
        """Return device and process id of the workers on this computer."""
        return [(worker.device, worker.pid) for worker in self._crew.workers if worker.pid is not None]

    def free_bytes(self) -> int:
        """Return the free bytes of the disk that results go to."""
        return shutil.disk_usage(self._files.root).free

    def stop(self) -> None:
        """End the workers; what they worked on stays queued."""
        self._stopping = True
        self._look.set()
        self._thread.join()
        for crew in (self._fleet, self._crew):
            crew.end()
        for worker in self._crew.workers:
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
        if self._crew.look_after():
            self._sweep_at = 0.0  # it may have left files behind
        self._fleet.look_after()
        for fleet in self._fleet.workers:
            fleet.wake(str(self._store.upkeep.open_blocks(self._crew.living())))
        living = [*self._crew.living(), *self.guests.names()]
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

    def release(self, worker: str, *, crashed: bool, fault: str | None) -> None:
        """Free what a worker held that ended."""
        self._store.claims.release(worker, crashed=crashed, fault=fault)

    def ignores_cancel(self, worker: str) -> bool:
        """Say whether a worker works on at a job that was dismissed long ago."""
        return self._store.upkeep.is_ignoring_cancel(worker, self._settings.cancel_seconds)

    def _order(self) -> dict[str, Any]:
        """Return what a worker is told at its start."""
        settings = self._settings.model_copy(update={"threads": self._threads()})
        return {"processes": processes.registered(), "settings": settings.model_dump(mode="json")}

    def _fleet_order(self) -> dict[str, Any]:
        """Return what the process is told that keeps workers on a Ray cluster."""
        return {"settings": self._settings.model_dump(mode="json"), "token": self._worker_token}

    def _threads(self) -> int:
        """Return the CPU threads of each worker; 0 leaves it to torch, which takes what there is."""
        workers = len(self._crew.workers)
        if workers == 1:
            return self._settings.threads
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, (self._settings.threads or cores) // workers)
