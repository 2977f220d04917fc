"""The queue as owners see it: they send jobs, ask how they are, fetch results and dismiss them.

Does not know HTTP, files, models or processes. To everybody else an owner's jobs do
not exist.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from dataclasses import asdict

from model_backend.errors import Conflict, Draining, NoSuchJob, StorageFull, TooManyJobs
from model_backend.jobs.store.database import Database
from model_backend.jobs.store.endings import end_job
from model_backend.jobs.store.line import Line
from model_backend.jobs.store.rows import Filter, Job, Result, Submission, job_of

JOBS = """
    SELECT job.*, sum(block.done) AS done, sum(block.total) AS total
    FROM job JOIN block ON block.job = job.id
    WHERE {where} GROUP BY job.seq
"""
FILTER = """
    job.owner = :owner AND NOT job.removed
    AND (:processes IS NULL OR job.process IN (SELECT value FROM json_each(:processes)))
    AND (:statuses IS NULL OR job.status IN (SELECT value FROM json_each(:statuses)))
    AND (:after IS NULL OR job.created >= :after) AND (:before IS NULL OR job.created <= :before)
    AND (:shortest IS NULL OR coalesce(job.finished, :now) - job.started >= :shortest)
    AND (:longest IS NULL OR coalesce(job.finished, :now) - job.started <= :longest)
"""
PAGE = " ORDER BY job.seq DESC LIMIT :limit OFFSET :offset"


class Queue:
    """The jobs of all owners, each seen by its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._line = Line(database)

    def replay(self, owner: str, key: str | None, digest: str) -> Job | None:
        """Return the job already made for this Idempotency-Key; another request under it is a Conflict."""
        if key is None:
            return None
        rows = self._database.rows("SELECT id, digest FROM job WHERE owner = ? AND key = ?", (owner, key))
        if not rows:
            return None
        if rows[0]["digest"] != digest:
            raise Conflict("This Idempotency-Key was used for another request; send a new key.")
        return self.job(owner, rows[0]["id"])

    def submit(self, s: Submission, *, max_jobs: int, free: int, max_bytes: int | None = None) -> Job:
        """Queue a job, given the ``free`` bytes of the disk and the most bytes that its owner may keep.

        Raises TooManyJobs, StorageFull (what unfinished jobs may still write counts), Conflict or Draining.
        """
        now, job, work = time.time(), str(uuid.uuid4()), s.work
        with self._database.transaction() as db:
            known = self.replay(s.owner, s.key, s.digest)
            if known is not None:  # a resend overtook us
                return known
            if db.execute("SELECT mode FROM control").fetchone()[0] == "draining":
                raise Draining
            _check_room(db, s, max_jobs, free, max_bytes)
            db.execute(
                "INSERT INTO job (id, owner, process, inputs, plan, wish, bytes, digest, key, request, cost,"
                " created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job, s.owner, s.process, json.dumps(s.inputs),
                    work.plan.model_dump_json() if work.plan else None, json.dumps(asdict(s.requested)),
                    work.disk, s.digest, s.key, s.request, work.seconds, now, now,
                ),
            )  # fmt: skip
            steps: list[tuple[int | None, int, float | None]] = [
                (part, max(1, units), work.unit_seconds) for part, units in enumerate(work.blocks)
            ]
            if work.join_seconds is not None:
                steps.append((None, 1, work.join_seconds))
            db.executemany(
                "INSERT INTO block (job, number, variant, part, total, rate) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (job, variant * len(steps) + place, variant, *step)
                    for variant in range(work.variants)
                    for place, step in enumerate(steps)
                ],
            )
        return self.job(s.owner, job)

    def job(self, owner: str, job: str) -> Job:
        """Return an owner's job; NoSuchJob also for another's, so that ids cannot be probed."""
        return self._one("job.owner = ? AND job.id = ? AND NOT removed", owner, job)

    def _one(self, where: str, *values: str) -> Job:
        rows = self._database.rows(JOBS.format(where=where), values)
        if not rows:
            raise NoSuchJob("There is no such job, or it has been removed.")
        return job_of(rows[0])

    def jobs(self, owner: str, which: Filter, *, limit: int, offset: int) -> list[Job]:
        """Return an owner's jobs that pass the filter, newest first."""
        values = {
            "owner": owner, "now": time.time(), "limit": limit, "offset": offset,
            "processes": json.dumps(which.processes) if which.processes else None,
            "statuses": json.dumps(which.statuses) if which.statuses else None,
            "after": which.created[0], "before": which.created[1],
            "shortest": which.duration[0], "longest": which.duration[1],
        }  # fmt: skip
        return [job_of(row) for row in self._database.rows(JOBS.format(where=FILTER) + PAGE, values)]

    def position(self, job: Job, workers: int = 1) -> tuple[int, float | None]:
        """Return (place in the line, seconds until the end); place 0 is running, seconds None is unknown."""
        place = self._line.place(job)
        if place is None:
            return 0, None
        seconds = None if place.seconds is None else place.seconds / max(1, min(workers, place.blocks))
        return (place.number if job.status == "accepted" else 0), seconds

    def results(self, owner: str, job: str) -> list[Result]:
        """Return the outputs of an owner's job in order; empty while unfinished or when removed."""
        rows = self._database.rows(
            "SELECT output, title, type, file, value, result.bytes, sha256 FROM result"
            " JOIN job ON job.id = result.job"
            " WHERE job.id = ? AND owner = ? AND status = 'successful' ORDER BY number",
            (job, owner),
        )
        return [Result(**{**row, "value": json.loads(row["value"] or "null")}) for row in map(dict, rows)]

    def needs_upload(self, upload: str) -> bool:
        """Say whether an unfinished job names an upload in its inputs."""
        names = "SELECT 1 FROM job WHERE status IN ('accepted', 'running') AND instr(inputs, ?) LIMIT 1"
        return bool(self._database.rows(names, (upload,)))

    def owner(self, job: str) -> str:
        """Return whose job it is, for links that are signed instead of authenticated."""
        return self._one("job.id = ? AND NOT removed", job).owner

    def dismiss(self, owner: str, job: str) -> Job:
        """Dismiss an unfinished job, remove a finished one; again and again with the same outcome."""
        mine = "id = ? AND owner = ?"
        with self._database.transaction(essential=True) as db:
            end_job(db, job, "dismissed", "Dismissed.", owner)
            db.execute(
                "UPDATE job SET removed = 1, status = 'dismissed', message = 'Removed.', key = NULL,"
                f" updated = ? WHERE {mine} AND status IN ('successful', 'failed')",
                (time.time(), job, owner),
            )
            db.execute(
                f"DELETE FROM result WHERE job IN (SELECT id FROM job WHERE {mine} AND removed)", (job, owner)
            )
        return self._one("job.owner = ? AND job.id = ?", owner, job)

    def waiting(self) -> int:
        """Return the number of unfinished jobs of all owners."""
        sql = "SELECT count(*) FROM job WHERE status IN ('accepted', 'running')"
        return int(self._database.rows(sql)[0][0])


def _check_room(
    db: sqlite3.Connection, s: Submission, max_jobs: int, free: int, max_bytes: int | None
) -> None:
    """Refuse a job that is one too many, or more than disk or owner have room for; see ``Queue.submit``."""
    unfinished = "SELECT count(*), coalesce(sum(bytes), 0) FROM job WHERE status IN ('accepted', 'running')"
    jobs, mine = db.execute(f"{unfinished} AND owner = ?", (s.owner,)).fetchone()
    if jobs >= max_jobs:
        detail = f"You have {jobs} unfinished jobs, as many as allowed; wait for one or dismiss one."
        raise TooManyJobs(detail, retry_after=10)
    needed = s.work.disk
    if not needed:
        return
    reserved = db.execute(unfinished).fetchone()[1]
    if reserved + needed > free:
        left = max(0, free - reserved)
        raise StorageFull(
            f"The job needs {needed / 1e6:,.0f} MB of disk; {left / 1e6:,.0f} MB are free"
            " and not reserved by other jobs. Ask for a smaller extent or a coarser GSD."
        )
    results = "SELECT coalesce(sum(result.bytes), 0) FROM result JOIN job ON job.id = job WHERE owner = ?"
    kept = mine + db.execute(results, (s.owner,)).fetchone()[0]
    if max_bytes is not None and kept + needed > max_bytes:
        raise StorageFull(
            f"The job needs {needed / 1e6:,.0f} MB; you keep {kept / 1e6:,.0f} MB of results, unfinished"
            f" jobs included, and may keep {max_bytes / 1e6:,.0f} MB. Remove finished jobs (DELETE"
            " /jobs/ID), or ask for a smaller extent or a coarser GSD."
        )
