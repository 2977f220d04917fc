"""The rows of a backend, and what they went through: which blocks were finished, how often, when, by whom."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path


class Journal:
    """Notes from now on whenever a block is finished."""

    def __init__(self, data_dir: Path) -> None:
        self._rows = sqlite3.connect(data_dir / "jobs.sqlite", timeout=60, isolation_level=None)
        self._rows.executescript(
            """
            CREATE TABLE IF NOT EXISTS finished
                (job TEXT, number INTEGER, part INTEGER, worker TEXT, at REAL);
            CREATE TRIGGER IF NOT EXISTS note AFTER UPDATE OF status ON block
            WHEN new.status = 'successful' AND old.status <> 'successful'
            BEGIN INSERT INTO finished VALUES
                (new.job, new.number, new.part, new.worker, (julianday('now') - 2440587.5) * 86400); END;
            """
        )

    def held(self, workers: str, until: float) -> bool:
        """Say whether a worker whose name begins so holds a block, by a lease until then at least."""
        sql = "SELECT 1 FROM block WHERE status = 'running' AND worker LIKE ? || '%' AND lease > ?"
        return bool(self._rows.execute(sql, (workers, until)).fetchone())

    def finished(self, job: str) -> list[int]:
        """Return which blocks were finished, in order, as often as they were."""
        sql = "SELECT number FROM finished WHERE job = ? ORDER BY number"
        return [number for (number,) in self._rows.execute(sql, (job,))]

    def times(self, job: str) -> dict[str, list[float]]:
        """Return when each worker finished blocks of pixels, in UNIX seconds, ascending."""
        found: dict[str, list[float]] = defaultdict(list)
        sql = "SELECT worker, at FROM finished WHERE job = ? AND part IS NOT NULL ORDER BY at"
        for worker, at in self._rows.execute(sql, (job,)):
            found[worker].append(at)
        return found

    def makers(self, job: str) -> list[str]:
        """Return who made each block."""
        sql = "SELECT worker FROM block WHERE job = ? AND part IS NOT NULL ORDER BY number"
        return [worker for (worker,) in self._rows.execute(sql, (job,))]

    def crashes(self, job: str) -> int:
        """Return how many claims ended without a word."""
        return int(self._rows.execute("SELECT sum(crashes) FROM block WHERE job = ?", (job,)).fetchone()[0])

    def close(self) -> None:
        self._rows.close()
