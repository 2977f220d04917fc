"""The tables of the job store and the values read from them.

Knows SQLite's schema and its migrations; knows nothing of HTTP, processes or models. Times are UNIX seconds,
durations seconds; ``done`` and ``total`` count UNet evaluations as planned, or steps of what makes no scene.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any, Literal

from model_backend.schemas import Plan

Status = Literal["accepted", "running", "successful", "failed", "dismissed"]
UNFINISHED: tuple[Status, ...] = ("accepted", "running")

# Each entry brings a database from user_version i to i + 1; entries are never edited once released.
MIGRATIONS = (
    """
    CREATE TABLE job (
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,  -- place in the queue
        id       TEXT NOT NULL UNIQUE,
        owner    TEXT NOT NULL,
        process  TEXT NOT NULL,
        status   TEXT NOT NULL DEFAULT 'accepted'
                 CHECK (status IN ('accepted', 'running', 'successful', 'failed', 'dismissed')),
        message  TEXT NOT NULL DEFAULT '',
        inputs   TEXT NOT NULL,                      -- JSON, as the process parsed them
        plan     TEXT,                               -- JSON of schemas.Plan; null: the process makes no scene
        wish     TEXT NOT NULL,                      -- JSON: which outputs the request wants, and how
        bytes    INTEGER NOT NULL,                   -- disk reserved while the job is unfinished
        digest   TEXT NOT NULL,                      -- SHA-256 of the request
        key      TEXT,                               -- Idempotency-Key
        removed  INTEGER NOT NULL DEFAULT 0,         -- kept only so that DELETE stays idempotent
        created  REAL NOT NULL,
        started  REAL,
        finished REAL,
        updated  REAL NOT NULL,
        UNIQUE (owner, key)
    );
    CREATE INDEX job_by_status ON job (status, seq);
    CREATE INDEX job_by_owner ON job (owner, seq);

    CREATE TABLE block (
        job     TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
        number  INTEGER NOT NULL,
        status  TEXT NOT NULL DEFAULT 'accepted'
                CHECK (status IN ('accepted', 'running', 'successful', 'failed', 'dismissed')),
        attempt INTEGER NOT NULL DEFAULT 0,          -- fence: only the latest claim may write
        crashes INTEGER NOT NULL DEFAULT 0,          -- claims that ended without a word
        worker  TEXT,
        lease   REAL,                                -- until when the claim holds
        done    INTEGER NOT NULL DEFAULT 0,
        total   INTEGER NOT NULL,
        rate    REAL,                                -- seconds per step: estimated, then measured
        PRIMARY KEY (job, number)
    );
    CREATE INDEX block_by_status ON block (status);

    CREATE TABLE result (
        job    TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,                     -- order in the results document
        output TEXT NOT NULL,
        title  TEXT NOT NULL,
        type   TEXT NOT NULL,                        -- media type
        file   TEXT,                                 -- path below the job's folder, or null and
        value  TEXT,                                 -- the JSON value itself
        bytes  INTEGER,
        sha256 TEXT,
        PRIMARY KEY (job, output)
    );

    CREATE TABLE profile (
        model   TEXT NOT NULL,
        device  TEXT NOT NULL,
        profile TEXT NOT NULL,                       -- JSON
        rate    REAL NOT NULL,                       -- seconds per evaluation
        updated REAL NOT NULL,
        PRIMARY KEY (model, device)
    );
    """,
    """
    -- part: which block of the variant's scene. Null: the step that joins them once they are all there
    ALTER TABLE block ADD COLUMN part INTEGER;
    ALTER TABLE block ADD COLUMN variant INTEGER NOT NULL DEFAULT 0;
    -- profile: what its bits are conditional on
    ALTER TABLE block ADD COLUMN profile TEXT;
    ALTER TABLE block ADD COLUMN approximate INTEGER NOT NULL DEFAULT 0;
    -- file: its pixels, as a path below the job's folder, until they are joined
    ALTER TABLE block ADD COLUMN file TEXT;
    ALTER TABLE block ADD COLUMN sha256 TEXT;
    -- notes: JSON, sentences that the owner reads at the end
    ALTER TABLE block ADD COLUMN notes TEXT NOT NULL DEFAULT '[]';
    UPDATE block SET variant = number, part = 0;
    -- A scene without blocks cannot go on as one with them.
    UPDATE job SET status = 'failed', finished = updated,
        message = 'The backend was renewed while this job waited. Send it again.'
        WHERE process = 'generate' AND status IN ('accepted', 'running');
    UPDATE block SET status = 'failed' WHERE status IN ('accepted', 'running')
        AND (SELECT status FROM job WHERE id = block.job) = 'failed';
    """,
)


def migrate(db: sqlite3.Connection) -> None:
    """Bring the database to the newest schema; refuse one that is newer than this program."""
    db.execute("BEGIN IMMEDIATE")
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        db.execute("ROLLBACK")
        raise sqlite3.DatabaseError(f"the job store has schema {version}, newer than this backend's")
    for script in MIGRATIONS[version:]:
        # Not executescript: it commits first, and the migration must be one transaction.
        for statement in script.split(";\n"):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    db.execute("COMMIT")


@dataclass(frozen=True)
class RequestedOutputs:
    """What a request wants to see: the form, and per output its transmission mode (None: default)."""

    response: Literal["raw", "document"] = "raw"
    outputs: dict[str, str | None] = field(default_factory=dict)  # empty: all


@dataclass(frozen=True)
class Submission:
    """A checked request, ready to be queued: per variant one block per entry of ``totals``.

    With ``layout``, the seconds that it takes, a step follows that joins the blocks of the variant.
    """

    owner: str
    process: str
    digest: str
    inputs: dict[str, Any]
    requested: RequestedOutputs
    totals: tuple[int, ...]  # evaluations of each block of a variant
    variants: int = 1
    layout: float | None = None
    plan: Plan | None = None
    rate: float | None = None  # expected seconds per evaluation
    key: str | None = None

    @property
    def bytes(self) -> int:
        """Return the disk to reserve."""
        return self.plan.bytes if self.plan else 0


@dataclass(frozen=True)
class Job:
    """One job as its owner sees it."""

    seq: int
    id: str
    owner: str
    process: str
    status: Status
    message: str
    plan: Plan | None
    requested: RequestedOutputs
    created: float
    started: float | None
    finished: float | None
    updated: float
    done: int
    total: int

    @property
    def progress(self) -> int:
        """Return per cent; 100 only for success."""
        if self.status == "successful":
            return 100
        return min(99, 100 * self.done // max(1, self.total))


@dataclass(frozen=True)
class Claim:
    """A block in the hands of one worker; ``attempt`` fences out every earlier claim of it.

    ``number`` is its place in the job, ``part`` in its variant; no part: it is to join those of the variant.
    ``total`` is what was planned for it.
    """

    job: str
    number: int
    attempt: int
    variant: int
    part: int | None
    total: int
    process: str
    inputs: dict[str, Any]
    plan: Plan | None


@dataclass(frozen=True)
class FinishedBlock:
    """A finished block: its pixels in a ``file`` (path below the job's folder), and what they hang on."""

    number: int
    file: str
    sha256: str
    profile: str
    approximate: bool


@dataclass(frozen=True)
class Result:
    """One output of a job: a ``file`` (path below the job's folder) or a JSON ``value``."""

    output: str
    title: str
    type: str
    file: str | None = None
    value: Any = None
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Filter:
    """Which jobs to list; None does not filter. Times are UNIX seconds, durations seconds."""

    processes: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    created: tuple[float | None, float | None] = (None, None)
    duration: tuple[float | None, float | None] = (None, None)


def job_of(row: sqlite3.Row) -> Job:
    """Read a Job from a row of ``store.JOBS``."""
    return Job(
        plan=Plan.model_validate_json(row["plan"]) if row["plan"] else None,
        requested=RequestedOutputs(**json.loads(row["wish"])),
        **{name: row[name] for name in _PLAIN},
    )


_PLAIN = (
    "seq", "id", "owner", "process", "status", "message", "created", "started", "finished", "updated", "done",
    "total",
)  # fmt: skip
