"""The truth about jobs: SQLite in WAL mode, on local disk.

Knows rows and their transitions; does not know HTTP, files, models or processes. Several processes open the
same file: the API and one worker per device. Rules that keep it right whatever dies when:

* a state is a row first; whoever acts on it reads the row again;
* a worker holds a block by a lease and an attempt number, and every write it makes is conditional on both
  and on the job still running: no rows changed means stop (``Cancelled``), nothing to undo;
* finished blocks of a variant share one profile: who computes on another begins it anew, or leaves it;
* a job's status is terminal from the moment a user dismisses it; what the worker still does is discarded.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model_backend.errors import Cancelled, Conflict, Declined, NoSuchJob, StorageFull, TooManyJobs
from model_backend.jobs.rows import Claim, Filter, Job, Piece, Result, Status, Submission, job_of, migrate
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
# A block that may be claimed; the step that joins a variant's blocks waits for all of them.
CLAIMABLE = """
    (block.status = 'accepted' OR block.status = 'running' AND block.lease < :now)
    AND (block.part IS NOT NULL OR NOT EXISTS (
        SELECT 1 FROM block AS part WHERE part.job = block.job AND part.variant = block.variant
        AND part.part IS NOT NULL AND part.status <> 'successful'))
    AND block.job || '/' || block.variant NOT IN (SELECT value FROM json_each(:shunned))
"""
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

    # ---- workers ------------------------------------------------------------------------------------

    def claim(
        self,
        worker: str,
        lease: float,
        max_crashes: int,
        last: Claim | None = None,
        shunned: Collection[str] = (),
    ) -> Claim | None:
        """Take a block that is free or whose lease has run out, of the first job that has one; None: none.

        ``last`` is the worker's claim before: the block after it is the cheapest to go on with. ``shunned``
        variants (``JOB/VARIANT``) are left to others.
        """
        now = time.time()
        free = {"now": now, "shunned": json.dumps(list(shunned))}
        with self._write() as db:
            self._tidy(now, max_crashes)
            job = db.execute(
                "SELECT id, process, inputs, plan FROM job JOIN block ON job.id = block.job"
                f" WHERE job.status IN ('accepted', 'running') AND {CLAIMABLE} ORDER BY seq LIMIT 1",
                free,
            ).fetchone()
            if job is None:
                return None
            mine = free | {"job": job["id"]}
            blocks = f"SELECT number FROM block WHERE job = :job AND {CLAIMABLE} ORDER BY number"
            busy = "SELECT number FROM block WHERE job = :job AND status = 'running' AND lease >= :now"
            number = choose(
                [row["number"] for row in db.execute(blocks, mine)],
                {row["number"] for row in db.execute(busy, {"job": job["id"], "now": now})},
                last.number if last is not None and last.job == job["id"] else None,
            )
            row = db.execute(
                "UPDATE block SET crashes = crashes + (status = 'running'), status = 'running',"
                " attempt = attempt + 1, worker = ?, lease = ?, done = 0, profile = NULL, file = NULL"
                " WHERE job = ? AND number = ? RETURNING attempt, variant, part, total",
                (worker, now + lease, job["id"], number),
            ).fetchone()
            db.execute(
                "UPDATE job SET status = 'running', started = coalesce(started, ?), updated = ? WHERE id = ?",
                (now, now, job["id"]),
            )
        plan = Plan.model_validate_json(job["plan"]) if job["plan"] else None
        return Claim(
            job["id"], number, **row, process=job["process"], inputs=json.loads(job["inputs"]), plan=plan
        )

    def begin(self, claim: Claim, profile: str, approximate: bool) -> int:
        """Enter what a block is to be computed on; return how many finished ones another profile made.

        Those are free again: a scene is made on one profile. Raises Declined if another worker is at the
        variant on another one, and Cancelled when the claim no longer holds.
        """
        others = (
            " WHERE job = :job AND variant = :variant AND number <> :number AND part IS NOT NULL"
            " AND profile <> :profile AND status"
        )
        values = _fence(claim) | {"variant": claim.variant, "profile": profile, "now": time.time()}
        with self._write() as db:
            self._touch(claim)
            if db.execute(f"SELECT 1 FROM block{others} = 'running' AND lease >= :now", values).fetchone():
                raise Declined
            db.execute(
                "UPDATE block SET profile = :profile, approximate = :approximate"
                " WHERE job = :job AND number = :number",
                values | {"approximate": approximate},
            )
            lost = db.execute(f"SELECT count(*) FROM block{others} = 'successful'", values).fetchone()[0]
            again = "UPDATE block SET status = 'accepted', done = 0, profile = NULL, file = NULL"
            db.execute(f"{again}{others} IN ('running', 'successful')", values)
        return int(lost)

    def keep(self, claim: Claim, file: str, sha256: str) -> None:
        """Enter where the pixels of a block lie; Cancelled when the claim no longer holds."""
        with self._write() as db:
            self._touch(claim)
            db.execute(
                "UPDATE block SET file = ?, sha256 = ? WHERE job = ? AND number = ?",
                (file, sha256, claim.job, claim.number),
            )

    def pieces(self, claim: Claim) -> list[Piece]:
        """Return the finished blocks of a claim's variant, in order."""
        rows = self._rows(
            "SELECT number, file, sha256, profile, approximate FROM block WHERE job = ? AND variant = ?"
            " AND part IS NOT NULL AND status = 'successful' ORDER BY part",
            (claim.job, claim.variant),
        )
        return [Piece(**{**row, "approximate": bool(row["approximate"])}) for row in rows]

    def redo(self, claim: Claim, numbers: Sequence[int]) -> None:
        """Have finished blocks of a job made again, which counts as a death, and put the claim back."""
        with self._write() as db:
            self._touch(claim)
            db.executemany(
                "UPDATE block SET status = 'accepted', done = 0, crashes = crashes + 1"
                " WHERE job = ? AND number = ? AND status = 'successful'",
                [(claim.job, number) for number in numbers],
            )
            self._put_back(claim)

    def put_back(self, claim: Claim) -> None:
        """Give a block back that somebody else is to do."""
        with self._write():
            self._put_back(claim)

    def say(self, claim: Claim, message: str) -> None:
        """Tell the owner what is being done; Cancelled when the claim no longer holds."""
        with self._write() as db:
            self._touch(claim)
            db.execute(
                "UPDATE job SET message = ?, updated = ? WHERE id = ?", (message, time.time(), claim.job)
            )

    def progress(self, claim: Claim, done: int, total: int, rate: float | None, lease: float) -> None:
        """Record that ``done`` of ``total`` steps, of the block's own, are over, and extend the lease.

        ``rate`` is in seconds per such a step. Raises Cancelled when the claim no longer holds.
        """
        now = time.time()
        with self._write() as db:
            self._touch(claim)
            db.execute(
                "UPDATE block SET done = total * :done / :steps, lease = :lease,"
                " rate = coalesce(:rate * :steps / total, rate)"  # until measured, the estimate stays
                " WHERE job = :job AND number = :number",
                _fence(claim) | {"done": done, "steps": total, "rate": rate, "lease": now + lease},
            )
            db.execute("UPDATE job SET updated = ? WHERE id = ?", (now, claim.job))

    def beat(self, claim: Claim, lease: float) -> bool:
        """Extend the lease during a long step; false when the claim no longer holds."""
        with self._write() as db:
            sql = f"UPDATE block SET lease = :lease WHERE {HOLDS}"
            return db.execute(sql, _fence(claim) | {"lease": time.time() + lease}).rowcount == 1

    def finish(self, claim: Claim, results: Sequence[Result], notes: Sequence[str] = ()) -> None:
        """Record a block's results and sentences for the owner; the last block makes the job successful."""
        with self._write() as db:
            self._touch(claim)
            db.execute(
                "UPDATE block SET status = 'successful', done = total, notes = ?"
                " WHERE job = ? AND number = ?",
                (json.dumps(notes), claim.job, claim.number),
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
                said = db.execute("SELECT notes FROM block WHERE job = ? ORDER BY number", (claim.job,))
                all_notes = dict.fromkeys(note for row in said for note in json.loads(row["notes"]))
                self._end(claim.job, "successful", " ".join(["Done.", *all_notes]))

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

    def joined(self) -> list[tuple[str, int]]:
        """Return (job, number) of the blocks whose files are still there though they have been joined."""
        rows = self._rows(
            "SELECT block.job, block.number FROM block JOIN block AS whole"
            " ON whole.job = block.job AND whole.variant = block.variant AND whole.part IS NULL"
            " WHERE block.part IS NOT NULL AND block.file IS NOT NULL AND whole.status = 'successful'"
        )
        return [(row["job"], row["number"]) for row in rows]

    def gone(self, blocks: Sequence[tuple[str, int]]) -> None:
        """Forget the files of blocks."""
        with self._write() as db:
            db.executemany("UPDATE block SET file = NULL WHERE job = ? AND number = ?", blocks)

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

    def _put_back(self, claim: Claim) -> None:
        self._db.execute(
            "UPDATE block SET status = 'accepted', profile = NULL"
            " WHERE job = :job AND number = :number AND attempt = :attempt AND status = 'running'"
            " AND (SELECT status FROM job WHERE id = :job) = 'running'",
            _fence(claim),
        )

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
                f"The worker died {max_crashes} times at this job, or what it wrote was damaged;"
                " it may need more memory than there is."
                " Try a smaller extent, or ask the administrator for the log.",
            )


def choose(free: Sequence[int], busy: Collection[int], last: int | None) -> int:
    """Return which of the ``free`` blocks of a job (ascending) to take; ``busy`` ones are being made.

    The one after the worker's ``last``, whose latents it holds. Else where the longest run of free blocks
    begins; if that is where another worker is heading, its middle: what two neighbours both need is computed
    twice, so workers stay apart.
    """
    if last is not None and last + 1 in free:
        return last + 1
    runs: list[list[int]] = []
    for number in free:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    longest = max(runs, key=len)
    return longest[len(longest) // 2 if longest[0] - 1 in busy else 0]


def _fence(claim: Claim) -> dict[str, Any]:
    return {"job": claim.job, "number": claim.number, "attempt": claim.attempt}
