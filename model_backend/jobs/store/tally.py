"""Counts of what was done, kept as rows, so that they outlive jobs and backends: what ``/metrics`` tells.

Counted in the transaction that it is about, by whichever process does it.
"""

from __future__ import annotations

import sqlite3

# Upper ends of the classes that durations are counted in, in seconds.
SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)


def count(db: sqlite3.Connection, name: str, process: str, label: str = "", *, amount: float = 1) -> None:
    """Add an amount to one count, inside a transaction."""
    db.execute(
        "INSERT INTO tally VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
        (name, process, label, amount),
    )


def count_seconds(db: sqlite3.Connection, process: str, seconds: float) -> None:
    """Add a job's duration to those of its process, inside a transaction."""
    ends = (str(end) for end in SECONDS if seconds <= end)
    count(db, "seconds", process, next(ends, "+Inf"))
    count(db, "seconds_sum", process, amount=seconds)
