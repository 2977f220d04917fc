"""The line of unfinished jobs: in which order they come up, and how long what is ahead of each will take.

Counted once for all jobs and kept for a moment, because everybody who waits asks every second or so.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from model_backend.jobs.store.database import Database
from model_backend.jobs.store.rows import Job

SECONDS = 1.0  # that a count is good for

# Jobs that run are ended first; then comes the owner who has waited longest since a job of theirs began.
TURN = "coalesce((SELECT number FROM turn WHERE turn.owner = job.owner), 0)"
ORDER = f"status = 'accepted', iif(status = 'accepted', {TURN}, 0), seq"

# All owners take their turns before anybody's next one. Blocks that wait are taken to be as fast as those of
# their job that were measured.
_LINE = f"""
    WITH unfinished AS (SELECT seq, id, owner, status, row_number() OVER (
            PARTITION BY status, iif(status = 'accepted', owner, '') ORDER BY seq) AS round
        FROM job WHERE status IN ('accepted', 'running')),
    measured AS (SELECT job, avg(rate) AS rate FROM block
        WHERE done > 0 AND part IS NOT NULL AND job IN (SELECT id FROM unfinished) GROUP BY job),
    open AS (SELECT job, total - done AS steps, part, iif(status = 'accepted' AND part IS NOT NULL,
            coalesce(measured.rate, block.rate), coalesce(block.rate, measured.rate)) AS rate
        FROM block LEFT JOIN measured USING (job)
        WHERE job IN (SELECT id FROM unfinished) AND status IN ('accepted', 'running'))
    SELECT job.seq, job.status = 'accepted' AS waits, total(steps * rate) AS seconds,
        count(steps) - count(rate) AS unknown, count(part) AS parts
    FROM unfinished AS job LEFT JOIN open ON open.job = job.id GROUP BY job.seq
    ORDER BY waits, iif(waits, round, 0), iif(waits, {TURN}, 0), job.seq
"""


@dataclass(frozen=True)
class Place:
    """A job's place in the line (0: it runs), and the work up to its end: seconds, and blocks to share."""

    number: int
    seconds: float | None  # None: unknown
    blocks: int


class Line:
    """Places of all unfinished jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._places: dict[int, Place] = {}
        self._counted = -SECONDS

    def place(self, job: Job) -> Place | None:
        """Return the place of a job; None: it has ended."""
        with self._lock:
            if time.monotonic() - self._counted >= SECONDS or job.seq not in self._places:
                self._places, self._counted = self._count(), time.monotonic()
            return self._places.get(job.seq)

    def _count(self) -> dict[int, Place]:
        places = {}
        waiting, seconds, unknown, blocks = 0, 0.0, 0, 0
        for row in self._database.rows(_LINE):
            waiting, seconds = waiting + row["waits"], seconds + row["seconds"]
            unknown, blocks = unknown + row["unknown"], blocks + row["parts"]
            places[row["seq"]] = Place(waiting if row["waits"] else 0, None if unknown else seconds, blocks)
        return places
