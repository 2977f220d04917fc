"""Whose job is next: jobs that run are ended first, then owners share the time by what their jobs cost.

The order of those who wait is that of ``line``, which tells owners their places. Everything here happens
inside a transaction of whoever takes a block.
"""

from __future__ import annotations

import sqlite3
from typing import Any

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


def running_job(db: sqlite3.Connection, claimable: str, values: dict[str, Any]) -> sqlite3.Row | None:
    """Return the oldest running job with a block that is ``claimable``; None while the backend is paused."""
    row: sqlite3.Row | None = db.execute(
        f"{_JOB} WHERE status = 'running' AND (SELECT mode FROM control) <> 'paused'"
        f" AND EXISTS (SELECT 1 FROM block WHERE block.job = job.id AND {claimable}) ORDER BY seq LIMIT 1",
        values,
    ).fetchone()
    return row


def waiting_job(db: sqlite3.Connection, work: Work) -> sqlite3.Row | None:
    """Return the waiting job with such work whose turn it is; None: nobody's, or no job may begin."""
    row: sqlite3.Row | None = db.execute(_WAITING, {"work": work}).fetchone()
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
