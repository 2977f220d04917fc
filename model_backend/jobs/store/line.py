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
QUICK = 0.01  # seconds; counts that take longer are not made anew for every job that comes

# Owners share the time: a job that begins is charged to its owner, and whose charge is the lowest comes next
# (start-time fair queueing). Shared time is where the job that began last did begin; whoever comes back is
# owed nothing for the time before. So a single job waits for one of each other owner at most.
SHARED_TIME = "(SELECT coalesce(max(began), 0) FROM owner)"
BEGINS = f"max({SHARED_TIME}, coalesce(owner.due, 0))"  # of an owner's first waiting job, in shared time
PRIORITY = "coalesce(owner.priority, 1)"

_RATE = """iif(block.status = 'accepted' AND part IS NOT NULL,
    coalesce(measured.rate, block.rate), coalesce(block.rate, measured.rate))"""

# Jobs that run come before those that wait. Blocks that wait are taken to be as fast as those of their job
# that were measured.
_LINE = f"""
    WITH unfinished AS (SELECT seq, id, job.status, iif(status = 'accepted', {BEGINS}
            + (sum(cost) OVER (PARTITION BY status, job.owner ORDER BY seq) - cost) / {PRIORITY}, 0) AS begins
        FROM job LEFT JOIN owner ON owner.name = job.owner WHERE status IN ('accepted', 'running')),
    measured AS (SELECT job, avg(rate) AS rate FROM block
        WHERE done > 0 AND part IS NOT NULL AND job IN (SELECT id FROM unfinished) GROUP BY job)
    SELECT job.seq, job.status = 'accepted' AS waits, total((total - done) * {_RATE}) AS seconds,
        count(total) - count({_RATE}) AS unknown, count(part) AS parts
    FROM unfinished AS job LEFT JOIN measured ON measured.job = job.id
    LEFT JOIN block ON block.job = job.id AND block.status IN ('accepted', 'running')
    GROUP BY job.seq
    ORDER BY waits, begins, job.seq
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
        self._counted, self._took, self._newest = -SECONDS, 0.0, 0

    def place(self, job: Job) -> Place | None:
        """Return the place of a job; None: it has ended.

        Where the line is long, a job that came in the last second is told to be its last one.
        """
        with self._lock:
            now, is_new = time.monotonic(), job.seq > self._newest
            if now - self._counted >= SECONDS or (is_new and self._took < QUICK):
                self._places = self._count()
                self._newest = max(job.seq, *self._places, 0)
                self._counted, self._took = time.monotonic(), time.monotonic() - now
            elif is_new:
                return Place(len(self._places) + 1, None, 1)
            return self._places.get(job.seq)

    def _count(self) -> dict[int, Place]:
        places = {}
        waiting, seconds, unknown, blocks = 0, 0.0, 0, 0
        for row in self._database.rows(_LINE):
            waiting, seconds = waiting + row["waits"], seconds + row["seconds"]
            unknown, blocks = unknown + row["unknown"], blocks + row["parts"]
            places[row["seq"]] = Place(waiting if row["waits"] else 0, None if unknown else seconds, blocks)
        return places
