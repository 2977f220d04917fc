"""Whose job is next: those that run go on first, then owners share the time by what their jobs cost.

The order of those who wait is that of ``line``, which tells owners their places. Everything here happens
inside a transaction of whoever takes a block.
"""

from __future__ import annotations

import sqlite3

from model_backend.jobs.store.line import BEGINS, PRIORITY
from model_backend.jobs.store.rows import Work

_JOB = f"""
    SELECT id, job.owner, status, process, inputs, plan, request, cost,
        {BEGINS} AS begins, {PRIORITY} AS priority
    FROM job LEFT JOIN owner ON owner.name = job.owner
"""
RUNNING = "(SELECT count(*) FROM job AS other WHERE other.owner = job.owner AND other.status = 'running')"
MOST_RUNNING = "coalesce(owner.running, (SELECT running FROM control), 1e9)"  # of one owner
# The first waiting job of each owner who may have one more running.
_WAITING = f"""
    {_JOB} WHERE seq IN (SELECT min(seq) FROM job
        WHERE status = 'accepted' AND (:work <> 'rest' OR plan IS NULL) GROUP BY owner)
    AND {RUNNING} < {MOST_RUNNING}
    AND (SELECT mode FROM control) = 'open'
    ORDER BY begins, seq LIMIT 1
"""


def running_jobs(db: sqlite3.Connection, own: str | None) -> list[str]:
    """Return the jobs that run: a worker's ``own``, then the oldest; none while the backend is paused."""
    rows = db.execute(
        "SELECT id FROM job, control WHERE status = 'running' AND mode <> 'paused' ORDER BY id IS NOT ?, seq",
        (own,),
    )
    return [row["id"] for row in rows]


def waiting_job(db: sqlite3.Connection, work: Work) -> str | None:
    """Return the waiting job with such work whose turn it is; None: nobody's, or no job may begin."""
    row = db.execute(_WAITING, {"work": work}).fetchone()
    return None if row is None else row["id"]


def whole_job(db: sqlite3.Connection, job: str) -> sqlite3.Row:
    """Return all that a worker and ``begin_job`` need to know of an unfinished job."""
    row: sqlite3.Row = db.execute(f"{_JOB} WHERE id = ?", (job,)).fetchone()
    return row


def begin_job(db: sqlite3.Connection, job: sqlite3.Row, now: float) -> None:
    """Enter that a job runs; one that begins is charged to its owner."""
    if job["status"] == "accepted":
        due = job["begins"] + job["cost"] / job["priority"]
        db.execute(
            "INSERT INTO owner (name, began, due) VALUES (:owner, :begins, :due)"
            " ON CONFLICT DO UPDATE SET began = excluded.began, due = excluded.due",
            {"owner": job["owner"], "begins": job["begins"], "due": due},
        )
    db.execute(
        "UPDATE job SET status = 'running', started = coalesce(started, ?), updated = ? WHERE id = ?",
        (now, now, job["id"]),
    )
