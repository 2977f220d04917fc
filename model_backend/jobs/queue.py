"""The truth about jobs: SQLite in WAL mode, on local disk.

Knows rows as their owners see them, and what models are like here; ``journal`` is the workers' half. Does not
know HTTP, files, models or processes. Several processes open the same file: the API and one worker per
device. What keeps it right, whatever dies when, besides the rules of ``journal``:

* a state is a row first; whoever acts on it reads the row again;
* a job's status is terminal from the moment a user dismisses it; what the worker still does is discarded.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import asdict
from typing import Any

from model_backend.errors import Conflict, NoSuchJob, StorageFull, TooManyJobs
from model_backend.jobs.claims import Claims
from model_backend.jobs.rows import Filter, Job, Result, Submission, job_of

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


class Store(Claims):
    """The job store; safe to share between threads of one process."""

    # ---- owners -------------------------------------------------------------------------------------

    def replay(self, owner: str, key: str | None, digest: str) -> Job | None:
        """Return the job already made for this Idempotency-Key; another request under it is a Conflict."""
        if key is None:
            return None
        rows = self._rows("SELECT id, digest FROM job WHERE owner = ? AND key = ?", (owner, key))
        if not rows:
            return None
        if rows[0]["digest"] != digest:
            raise Conflict("This Idempotency-Key was used for another request; send a new key.")
        return self.job(owner, rows[0]["id"])

    def submit(self, s: Submission, *, max_jobs: int, free: int) -> Job:
        """Queue a job, given the ``free`` bytes of the disk.

        Raises TooManyJobs, StorageFull (what all unfinished jobs may still write counts) or Conflict.
        """
        now = time.time()
        job = str(uuid.uuid4())
        with self._write() as db:
            known = self.replay(s.owner, s.key, s.digest)
            if known is not None:  # a resend overtook us
                return known
            mine, reserved = db.execute(
                "SELECT coalesce(sum(owner = ?), 0), coalesce(sum(bytes), 0) FROM job"
                " WHERE status IN ('accepted', 'running')",
                (s.owner,),
            ).fetchone()
            if mine >= max_jobs:
                detail = f"You have {mine} unfinished jobs, as many as allowed; wait for one or dismiss one."
                raise TooManyJobs(detail, retry_after=10)
            if s.bytes and reserved + s.bytes > free:
                raise StorageFull(
                    f"The job needs {s.bytes / 1e6:,.0f} MB of disk; {max(0, free - reserved) / 1e6:,.0f} MB"
                    " are free and not reserved by other jobs. Ask for a smaller extent or a coarser GSD."
                )
            db.execute(
                "INSERT INTO job (id, owner, process, inputs, plan, wish, bytes, digest, key, created,"
                " updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job, s.owner, s.process, json.dumps(s.inputs),
                    s.plan.model_dump_json() if s.plan else None, json.dumps(asdict(s.requested)),
                    s.bytes, s.digest, s.key, now, now,
                ),
            )  # fmt: skip
            steps: list[tuple[int | None, int, float | None]] = [
                (part, max(1, total), s.rate) for part, total in enumerate(s.totals)
            ]
            if s.layout is not None:
                steps.append((None, 1, s.layout))
            db.executemany(
                "INSERT INTO block (job, number, variant, part, total, rate) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (job, variant * len(steps) + place, variant, *step)
                    for variant in range(s.variants)
                    for place, step in enumerate(steps)
                ],
            )
        return self.job(s.owner, job)

    def job(self, owner: str, job: str) -> Job:
        """Return an owner's job; NoSuchJob also for another's, so that ids cannot be probed."""
        return self._one("job.owner = ? AND job.id = ? AND NOT removed", owner, job)

    def _one(self, where: str, *values: str) -> Job:
        rows = self._rows(JOBS.format(where=where), values)
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
        return [job_of(row) for row in self._rows(JOBS.format(where=FILTER) + PAGE, values)]

    def place(self, job: Job, workers: int = 1) -> tuple[int, float | None]:
        """Return (place in the queue, seconds until the end); place 0 is running, seconds None is unknown.

        Blocks that wait are taken to be as fast as those of their job that were measured.
        """
        ahead = self._rows("SELECT count(*) FROM job WHERE status = 'accepted' AND seq <= ?", (job.seq,))[0][
            0
        ]
        left, known, blocks, shared = self._rows(
            """
            WITH measured AS (SELECT job, avg(rate) AS rate FROM block
                WHERE done > 0 AND part IS NOT NULL GROUP BY job),
            open AS (SELECT block.total - block.done AS steps, block.part, CASE block.status = 'accepted'
                    AND part IS NOT NULL WHEN 1 THEN coalesce(measured.rate, block.rate)
                    ELSE coalesce(block.rate, measured.rate) END AS rate
                FROM block JOIN job ON job.id = block.job LEFT JOIN measured ON measured.job = block.job
                WHERE job.status IN ('accepted', 'running') AND job.seq <= ?
                AND block.status IN ('accepted', 'running'))
            SELECT total(steps * rate), count(rate), count(*), count(part) FROM open
            """,
            (job.seq,),
        )[0]
        at_once = max(1, min(workers, shared))
        return (ahead if job.status == "accepted" else 0), (left / at_once if known == blocks else None)

    def results(self, owner: str, job: str) -> list[Result]:
        """Return the outputs of an owner's job in order; empty while unfinished or when removed."""
        rows = self._rows(
            "SELECT output, title, type, file, value, result.bytes, sha256 FROM result"
            " JOIN job ON job.id = result.job"
            " WHERE job.id = ? AND owner = ? AND status = 'successful' ORDER BY number",
            (job, owner),
        )
        return [Result(**{**row, "value": json.loads(row["value"] or "null")}) for row in map(dict, rows)]

    def needs_upload(self, upload: str) -> bool:
        """Say whether an unfinished job names an upload in its inputs."""
        names = "SELECT 1 FROM job WHERE status IN ('accepted', 'running') AND instr(inputs, ?) LIMIT 1"
        return bool(self._rows(names, (upload,)))

    def owner(self, job: str) -> str:
        """Return whose job it is, for links that are signed instead of authenticated."""
        return self._one("job.id = ? AND NOT removed", job).owner

    def dismiss(self, owner: str, job: str) -> Job:
        """Dismiss an unfinished job, remove a finished one; again and again with the same outcome."""
        mine = "id = ? AND owner = ?"
        with self._write() as db:
            self._end(job, "dismissed", "Dismissed.", owner)
            db.execute(
                "UPDATE job SET removed = 1, status = 'dismissed', message = 'Removed.', key = NULL,"
                f" updated = ? WHERE {mine} AND status IN ('successful', 'failed')",
                (time.time(), job, owner),
            )
            db.execute(
                f"DELETE FROM result WHERE job IN (SELECT id FROM job WHERE {mine} AND removed)", (job, owner)
            )
        return self._one("job.owner = ? AND job.id = ?", owner, job)

    # ---- housekeeping -------------------------------------------------------------------------------

    def expire(self, seconds: float) -> None:
        """Forget jobs that ended more than ``seconds`` ago."""
        with self._write() as db:
            db.execute("DELETE FROM job WHERE finished < ?", (time.time() - seconds,))

    def keeping_files(self) -> set[str]:
        """Return the ids of jobs whose files are wanted: unfinished, successful, or still being written."""
        rows = self._rows(
            "SELECT id FROM job WHERE status IN ('accepted', 'running', 'successful')"
            " OR id IN (SELECT job FROM block WHERE status = 'running')"
        )
        return {row["id"] for row in rows}

    def waiting(self) -> int:
        """Return the number of unfinished jobs of all owners."""
        sql = "SELECT count(*) FROM job WHERE status IN ('accepted', 'running')"
        return int(self._rows(sql)[0][0])

    # ---- what models are like on this machine ----------------------------------------------------------

    def learn(self, model: str, device: str, profile: dict[str, Any], rate: float) -> None:
        """Remember a loaded model's profile and its ``rate`` in seconds per evaluation."""
        with self._write() as db:
            db.execute(
                "INSERT OR REPLACE INTO profile (model, device, profile, rate, updated)"
                " VALUES (?, ?, ?, ?, ?)",
                (model, device, json.dumps(profile), rate, time.time()),
            )

    def profile(self, model: str) -> tuple[dict[str, Any], float] | None:
        """Return (profile, seconds per evaluation) of a model as last loaded here."""
        sql = "SELECT profile, rate FROM profile WHERE model = ? ORDER BY updated DESC LIMIT 1"
        rows = self._rows(sql, (model,))
        return (json.loads(rows[0]["profile"]), rows[0]["rate"]) if rows else None
