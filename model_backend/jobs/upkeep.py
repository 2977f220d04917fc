"""What the supervisor asks of the job store: who hangs, what is hopeless, what may be removed."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence

from model_backend.jobs.database import Database
from model_backend.jobs.endings import end_hopeless_jobs


class Upkeep:
    """Looks after the rows of all owners' jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_ignoring_cancel(self, worker: str, seconds: float) -> bool:
        """Say whether a worker still works on a job that ended more than ``seconds`` ago."""
        rows = self._database.rows(
            "SELECT 1 FROM block JOIN job ON job.id = block.job WHERE worker = ? AND block.status = 'running'"
            " AND finished < ?",
            (worker, time.time() - seconds),
        )
        return bool(rows)

    def end_hopeless_jobs(self, max_crashes: int, living: Collection[str]) -> None:
        """Fail the jobs whose blocks have ended their worker ``max_crashes`` times, and free what is left.

        ``living`` are the workers that run. A block of an ended job that one of them holds stays its own, so
        that a worker which ignores the end is found.
        """
        now = time.time()
        values = {"now": now, "living": json.dumps(list(living))}
        with self._database.transaction() as db:
            db.execute(  # nobody can be at these any more
                "UPDATE block SET status = 'dismissed' WHERE status = 'running' AND lease < :now"
                " AND worker NOT IN (SELECT value FROM json_each(:living))"
                " AND (SELECT status FROM job WHERE id = block.job) NOT IN ('accepted', 'running')",
                values,
            )
            end_hopeless_jobs(db, now, max_crashes, living)

    def joined_blocks(self) -> list[tuple[str, int]]:
        """Return (job, number) of the blocks whose files are still there though they have been joined."""
        rows = self._database.rows(
            "SELECT block.job, block.number FROM block AS whole"
            " CROSS JOIN block ON block.job = whole.job AND block.variant = whole.variant"  # in this order
            " WHERE whole.part IS NULL AND whole.status = 'successful' AND block.file IS NOT NULL"
        )
        return [(row["job"], row["number"]) for row in rows]

    def forget_files(self, blocks: Sequence[tuple[str, int]]) -> None:
        """Forget where the files of blocks were, (job, number) each."""
        with self._database.transaction() as db:
            db.executemany("UPDATE block SET file = NULL WHERE job = ? AND number = ?", blocks)

    def expire(self, seconds: float) -> None:
        """Forget jobs that ended more than ``seconds`` ago."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM job WHERE finished < ?", (time.time() - seconds,))

    def keeping_files(self) -> set[str]:
        """Return the ids of jobs whose files are wanted: unfinished, successful, or still being written."""
        rows = self._database.rows(
            "SELECT id FROM job WHERE status IN ('accepted', 'running', 'successful')"
            " OR id IN (SELECT job FROM block WHERE status = 'running')"
        )
        return {row["id"] for row in rows}

    def needs_upload(self, upload: str) -> bool:
        """Say whether an unfinished job names an upload in its inputs."""
        names = "SELECT 1 FROM job WHERE status IN ('accepted', 'running') AND instr(inputs, ?) LIMIT 1"
        return bool(self._database.rows(names, (upload,)))
