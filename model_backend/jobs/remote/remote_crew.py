"""The workers of a computer that is not the backend's: processes as there, which ask it over HTTP."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

from platformdirs import user_cache_path

from model_backend.jobs.crew import Crew
from model_backend.jobs.device_worker import DeviceWorker
from model_backend.jobs.files import remove
from model_backend.jobs.remote.connection import Connection
from model_backend.jobs.remote.desk import FAREWELL
from model_backend.jobs.remote.models import RemoteModels
from model_backend.settings import Settings

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at workers; their death is noticed at once
ASK = 5.0  # seconds between questions whether a worker ignores a cancel, which also say that it is there
LEFT_BEHIND = 24 * 3600.0  # seconds after which the folder of a worker that was killed goes


def own_folder() -> Path:
    """Return where a computer keeps what its workers fetched and write."""
    return user_cache_path("text2earth")


class RemoteCrew:
    """Works for one backend until it is told to end."""

    def __init__(self, url: str, token: str, devices: Sequence[str], folder: Path, threads: int = 0) -> None:
        """Ask the backend what to do; waits for one that is away, and raises Refused."""
        self._server = {"url": url, "token": token}
        self._connection = Connection(url, token)
        self._folder, self._threads = folder, threads
        self._asked: dict[str, float] = {}  # when it was last asked about each worker
        self._look, self._stop = Event(), Event()
        order = self._connection.call("order")
        settings = self._settings(order)
        host = socket.gethostname()
        workers = [DeviceWorker(device, self._look, host=host) for device in devices]
        self._crew = Crew(workers, settings, self, self._order)

    def run(self) -> None:
        """Work until ``stop``."""
        self._forget_folders()
        while not self._stop.is_set():
            self._crew.look_after()
            self._look.wait(TICK)
            self._look.clear()
        self._crew.end()
        for worker in self._crew.workers:
            remove(self._folder / "workers" / worker.name)
        self._connection.close()

    def stop(self) -> None:
        """Have ``run`` end; what is being made goes back to the queue."""
        self._stop.set()
        self._look.set()

    def computes(self) -> bool:
        """Say whether a worker is at a block, or at its start, as far as its last beat tells."""
        return any(worker.health()["state"] not in ("idle", "ended") for worker in self._crew.workers)

    def release(self, worker: str, *, crashed: bool, fault: str | None) -> None:
        """Free what a worker held that ended; a backend that is away finds out by the lease."""
        remove(self._folder / "workers" / worker)
        self._asked.pop(worker, None)
        try:
            self._connection.call("release", FAREWELL, worker=worker, crashed=crashed, fault=fault)
        except ConnectionError as error:
            log.warning("%s", error)

    def ignores_cancel(self, worker: str) -> bool:
        """Say whether a worker works on at a job that was dismissed long ago; asked now and then."""
        if time.monotonic() - self._asked.get(worker, -ASK) < ASK:
            return False
        self._asked[worker] = time.monotonic()
        try:
            return bool(self._connection.call("ignores_cancel", 0.0, worker=worker))
        except ConnectionError:  # asked again soon
            return False

    def _order(self) -> dict[str, Any]:
        """Return what a worker is told at its start: what the backend says now."""
        order = self._connection.call("order")
        settings = self._settings(order)
        RemoteModels(self._connection, settings).have(settings.model, order["revision"])
        return {
            "processes": order["processes"],
            "settings": settings.model_dump(mode="json"),
            "server": self._server,
        }

    def _settings(self, order: dict[str, Any]) -> Settings:
        own = {"data_dir": self._folder, "threads": self._threads}
        return Settings(**order["settings"] | own)

    def _forget_folders(self) -> None:
        oldest = time.time() - LEFT_BEHIND
        for folder in (self._folder / "workers").glob("*"):
            if folder.stat().st_mtime < oldest:
                remove(folder)
