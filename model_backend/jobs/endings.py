"""How jobs end: what owners, workers and the supervisor do to the rows of a job alike."""

from __future__ import annotations

import sqlite3
import time

from model_backend.jobs.rows import Status


def end_job(db: sqlite3.Connection, job: str, status: Status, message: str, owner: str | None = None) -> None:
    """End an unfinished job, inside a transaction; ``owner``: only if it is theirs."""
    now = time.time()
    ended = db.execute(
        "UPDATE job SET status = ?, message = ?, finished = ?, updated = ?"
        " WHERE id = ? AND owner = coalesce(?, owner) AND status IN ('accepted', 'running')",
        (status, message, now, now, job, owner),
    )
    if ended.rowcount:
        db.execute("UPDATE block SET status = ? WHERE job = ? AND status = 'accepted'", (status, job))


def end_hopeless_jobs(db: sqlite3.Connection, now: float, max_crashes: int) -> None:
    """Fail the jobs whose blocks have ended ``max_crashes`` workers, inside a transaction."""
    db.execute(  # nobody can be at these any more
        "UPDATE block SET status = 'dismissed' WHERE status = 'running' AND lease < ?"
        " AND (SELECT status FROM job WHERE id = block.job) NOT IN ('accepted', 'running')",
        (now,),
    )
    lost = db.execute(
        "SELECT DISTINCT job FROM block WHERE crashes + (status = 'running') >= ?"
        " AND (status = 'accepted' OR status = 'running' AND lease < ?)",
        (max_crashes, now),
    ).fetchall()
    for row in lost:
        end_job(
            db,
            row["job"],
            "failed",
            f"The worker died {max_crashes} times at this job, or what it wrote was damaged;"
            " it may need more memory than there is."
            " Try a smaller extent, or ask the administrator for the log.",
        )
