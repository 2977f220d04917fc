"""What workers do to the rows of jobs: claim blocks, hold them by leases, say how they go and what came out.

Rules that keep it right whatever dies when:

* a worker holds a block by a lease and an attempt number, and every write it makes is conditional on both
  and on the job still running: no rows changed means stop (``Cancelled``), nothing to undo;
* finished blocks of a variant share one profile: who computes on another begins it anew, or leaves it;
* the step that joins the blocks of a variant is a row like theirs, which nobody may claim before them.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from model_backend.errors import Cancelled, Declined
from model_backend.jobs.store.database import Database
from model_backend.jobs.store.endings import end_hopeless_jobs, end_job
from model_backend.jobs.store.rows import Claim, FinishedBlock, Hold, Result, Work
from model_backend.jobs.store.tally import count
from model_backend.jobs.store.turns import begin_job, running_jobs, waiting_job, whole_job
from model_backend.schemas import Plan

# Free blocks in a row that are worth joining others at a scene for while another job waits: a newcomer gets
# half of them, and computes about one or two blocks' worth that somebody else computes too.
LONG = 8
# A block that may be claimed; the step that joins a variant's blocks waits for all of them.
CLAIMABLE = """
    (block.status = 'accepted' OR block.status = 'running' AND block.lease < :now)
    AND (block.part IS NOT NULL OR NOT EXISTS (
        SELECT 1 FROM block AS part WHERE part.job = block.job AND part.variant = block.variant
        AND part.part IS NOT NULL AND part.status <> 'successful'))
    AND block.job || '/' || block.variant NOT IN (SELECT value FROM json_each(:excluded))
    AND (:work <> 'pixels' OR block.part IS NOT NULL)
    AND (:work <> 'rest' OR block.part IS NULL OR (SELECT plan FROM job WHERE id = block.job) IS NULL)
"""
# A claim still holds: used by every write of a worker.
HOLDS = """
    job = :job AND number = :number AND attempt = :attempt AND status = 'running'
    AND (SELECT status FROM job WHERE id = :job) = 'running'
"""


class Claims:
    """The blocks of all jobs, taken and finished one at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(
        self,
        worker: str,
        lease: float,
        max_crashes: int,
        last: Hold | None = None,
        excluded: Collection[str] = (),
        work: Work = "any",
    ) -> Claim | None:
        """Take a block that is free or whose lease has run out, of the job whose turn it is; None: none.

        Jobs that run come first; but where others are at the variant, and not much of it is left, they get
        help when no other job waits. ``last`` is the worker's claim before: the block after it is the
        cheapest to go on with. ``excluded`` variants (``JOB/VARIANT``) are left to others, and so is all
        that is not ``work``.
        """
        now = time.time()  # before the wait for a lock, in which nobody can extend a lease
        free = {"now": now, "excluded": json.dumps(list(excluded)), "work": work}
        with self._database.transaction() as db:
            end_hopeless_jobs(db, now, max_crashes)
            running = running_jobs(db, last.job if last is not None else None)
            found = _block_of(db, running, free, last, LONG)
            if found is None and (waiting := waiting_job(db, work)) is not None:
                found = _block_of(db, [waiting], free, last)
            if found is None:
                found = _block_of(db, running, free, last)
            if found is None:
                return None
            job, number = whole_job(db, found[0]), found[1]
            row = db.execute(
                "UPDATE block SET crashes = crashes + (status = 'running'), status = 'running',"
                " attempt = attempt + 1, worker = ?, lease = ?, done = 0, profile = NULL, file = NULL"
                " WHERE job = ? AND number = ? RETURNING attempt, variant, part, total",
                (worker, time.time() + lease, job["id"], number),
            ).fetchone()
            begin_job(db, job, time.time())
        plan = Plan.model_validate_json(job["plan"]) if job["plan"] else None
        return Claim(
            job["id"],
            number,
            **row,
            process=job["process"],
            inputs=json.loads(job["inputs"]),
            plan=plan,
            request=job["request"],
        )

    def holds(self, claim: Hold) -> bool:
        """Say whether a claim still holds."""
        return bool(self._database.rows(f"SELECT 1 FROM block WHERE {HOLDS}", _fence(claim)))

    def begin(self, claim: Hold, profile: str) -> int:
        """Enter what a block is to be computed on; return how many finished ones another profile made.

        Those are free again: a scene is made on one profile. Raises Declined if another worker is at the
        variant on another one, and Cancelled when the claim no longer holds.
        """
        others = (
            " WHERE job = :job AND variant = :variant AND number <> :number AND part IS NOT NULL"
            " AND profile <> :profile AND status"
        )
        values = _fence(claim) | {"variant": claim.variant, "profile": profile, "now": time.time()}
        with self._database.transaction() as db:
            _ensure_held(db, claim)
            if db.execute(f"SELECT 1 FROM block{others} = 'running' AND lease >= :now", values).fetchone():
                raise Declined
            db.execute("UPDATE block SET profile = :profile WHERE job = :job AND number = :number", values)
            lost = db.execute(f"SELECT count(*) FROM block{others} = 'successful'", values).fetchone()[0]
            again = "UPDATE block SET status = 'accepted', done = 0, profile = NULL, file = NULL"
            db.execute(f"{again}{others} IN ('running', 'successful')", values)
        return int(lost)

    def record_block(self, claim: Hold, file: str, sha256: str, approximate: bool) -> None:
        """Enter where the pixels of a block lie and how they came out; Cancelled when the claim is lost."""
        with self._database.transaction() as db:
            _ensure_held(db, claim)
            db.execute(
                "UPDATE block SET file = ?, sha256 = ?, approximate = ? WHERE job = ? AND number = ?",
                (file, sha256, approximate, claim.job, claim.number),
            )

    def finished_blocks(self, claim: Hold) -> list[FinishedBlock]:
        """Return the finished blocks of a claim's variant, in order."""
        rows = self._database.rows(
            "SELECT number, file, sha256, profile, approximate FROM block WHERE job = ? AND variant = ?"
            " AND part IS NOT NULL AND status = 'successful' ORDER BY part",
            (claim.job, claim.variant),
        )
        return [FinishedBlock(**{**row, "approximate": bool(row["approximate"])}) for row in rows]

    def make_again(self, claim: Hold, numbers: Sequence[int]) -> None:
        """Have finished blocks of a job made again, which counts as a death, and put the claim back."""
        with self._database.transaction() as db:
            _ensure_held(db, claim)
            db.executemany(
                "UPDATE block SET status = 'accepted', done = 0, crashes = crashes + 1"
                " WHERE job = ? AND number = ? AND status = 'successful'",
                [(claim.job, number) for number in numbers],
            )
            _put_back(db, claim)

    def put_back(self, claim: Hold) -> None:
        """Give a block back that somebody else is to do."""
        with self._database.transaction(essential=True) as db:
            _put_back(db, claim)

    def set_message(self, claim: Hold, message: str) -> None:
        """Tell the owner what is being done; Cancelled when the claim no longer holds."""
        with self._database.transaction() as db:
            _ensure_held(db, claim)
            db.execute(
                "UPDATE job SET message = ?, updated = ? WHERE id = ?", (message, time.time(), claim.job)
            )

    def progress(self, claim: Hold, done: int, total: int, rate: float | None, lease: float) -> None:
        """Record that ``done`` of ``total`` steps, of the block's own, are over, and extend the lease.

        ``rate`` is in seconds per such a step. Raises Cancelled when the claim no longer holds.
        """
        now = time.time()
        with self._database.transaction() as db:
            _ensure_held(db, claim)
            db.execute(
                "UPDATE block SET done = total * :done / :steps, lease = :lease,"
                " rate = coalesce(:rate * :steps / total, rate)"  # until measured, the estimate stays
                " WHERE job = :job AND number = :number",
                _fence(claim) | {"done": done, "steps": max(1, total), "rate": rate, "lease": now + lease},
            )
            db.execute("UPDATE job SET updated = ? WHERE id = ?", (now, claim.job))

    def extend_lease(self, claim: Hold, lease: float) -> bool:
        """Extend the lease during a long step; false when the claim no longer holds."""
        with self._database.transaction() as db:
            sql = f"UPDATE block SET lease = :lease WHERE {HOLDS}"
            return db.execute(sql, _fence(claim) | {"lease": time.time() + lease}).rowcount == 1

    def finish(self, claim: Hold, results: Sequence[Result], notes: Sequence[str] = ()) -> None:
        """Record a block's results and sentences for the owner; the last block makes the job successful."""
        with self._database.transaction() as db:
            _ensure_held(db, claim)
            db.execute(
                "UPDATE block SET status = 'successful', done = total, notes ="
                " (SELECT json_group_array(value) FROM (SELECT value FROM json_each(notes)"
                "  UNION ALL SELECT value FROM json_each(?))) WHERE job = ? AND number = ?",
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
            about = "SELECT process, plan IS NOT NULL, total FROM job JOIN block ON block.job = id"
            process, scene, units = db.execute(
                f"{about} WHERE id = ? AND number = ?", (claim.job, claim.number)
            ).fetchone()
            count(db, "blocks", process)
            if scene:
                count(db, "evaluations", process, amount=units)
            open_blocks = "SELECT count(*) FROM block WHERE job = ? AND status <> 'successful'"
            if db.execute(open_blocks, (claim.job,)).fetchone()[0] == 0:
                said = db.execute("SELECT notes FROM block WHERE job = ? ORDER BY number", (claim.job,))
                all_notes = dict.fromkeys(note for row in said for note in json.loads(row["notes"]))
                end_job(db, claim.job, "successful", " ".join(["Done.", *all_notes]))

    def fail(self, claim: Hold, sentence: str, kind: str = "other") -> None:
        """End the job with a sentence for its owner; its ``kind`` of failure is counted."""
        with self._database.transaction(essential=True) as db:
            _ensure_held(db, claim)
            db.execute(
                "UPDATE block SET status = 'failed' WHERE job = ? AND number = ?", (claim.job, claim.number)
            )
            end_job(db, claim.job, "failed", sentence, kind=kind)

    def let_go(self, claim: Hold) -> None:
        """Let go of a cancelled claim, if no later one has taken it."""
        with self._database.transaction(essential=True) as db:
            db.execute(
                "UPDATE block SET status = 'dismissed'"
                " WHERE job = :job AND number = :number AND attempt = :attempt AND status = 'running'",
                _fence(claim),
            )

    def release(self, worker: str, *, crashed: bool = False, fault: str | None = None) -> None:
        """Free what a worker held when it ended; ``crashed`` counts against the block.

        ``fault`` is a sentence about it for the owner, who reads it now and at the end.
        """
        values = {"worker": worker, "crashed": crashed, "fault": fault, "now": time.time()}
        with self._database.transaction(essential=True) as db:
            if fault is not None:
                db.execute(
                    "UPDATE job SET message = :fault, updated = :now WHERE status = 'running'"
                    " AND id IN (SELECT job FROM block WHERE worker = :worker AND status = 'running')",
                    values,
                )
            db.execute(
                "UPDATE block SET crashes = crashes + :crashed,"
                " notes = CASE WHEN :fault IS NULL THEN notes ELSE json_insert(notes, '$[#]', :fault) END,"
                " status = CASE"
                "   WHEN (SELECT status FROM job WHERE id = block.job) = 'running' THEN 'accepted'"
                "   ELSE 'dismissed' END"
                " WHERE worker = :worker AND status = 'running'",
                values,
            )


def choose_block(
    free: Mapping[int, int], busy: Mapping[int, int], last: int | None, shortest: int = 1
) -> int | None:
    """Return which of the ``free`` blocks of a job to take; ``busy`` ones are being made.

    Both are numbers, ascending, with the variant of each. The one after the worker's ``last``, whose latents
    it holds. Else the first of a variant that nobody is at. Where there is none, the beginning of the longest
    run of free blocks, or its middle if somebody comes that way: what two neighbours both need is computed
    twice, so workers stay apart. None: there is no run of so many blocks as the ``shortest``.
    """
    if last is not None and last + 1 in free:
        return last + 1
    crowded = set(busy.values())
    for number, variant in free.items():
        if variant not in crowded:
            return number
    runs: list[list[int]] = [[]]
    for number in free:
        if runs[-1] and runs[-1][-1] != number - 1:
            runs.append([])
        runs[-1].append(number)
    longest = max(runs, key=len)
    if len(longest) < shortest:
        return None
    return longest[len(longest) // 2 if longest[0] - 1 in busy else 0]


def _block_of(
    db: sqlite3.Connection, jobs: Sequence[str], values: dict[str, Any], last: Hold | None, shortest: int = 1
) -> tuple[str, int] | None:
    """Return the first of the jobs with a block to take, and which it is; see ``choose_block``."""
    blocks = "SELECT number, variant FROM block WHERE job = :job AND"
    for job in jobs:
        mine = values | {"job": job}
        free = dict(db.execute(f"{blocks} {CLAIMABLE} ORDER BY number", mine).fetchall())
        busy = dict(db.execute(f"{blocks} status = 'running' AND lease >= :now", mine).fetchall())
        before = last.number if last is not None and last.job == job else None
        if (number := choose_block(free, busy, before, shortest)) is not None:
            return job, number
    return None


def _fence(claim: Hold) -> dict[str, Any]:
    return {"job": claim.job, "number": claim.number, "attempt": claim.attempt}


def _ensure_held(db: sqlite3.Connection, claim: Hold) -> None:
    """Raise Cancelled unless the claim still holds."""
    if db.execute(f"SELECT 1 FROM block WHERE {HOLDS}", _fence(claim)).fetchone() is None:
        raise Cancelled


def _put_back(db: sqlite3.Connection, claim: Hold) -> None:
    db.execute(
        "UPDATE block SET status = 'accepted', profile = NULL"
        " WHERE job = :job AND number = :number AND attempt = :attempt AND status = 'running'"
        " AND (SELECT status FROM job WHERE id = :job) = 'running'",
        _fence(claim),
    )
