"""The SQLite file of a backend: opened, brought up to date, written in transactions, read beside them.

Knows connections and the schema; what the tables mean, their users know. In WAL mode a reader sees what was
committed when it began and waits for nobody, so reading has connections of its own.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

IDLE_READERS = 8  # connections kept open between reads

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


class Database:
    """One SQLite file; safe to share between threads of one process."""

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        """Open or create the file; ``durable`` syncs every commit: an accepted job survives a power cut.

        Raises sqlite3.DatabaseError if it is newer than this program.
        """
        self._path = path
        self._lock = threading.Lock()  # of the writer: one transaction at a time
        self._writer = self._connect()
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._writer.execute("PRAGMA foreign_keys = ON")
        self._idle: deque[sqlite3.Connection] = deque()
        migrate(self._writer)

    def close(self) -> None:
        """Close all connections; nobody may be reading."""
        with self._lock:
            self._writer.close()
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to write with; all of it is kept, or nothing where an exception leaves."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    def rows(self, sql: str, values: dict[str, Any] | Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return what a query finds of all that is committed."""
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = self._connect()
            reader.execute("PRAGMA query_only = ON")
        try:
            return reader.execute(sql, values).fetchall()
        finally:
            if len(self._idle) < IDLE_READERS:
                self._idle.append(reader)
            else:
                reader.close()

    def _connect(self) -> sqlite3.Connection:
        made = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        made.row_factory = sqlite3.Row
        return made


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
