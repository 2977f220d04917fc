"""Jobs caught in the middle, however fast the machine is and however seldom one looks.

A look now and then misses what passes between two looks. So a worker is stopped first and looked at then;
what rows went through, the database itself writes down; and what must not end while a test looks takes hours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support.backend.service import Backend, finished, submit, until

# Two million evaluations: most of an hour for the tiny model, minutes on a machine many times faster.
HOURS: dict[str, Any] = {
    "prompt": "a river",
    "extent": {"bbox": [500000, 5200000, 504096, 5203072], "crs": "EPSG:32632"},
    "gsd": 1.0,
    "seed": 11,
    "steps": 170,
}


@contextmanager
def stopped(server: Backend) -> Iterator[psutil.Process]:
    """Yield the worker of a backend, which does nothing meanwhile."""
    worker = server.worker()
    stop(worker, server.data_dir)
    try:
        yield worker
    finally:
        with suppress(psutil.NoSuchProcess):
            worker.resume()


def stop(worker: psutil.Process, data_dir: Path) -> None:
    """Stop a worker (SIGSTOP) where it holds no lock of the store."""
    with closing(_open(data_dir, timeout=0)) as store:
        while True:
            worker.suspend()
            try:
                store.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                worker.resume()
            else:
                store.execute("ROLLBACK")
                return


def done_of(server: Backend, job: str) -> tuple[str, float]:
    """Return the status of a job and the share of its steps that are done, as its rows say it."""
    sql = (
        "SELECT job.status, total(block.done) / total(block.total) FROM job JOIN block ON block.job = job.id"
        " WHERE job.id = ?"
    )
    with closing(_open(server.data_dir)) as store:
        status, share = store.execute(sql, (job,)).fetchone()
    return str(status), float(share)


def begun(server: Backend, job: str) -> None:
    """Wait until steps of a job are done."""
    until(lambda: done_of(server, job)[1] > 0)


@contextmanager
def caught(
    server: Backend, client: httpx.Client, inputs: dict[str, Any], share: float = 0.0
) -> Iterator[tuple[str, psutil.Process]]:
    """Yield a scene of which more than ``share`` is done, not all, and its worker, stopped meanwhile.

    Where a scene is done before it is looked at, another one is begun.
    """
    while True:
        job = submit(client, "generate", inputs)
        until(lambda job=job: done_of(server, job)[1] > share)  # type: ignore[misc]
        with stopped(server) as worker:
            if done_of(server, job)[0] == "running":
                yield job, worker
                return
        finished(client, job)


class JobHistory:
    """All that the rows of jobs go through from now on, in order."""

    def __init__(self, data_dir: Path) -> None:
        """Begin to write into the store of a data directory."""
        self._store = _open(data_dir)
        self._store.executescript(
            """
            CREATE TABLE job_changes (job TEXT, message TEXT, made INTEGER, done INTEGER, total INTEGER);
            CREATE TRIGGER job_history AFTER UPDATE ON job BEGIN
                INSERT INTO job_changes SELECT new.id, new.message,
                    total(part IS NOT NULL AND status = 'successful'), total(done), total(total)
                    FROM block WHERE job = new.id;
            END;
            """
        )

    def messages(self, job: str) -> list[str]:
        """Return what its owner could have read, each sentence once."""
        rows = self._store.execute("SELECT message FROM job_changes WHERE job = ? ORDER BY rowid", (job,))
        return list(dict.fromkeys(message for (message,) in rows))

    def progress(self, job: str) -> list[tuple[int, int]]:
        """Return (blocks made, per cent) at every change."""
        rows = self._store.execute(
            "SELECT made, 100 * done / total FROM job_changes WHERE job = ? ORDER BY rowid", (job,)
        )
        return [(int(made), int(share)) for made, share in rows]

    def close(self) -> None:
        """End it, and leave the store as it was."""
        self._store.executescript("DROP TRIGGER job_history; DROP TABLE job_changes")
        self._store.close()


def _open(data_dir: Path, timeout: float = 30) -> sqlite3.Connection:
    return sqlite3.connect(data_dir / "jobs.sqlite", timeout=timeout, isolation_level=None)
