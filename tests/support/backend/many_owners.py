"""Many owners with many jobs each, and some who come late with a single job: who waits for whom, how long.

``python -m tests.support.backend.many_owners`` sends 200 echo jobs of each of 50 owners over HTTP to a
backend with 4 workers, polls meanwhile as the plugin does, and prints what it came to as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import psutil

from model_backend.administration.client import ask
from tests.support.backend.load import Client, Record, _quantiles, _unaccounted
from tests.support.backend.service import NO_MODEL, Backend


@dataclass(frozen=True)
class Size:
    """How much is sent, by how many, how many workers make it, and how many come late."""

    owners: int = 50
    jobs: int = 200
    workers: int = 4
    late: int = 10


class Owner(Client):
    """One of many owners, who sends all jobs and then asks for the last one."""

    async def send(self, jobs: int) -> None:
        """Send jobs one after another, wait for the last, and look at what each came to."""
        sent = [
            await self.submit("echo", {"message": f"{number}"}, f"job {number}") for number in range(jobs)
        ]
        await self.wait(sent[-1])
        for job in sent:
            info = await self.wait(job)
            if info["status"] != "successful":
                self._record.faults.append(f"{job} became {info['status']}: {info['message']}")
            self._record.done += 1


async def _come_late(late: list[Client], size: Size, record: Record) -> dict[str, float]:
    """Let nothing begin until all is sent; then have some owners send a single job each while it is made.

    Return when each was told of its job.
    """
    told, folder, all_jobs = {}, late[0].backend.data_dir, size.owners * size.jobs
    await asyncio.to_thread(ask, folder, "PUT", "mode", {"mode": "paused"})
    while len(record.submits) < all_jobs:
        await asyncio.sleep(0.05)
    await asyncio.to_thread(ask, folder, "PUT", "mode", {"mode": "open"})
    for number, client in enumerate(late):
        while (await asyncio.to_thread(ask, folder, "GET", "status"))["waiting"] > all_jobs * (
            1 - (number + 0.5) / size.late
        ):
            await asyncio.sleep(0.2)
        job = await client.submit("echo", {"message": "late"}, "late")
        told[job] = time.time()
        await client.wait(job)
    return told


def overtaken(database: Path, told: dict[str, float]) -> list[int]:
    """Return, for each of these jobs, the most jobs of one other owner that began while it waited."""
    with closing(sqlite3.connect(database)) as db:
        found = []
        for job, since in told.items():
            others = db.execute(
                "SELECT owner FROM job WHERE id <> :job AND started > :since"
                " AND started < (SELECT started FROM job WHERE id = :job)",
                {"job": job, "since": since},
            )
            found.append(max(Counter(one for (one,) in others).values(), default=0))
    return found


@contextmanager
def memory_of(process: int) -> Iterator[list[float]]:
    """Note the megabytes that a process holds, four times a second."""
    held: list[float] = []
    over = Event()

    def look() -> None:
        while not over.wait(0.25):
            held.append(psutil.Process(process).memory_info().rss / 1e6)

    thread = Thread(target=look)
    thread.start()
    try:
        yield held
    finally:
        over.set()
        thread.join()


async def run(backend: Backend, tokens: list[str], size: Size) -> dict[str, Any]:
    """Send all jobs, count everything; return the figures with all faults."""
    record = Record()
    owners = [Owner(backend, token, record) for token in tokens[: size.owners]]
    late = [Client(backend, token, record) for token in tokens[size.owners :]]
    begun, busy = time.monotonic(), psutil.cpu_times()
    with memory_of(backend.process.pid) as held:
        singles, *_ = await asyncio.gather(
            _come_late(late, size, record), *(owner.send(size.jobs) for owner in owners)
        )
        seconds = time.monotonic() - begun
    spent = psutil.Process(backend.process.pid).cpu_times()
    for client in (*owners, *late):
        record.faults += await _unaccounted(client, record.jobs.get(client.owner, {}))
        await client.close()
    half = held[len(held) // 2 :]
    return {
        **{name: getattr(size, name) for name in ("owners", "jobs", "workers")},
        "jobs done": record.done,
        "seconds": round(seconds, 1),
        "jobs per second": round(record.done / seconds, 1),
        "submit, seconds": _quantiles(record.submits),
        "poll, seconds": _quantiles(record.polls),
        "polls": len(record.polls),
        "most jobs of one other owner before a single one": overtaken(
            backend.data_dir / "jobs.sqlite", singles
        ),
        "MB at the middle and at the end": [round(float(np.mean(part)), 1) for part in (half[:8], half[-8:])],
        "processor seconds of the API": round(spent.user + spent.system, 1),
        "cores busy, all processes": round(_busy(busy) / seconds, 1),
        "load average": [round(one, 1) for one in os.getloadavg()],
        "faults": record.faults[:20],
    }


def _busy(before: Any) -> float:
    now = psutil.cpu_times()
    return float(now.user + now.nice + now.system - before.user - before.nice - before.system)


def measured(folder: Path, size: Size) -> dict[str, Any]:
    """Run it against a backend of its own in a folder and return the figures."""
    tokens = [f"token-of-owner-{number:03}-{'x' * 20}" for number in range(size.owners + size.late)]
    (folder / "tokens").write_text("\n".join(tokens))
    (folder / "tokens").chmod(0o600)
    flags = (*NO_MODEL, "--devices", ",".join(["cpu"] * size.workers), "--token-file", str(folder / "tokens"))
    backend = Backend(folder / "data", *flags, max_jobs=size.jobs).start()
    try:
        return asyncio.run(run(backend, tokens, size))
    finally:
        backend.stop()


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in vars(Size()).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), Size(**vars(parser.parse_args()))), indent=1))


if __name__ == "__main__":
    main()
