"""How jobs end: what owners, workers and the supervisor do to the rows of a job alike."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection

from model_backend.jobs.store.rows import Status
from model_backend.jobs.store.tally import count, count_seconds


def end_job(
    db: sqlite3.Connection, job: str, status: Status, message: str, owner: str | None = None, kind: str = ""
) -> None:
    """End an unfinished job, inside a transaction; ``owner``: only if it is theirs.

    ``kind`` is what kind of failure it is, to be counted.
    """
    now = time.time()
    ended = db.execute(
        "UPDATE job SET status = ?, message = ?, finished = ?, updated = ?"
        " WHERE id = ? AND owner = coalesce(?, owner) AND status IN ('accepted', 'running')"
        " RETURNING process, started",
        (status, message, now, now, job, owner),
    ).fetchone()
    if ended is None:
        return
    db.execute("UPDATE block SET status = ? WHERE job = ? AND status = 'accepted'", (status, job))
    count(db, "jobs_ended", ended["process"], status)
    if kind:
        count(db, "failures", ended["process"], kind)
    if status == "successful":
        count_seconds(db, ended["process"], now - ended["started"])


def end_hopeless_jobs(
    db: sqlite3.Connection, now: float, max_crashes: int, living: Collection[str] = ()
) -> None:
    """Fail the jobs whose blocks have ended ``max_crashes`` workers, inside a transaction.

    A block whose lease has run out counts as one that has, unless its worker is known to be ``living``.
    """
    lost = db.execute(
        "SELECT job, notes FROM block WHERE status = 'accepted' AND crashes >= :most"
        " OR status = 'running' AND crashes >= :most - 1 AND lease < :now"
        " AND worker NOT IN (SELECT value FROM json_each(:living))",
        {"most": max_crashes, "now": now, "living": json.dumps(list(living))},
    ).fetchall()
    for row in lost:
        sentence = (
            f"The worker died {max_crashes} times at this job, or what it wrote was damaged;"
            " it may need more memory than there is."
            " Try a smaller extent, or ask the administrator for the log."
        )
        told = " ".join([sentence, *dict.fromkeys(json.loads(row["notes"]))])
        end_job(db, row["job"], "failed", told, kind="WorkerDied")
