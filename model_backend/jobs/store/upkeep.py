"""What the supervisor asks of the job store: who hangs, what is hopeless, what may be removed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Sequence

from model_backend.jobs.store.database import Database
from model_backend.jobs.store.endings import end_hopeless_jobs
from model_backend.jobs.store.turns import MOST_RUNNING, RUNNING

log = logging.getLogger(__name__)

MANY = 1000  # blocks
JUMP = 24 * 3600.0  # seconds


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

    def take_over(self) -> None:
        """Free what workers of an earlier backend held, whatever the clock says of their leases."""
        with self._database.transaction(essential=True) as db:
            db.execute("UPDATE block SET lease = 0 WHERE status = 'running'")

    def end_hopeless_jobs(self, max_crashes: int, living: Collection[str]) -> None:
        """Fail the jobs whose blocks have ended their worker ``max_crashes`` times, and free what is left.

        ``living`` are the workers that run. A block of an ended job that one of them holds stays its own, so
        that a worker which ignores the end is found.
        """
        now = time.time()
        values = {"now": now, "living": json.dumps(list(living))}
        with self._database.transaction(essential=True) as db:
            db.execute(  # nobody can be at these any more
                "UPDATE block SET status = 'dismissed' WHERE status = 'running' AND lease < :now"
                " AND worker NOT IN (SELECT value FROM json_each(:living))"
                " AND (SELECT status FROM job WHERE id = block.job) NOT IN ('accepted', 'running')",
                values,
            )
            end_hopeless_jobs(db, now, max_crashes, living)

    def open_blocks(self, here: Collection[str] = ()) -> int:
        """Return how many unfinished blocks of pixels may be computed as the backend is set now.

        Those that workers ``here`` are at do not count, nor do jobs that wait for another one of their owner.
        Many are as good as more.
        """
        sql = f"""
            WITH turn AS (SELECT id, owner, row_number() OVER (PARTITION BY owner ORDER BY seq) AS place
                FROM job WHERE status = 'accepted'),
            open AS (SELECT id FROM job, control WHERE status = 'running' AND mode <> 'paused'
                UNION ALL SELECT id FROM turn AS job, control LEFT JOIN owner ON owner.name = job.owner
                WHERE mode = 'open' AND place + {RUNNING} <= {MOST_RUNNING})
            SELECT 1 FROM open JOIN job USING (id) JOIN block ON block.job = id
            WHERE plan IS NOT NULL AND part IS NOT NULL AND (block.status = 'accepted'
                OR block.status = 'running' AND worker NOT IN (SELECT value FROM json_each(?)))
            LIMIT {MANY}
        """
        return len(self._database.rows(sql, (json.dumps(list(here)),)))

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

    def folders(self) -> dict[str, bool]:
        """Return whether a job's files are wanted: it is unfinished, successful, or still being written."""
        rows = self._database.rows(
            "SELECT id, status IN ('accepted', 'running', 'successful')"
            " OR id IN (SELECT job FROM block WHERE block.status = 'running') AS wanted FROM job"
        )
        return {row["id"]: bool(row["wanted"]) for row in rows}

    def expired(self, seconds: float) -> list[str]:
        """Return the jobs that ended more than ``seconds`` ago."""
        sql = "SELECT id FROM job WHERE finished < ?"
        return [row["id"] for row in self._database.rows(sql, (time.time() - seconds,))]

    def forget(self, jobs: Sequence[str]) -> None:
        """Forget jobs whose files are gone."""
        with self._database.transaction(essential=True) as db:
            db.executemany("DELETE FROM job WHERE id = ?", [(job,) for job in jobs])

    def is_clock_steady(self) -> bool:
        """Say whether ages can be believed: for a day after the clock jumped by more than one they cannot.

        A backend that was off for days sees a jump, too: what is old by now goes a day later.
        """
        now = time.time()
        with self._database.transaction(essential=True) as db:
            row = db.execute("SELECT seen, hold FROM clock").fetchone()
            seen, hold = row or (now, 0.0)
            if abs(now - seen) > JUMP:
                log.warning(
                    "the clock went from %s to %s since it was looked at last: nothing expires for a day."
                    " Set it right if it is wrong.", time.ctime(seen), time.ctime(now),
                )  # fmt: skip
                hold = now + JUMP
            db.execute("INSERT OR REPLACE INTO clock VALUES (1, ?, ?)", (now, hold))
        return bool(now >= hold)

    def needs_upload(self, upload: str) -> bool:
        """Say whether an unfinished job names an upload in its inputs."""
        names = "SELECT 1 FROM job WHERE status IN ('accepted', 'running') AND instr(inputs, ?) LIMIT 1"
        return bool(self._database.rows(names, (upload,)))
