"""The truth about jobs: SQLite in WAL mode, on local disk.

Knows rows and their transitions; does not know HTTP, files, models or processes. Several processes open the
same file: the API and one worker per device. Rules that keep it right whatever dies when:

* a state is a row first; whoever acts on it reads the row again;
* a worker holds a block by a lease and an attempt number, and every write it makes is conditional on both
  and on the job still running: no rows changed means stop (``Cancelled``), nothing to undo;
* a job's status is terminal from the moment a user dismisses it; what the worker still does is discarded.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model_backend.errors import Cancelled, Conflict, NoSuchJob, StorageFull, TooManyJobs
from model_backend.jobs.rows import Claim, Filter, Job, Result, Status, Submission, job_of, migrate
from model_backend.schemas import Plan

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
# A claim still holds: used by every write of a worker.
HOLDS = """
    job = :job AND number = :number AND attempt = :attempt AND status = 'running'
    AND (SELECT status FROM job WHERE id = :job) = 'running'
"""


class Store:
    """The job store; safe to share between threads of one process."""

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        """Open or create the store; ``durable`` syncs every commit: an accepted job survives a power cut."""
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._db.execute("PRAGMA foreign_keys = ON")
        migrate(self._db)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, sql: str, values: dict[str, Any] | Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

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
                    s.plan.model_dump_json() if s.plan else None, json.dumps(asdict(s.wish)),
                    s.bytes, s.digest, s.key, now, now,
                ),
            )  # fmt: skip
            db.executemany(
                "INSERT INTO block (job, number, total, rate) VALUES (?, ?, ?, ?)",
                [(job, number, max(1, total), s.rate) for number, total in enumerate(s.totals)],
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

    def place(self, job: Job) -> tuple[int, float | None]:
        """Return (place in the queue, seconds until the end); place 0 is running, seconds None is unknown."""
        ahead = self._rows("SELECT count(*) FROM job WHERE status = 'accepted' AND seq <= ?", (job.seq,))[0][
            0
        ]
        left, known, blocks = self._rows(
            "SELECT total((block.total - done) * rate), count(rate), count(*)"
            " FROM block JOIN job ON job.id = block.job"
            " WHERE job.status IN ('accepted', 'running') AND job.seq <= ?"
            " AND block.status IN ('accepted', 'running')",
            (job.seq,),
        )[0]
        return (ahead if job.status == "accepted" else 0), (left if known == blocks else None)

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

    # ---- workers ------------------------------------------------------------------------------------

    def claim(self, worker: str, lease: float, max_crashes: int) -> Claim | None:
        """Take the first block that is free or whose lease has run out; None when there is none."""
        now = time.time()
        with self._write() as db:
            self._tidy(now, max_crashes)
            row = db.execute(
                "UPDATE block SET crashes = crashes + (status = 'running'), status = 'running',"
                " attempt = attempt + 1, worker = :worker, lease = :now + :lease, done = 0"
                " WHERE (job, number) = (SELECT job, number FROM block JOIN job ON job.id = block.job"
                "   WHERE job.status IN ('accepted', 'running') AND (block.status = 'accepted'"
                "   OR block.status = 'running' AND lease < :now) ORDER BY seq, number LIMIT 1)"
                " RETURNING job, number, attempt",
                {"worker": worker, "lease": lease, "now": now},
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "UPDATE job SET status = 'running', started = coalesce(started, ?), updated = ? WHERE id = ?",
                (now, now, row["job"]),
            )
            job = db.execute("SELECT process, inputs, plan FROM job WHERE id = ?", (row["job"],)).fetchone()
        plan = Plan.model_validate_json(job["plan"]) if job["plan"] else None
        inputs = json.loads(job["inputs"])
        return Claim(row["job"], row["number"], row["attempt"], job["process"], inputs, plan)

    def say(self, claim: Claim, message: str) -> None:
        """Tell the owner what is being done; Cancelled when the claim no longer holds."""
        with self._write() as db:
            self._touch(claim)
            db.execute(
                "UPDATE job SET message = ?, updated = ? WHERE id = ?", (message, time.time(), claim.job)
            )

    def progress(self, claim: Claim, done: int, total: int, rate: float | None, lease: float) -> None:
        """Record a step and extend the lease; Cancelled when the claim no longer holds."""
        now = time.time()
        with self._write() as db:
            self._touch(claim)
            db.execute(
                "UPDATE block SET done = :done, total = :total, lease = :lease,"
                " rate = coalesce(:rate, rate * total / :total)"  # until measured, the estimate stays
                " WHERE job = :job AND number = :number",
                _fence(claim) | {"done": done, "total": total, "rate": rate, "lease": now + lease},
            )
            db.execute("UPDATE job SET updated = ? WHERE id = ?", (now, claim.job))

    def beat(self, claim: Claim, lease: float) -> bool:
        """Extend the lease during a long step; false when the claim no longer holds."""
        with self._write() as db:
            sql = f"UPDATE block SET lease = :lease WHERE {HOLDS}"
            return db.execute(sql, _fence(claim) | {"lease": time.time() + lease}).rowcount == 1

    def finish(self, claim: Claim, results: Sequence[Result], message: str = "Done.") -> None:
        """Record a block's results; the last block makes the job successful."""
        with self._write() as db:
            self._touch(claim)
            db.execute(
                "UPDATE block SET status = 'successful', done = total WHERE job = ? AND number = ?",
                (claim.job, claim.number),
            )
            db.executemany(
                "INSERT INTO result (job, number, output, title, type, file, value, bytes, sha256)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (claim.job, 100 * claim.number + i, r.output, r.title, r.type, r.file,
                     None if r.file else json.dumps(r.value), r.bytes, r.sha256)
                    for i, r in enumerate(results)
                ],
            )  # fmt: skip
            open_blocks = "SELECT count(*) FROM block WHERE job = ? AND status <> 'successful'"
            if db.execute(open_blocks, (claim.job,)).fetchone()[0] == 0:
                self._end(claim.job, "successful", message)

    def fail(self, claim: Claim, sentence: str) -> None:
        """End the job with a sentence for its owner."""
        with self._write() as db:
            self._touch(claim)
            db.execute(
                "UPDATE block SET status = 'failed' WHERE job = ? AND number = ?", (claim.job, claim.number)
            )
            self._end(claim.job, "failed", sentence)

    def drop(self, claim: Claim) -> None:
        """Let go of a cancelled claim, if no later one has taken it."""
        with self._write() as db:
            db.execute(
                "UPDATE block SET status = 'dismissed'"
                " WHERE job = :job AND number = :number AND attempt = :attempt AND status = 'running'",
                _fence(claim),
            )

    def release(self, worker: str, *, crashed: bool) -> None:
        """Free what a worker held when it ended; ``crashed`` counts against the block."""
        with self._write() as db:
            db.execute(
                "UPDATE block SET crashes = crashes + ?, status = CASE"
                "   WHEN (SELECT status FROM job WHERE id = block.job) = 'running' THEN 'accepted'"
                "   ELSE 'dismissed' END"
                " WHERE worker = ? AND status = 'running'",
                (crashed, worker),
            )

    # ---- the supervisor -----------------------------------------------------------------------------

    def ignoring_cancel(self, worker: str, seconds: float) -> bool:
        """Say whether a worker still works on a job that ended more than ``seconds`` ago."""
        rows = self._rows(
            "SELECT 1 FROM block JOIN job ON job.id = block.job WHERE worker = ? AND block.status = 'running'"
            " AND finished < ?",
            (worker, time.time() - seconds),
        )
        return bool(rows)

    def tidy(self, max_crashes: int) -> None:
        """Fail the jobs whose blocks have killed their worker ``max_crashes`` times."""
        with self._write():
            self._tidy(time.time(), max_crashes)

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

    # ---- inside a transaction ---------------------------------------------------------------------------

    def _touch(self, claim: Claim) -> None:
        if self._db.execute(f"SELECT 1 FROM block WHERE {HOLDS}", _fence(claim)).fetchone() is None:
            raise Cancelled

    def _end(self, job: str, status: Status, message: str, owner: str | None = None) -> None:
        now = time.time()
        ended = self._db.execute(
            "UPDATE job SET status = ?, message = ?, finished = ?, updated = ?"
            " WHERE id = ? AND owner = coalesce(?, owner) AND status IN ('accepted', 'running')",
            (status, message, now, now, job, owner),
        )
        if ended.rowcount:
            sql = "UPDATE block SET status = ? WHERE job = ? AND status = 'accepted'"
            self._db.execute(sql, (status, job))

    def _tidy(self, now: float, max_crashes: int) -> None:
        self._db.execute(  # nobody can be at these any more
            "UPDATE block SET status = 'dismissed' WHERE status = 'running' AND lease < ?"
            " AND (SELECT status FROM job WHERE id = block.job) NOT IN ('accepted', 'running')",
            (now,),
        )
        lost = self._db.execute(
            "SELECT DISTINCT job FROM block WHERE crashes + (status = 'running') >= ?"
            " AND (status = 'accepted' OR status = 'running' AND lease < ?)",
            (max_crashes, now),
        ).fetchall()
        for row in lost:
            self._end(
                row["job"],
                "failed",
                f"The worker died {max_crashes} times at this job; it may need more memory than there is."
                " Try a smaller extent, or ask the administrator for the log.",
            )


def _fence(claim: Claim) -> dict[str, Any]:
    return {"job": claim.job, "number": claim.number, "attempt": claim.attempt}
