"""Workers that are killed as often as a test likes: they are forked from a process that has torch already.

A worker of a real backend takes seconds to import it. ``python -m tests.support.backend.forked_workers``
reads orders, JSON a line, and answers each with a line; ``ForkedWorkers`` is its other end. Everything but
the import is as in a backend: the same store, files, worker loop and SIGKILL.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import model_backend.engine.scene
import model_backend.models.loader  # noqa: F401
from model_backend.jobs.pulse import Pulse
from model_backend.jobs.store.rows import Claim
from model_backend.jobs.worker import Worker
from model_backend.settings import Settings


class ForkedWorkers:
    """Starts and kills workers of a data directory."""

    def __init__(self, settings: Settings) -> None:
        with (settings.data_dir / "workers.log").open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.backend.forked_workers"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._ask(settings.model_dump(mode="json"))

    def start(self, name: str, device: str = "cpu", threads: int = 1, claims: int | None = None) -> int:
        """Start a worker, which rests after so many ``claims``, and return its process id."""
        return int(self._ask({"name": name, "device": device, "threads": threads, "claims": claims}))

    def kill(self, pid: int) -> None:
        """Kill a worker and wait until it is gone."""
        self._ask({"kill": pid})

    def close(self) -> None:
        """End, and take every worker along."""
        self._process.communicate(timeout=60)

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


def _serve() -> None:
    settings = Settings(**json.loads(sys.stdin.readline()))
    print("0", flush=True)
    living: set[int] = set()
    while line := sys.stdin.readline():
        order = json.loads(line)
        if "kill" in order:
            living.remove(order["kill"])
            _kill(order["kill"])
            print("0", flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            changed = settings.model_copy(update={"threads": order["threads"]})
            worker = Worker(order["name"], order["device"], changed, Pulse())
            if order["claims"] is not None:
                _limit(worker, order["claims"])
            worker.run()
        living.add(pid)
        print(pid, flush=True)
    for pid in living:
        _kill(pid)


def _limit(worker: Worker, claims: int) -> None:
    """Have a worker wait for its death after so many claims."""
    claim, left = worker._desk.claims.take, iter(range(claims))

    def limited(*arguments: Any) -> Claim | None:
        if next(left, None) is None:
            signal.pause()
        return claim(*arguments)

    worker._desk.claims.take = limited  # type: ignore[method-assign]


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    _serve()
