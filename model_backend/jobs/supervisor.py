"""Keeps one worker process per device alive while the API runs.

Knows how to start, wake, watch and end processes; does not know what they do. A worker is told everything in
one JSON line on its standard input; every later line means "look for work"; the end of that input means that
we are gone, by whatever death, and the worker leaves (a pipe does that on every operating system).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass

from model_backend import processes
from model_backend.jobs.files import Files
from model_backend.jobs.store import JobStore
from model_backend.jobs.uploads import Uploads
from model_backend.settings import Settings

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at workers; their death is noticed at once
SWEEP = 60.0  # seconds between removals of what has expired
PATIENCE = 5.0  # seconds a worker gets to leave at shutdown
HEALTHY = 60.0  # a worker that lived this long was not broken from the start
LONGEST_PAUSE = 30.0  # seconds between starts of a worker that keeps dying

# OpenMP threads that wait for each other spin for milliseconds by default. Where QGIS or anything else wants
# the same cores, they wait for the one that their own spinning keeps out: a scene of 4 s on two idle cores
# took 40 s beside one other process, with this 9 s (and still 4 s alone). GNU's OpenMP, torch's on Linux.
THREADS = {"GOMP_SPINCOUNT": "1000"}


@dataclass
class DeviceWorker:
    """The worker process of one device, and how its last ones fared."""

    device: str
    name: str = ""
    process: subprocess.Popen[bytes] | None = None
    born: float = 0.0
    crashes: int = 0  # in a row
    start_at: float = 0.0


class Supervisor:
    """Starts workers, restarts dead ones, kills those that ignore a cancel, removes what has expired."""

    def __init__(self, settings: Settings, store: JobStore, files: Files, uploads: Uploads) -> None:
        self._settings = settings
        self._store = store
        self._files = files
        self._uploads = uploads
        self._workers = [DeviceWorker(device.strip()) for device in settings.device.split(",")]
        self._lock = threading.Lock()  # of the workers' processes
        self._look = threading.Event()
        self._stopping = False
        self._sweep_at = 0.0
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start the workers and watch them."""
        self._thread.start()

    def wake(self) -> None:
        """Tell the workers that there is something to do, or something to stop."""
        with self._lock:
            for worker in self._workers:
                if worker.process is not None and worker.process.stdin is not None:
                    with contextlib.suppress(OSError):  # it died; the next one looks by itself
                        worker.process.stdin.write(b"\n")

    def alive(self) -> int:
        """Return the number of workers that run."""
        return sum(worker.process is not None and worker.process.poll() is None for worker in self._workers)

    def free_bytes(self) -> int:
        """Return the free bytes of the disk that results go to."""
        return shutil.disk_usage(self._files.root).free

    def stop(self) -> None:
        """End the workers; what they worked on stays queued."""
        self._stopping = True
        self._look.set()
        self._thread.join()
        with self._lock:
            running = [worker.process for worker in self._workers if worker.process is not None]
            for process in running:
                assert process.stdin is not None
                with contextlib.suppress(OSError):
                    process.stdin.close()
            for process in running:
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            for worker in self._workers:
                self._store.claims.release(worker.name, crashed=False)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._look_after()
            except (OSError, sqlite3.Error):  # a full disk, say: it must not end the watch
                log.exception("the supervisor could not do its round")
            self._look.wait(TICK)
            self._look.clear()

    def _look_after(self) -> None:
        for worker in self._workers:
            self._check(worker)
        self._store.upkeep.end_hopeless_jobs(self._settings.max_attempts)
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP
            self._store.upkeep.expire(self._settings.result_hours * 3600)
            self._files.sweep(self._store.upkeep.keeping_files)
            self._files.forget_blocks(self._store)
            self._uploads.sweep(self._store.upkeep.needs_upload)

    def _check(self, worker: DeviceWorker) -> None:
        if worker.process is None:
            if time.monotonic() >= worker.start_at:
                self._spawn(worker)
        elif worker.process.poll() is not None:
            self._clean_up_after(worker, worker.process.returncode)
            self._check(worker)
        elif self._store.upkeep.is_ignoring_cancel(worker.name, self._settings.cancel_seconds):
            log.warning("worker %s ignores a cancel: killed", worker.name)
            worker.process.kill()  # noticed by its waiter

    def _spawn(self, worker: DeviceWorker) -> None:
        worker.name = f"{worker.device}-{uuid.uuid4().hex[:8]}"
        order = {
            "worker": worker.name,
            "device": worker.device,
            "processes": processes.registered(),
            "settings": self._settings.model_copy(update={"threads": self._threads()}).model_dump(
                mode="json"
            ),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "model_backend.jobs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # ours is the user's
            bufsize=0,
            env=THREADS | dict(os.environ),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # dead already: cleaned up after at the next look
            process.stdin.write(json.dumps(order).encode() + b"\n")
        with self._lock:
            worker.process, worker.born = process, time.monotonic()
        threading.Thread(target=self._await, args=(process,), daemon=True).start()

    def _threads(self) -> int:
        """Return the CPU threads of each worker; 0 leaves it to torch, which takes what there is."""
        workers = len(self._workers)
        if workers == 1:
            return self._settings.threads
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, (self._settings.threads or cores) // workers)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._look.set()

    def _clean_up_after(self, worker: DeviceWorker, code: int) -> None:
        assert worker.process is not None
        log.warning("worker %s ended with code %d", worker.name, code)
        self._store.claims.release(worker.name, crashed=True)
        self._sweep_at = 0.0  # it may have left files behind
        with self._lock:
            if worker.process.stdin is not None:
                worker.process.stdin.close()
            worker.process = None
        healthy = time.monotonic() - worker.born > HEALTHY
        worker.crashes = 1 if healthy else worker.crashes + 1
        pause = 0.0 if worker.crashes == 1 else min(LONGEST_PAUSE, 2.0 ** (worker.crashes - 2))
        worker.start_at = time.monotonic() + pause
