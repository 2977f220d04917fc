"""The SQLite file of a backend: opened, brought up to date, written in transactions, read beside them.

Knows connections and the schema; what the tables mean, their users know. In WAL mode a reader sees what was
committed when it began and waits for nobody, so reading has connections of its own.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from model_backend.errors import Busy, StorageFull

log = logging.getLogger(__name__)

T = TypeVar("T")
IDLE_READERS = 8  # connections kept open between reads
WAIT = 1.0  # seconds that SQLite waits for a lock before we look whether to go on waiting
RESERVE = 4 << 20  # bytes kept on the disk for what must be written even when it is full

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
    """
    CREATE TABLE turn (
        owner  TEXT PRIMARY KEY,
        number INTEGER NOT NULL                      -- grows: the owner whose job began last has the highest
    );
    CREATE TABLE clock (
        one  INTEGER PRIMARY KEY CHECK (one = 1),
        seen REAL NOT NULL,                          -- what the clock said when it was last looked at
        hold REAL NOT NULL                           -- until when nothing expires, since it jumped
    );
    """,
    """
    -- cost: seconds that a job was thought to take when it was sent
    ALTER TABLE job ADD COLUMN cost REAL NOT NULL DEFAULT 1;
    -- request: id of the request that brought it
    ALTER TABLE job ADD COLUMN request TEXT NOT NULL DEFAULT '';
    CREATE INDEX job_by_turn ON job (status, owner, seq);
    DROP TABLE turn;
    CREATE TABLE owner (
        name     TEXT PRIMARY KEY,
        priority REAL NOT NULL DEFAULT 1,            -- shares of the time, where somebody else has one
        running  INTEGER,                            -- most jobs at a time; null: as everybody
        began    REAL NOT NULL DEFAULT 0,            -- when, in shared time, the job of theirs began that
        due      REAL NOT NULL DEFAULT 0             -- began last, and when its share of the time is over
    );
    CREATE TABLE control (
        one     INTEGER PRIMARY KEY CHECK (one = 1),
        mode    TEXT NOT NULL CHECK (mode IN ('open', 'paused', 'draining')),
        running INTEGER                              -- most running jobs of an owner; null: as many as come
    );
    INSERT INTO control VALUES (1, 'open', NULL);
    -- What was counted since the database was made: jobs that have expired are in it too.
    CREATE TABLE tally (
        name    TEXT NOT NULL,
        process TEXT NOT NULL,
        label   TEXT NOT NULL,
        value   REAL NOT NULL,
        PRIMARY KEY (name, process, label)
    );
    """,
    """
    -- What is asked for every job and every block, without a look at each that waits.
    DROP INDEX block_by_status;
    CREATE INDEX block_by_status ON block (status, crashes);
    DROP INDEX job_by_turn;
    CREATE INDEX job_by_turn ON job (status, owner, seq, bytes);
    """,
)


class Database:
    """One SQLite file; safe to share between threads of one process.

    Another program, a backup say, may lock it. Whoever writes waits for that, ``patience`` seconds at most
    (then Busy), or as long as it takes.
    """

    def __init__(self, path: Path, *, durable: bool = False, patience: float | None = None) -> None:
        """Open or create the file; ``durable`` syncs every commit: an accepted job survives a power cut.

        Raises sqlite3.DatabaseError if it is damaged, or newer than this program.
        """
        self._path, self._patience = path, patience
        self._lock = threading.Lock()  # of the writer: one transaction at a time
        self._writer = self._connect()
        self._idle: deque[sqlite3.Connection] = deque()
        try:
            self._patiently(lambda: self._writer.execute("PRAGMA journal_mode = WAL"))
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._writer.execute("PRAGMA foreign_keys = ON")
            self._patiently(lambda: migrate(self._writer, path))
        except sqlite3.DatabaseError as error:
            self._writer.close()
            if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise self._damaged(str(error)) from error
            raise

    def check(self) -> None:
        """Raise sqlite3.DatabaseError if the file is damaged."""
        try:
            found = [row[0] for row in self.rows("PRAGMA quick_check(1)")]
        except sqlite3.DatabaseError as error:
            found = [str(error)]
        if found != ["ok"]:
            raise self._damaged(found[0])

    def keep_reserve(self) -> None:
        """Keep some bytes of the disk, so that owners can remove jobs when it is full."""
        path = self._reserve
        if path.exists() or shutil.disk_usage(path.parent).free < 2 * RESERVE:
            return
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                file.write(os.urandom(RESERVE))  # no file system can make it smaller
            os.replace(part, path)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Close all connections; nobody may be reading."""
        with self._lock:
            self._writer.close()
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def transaction(self, *, essential: bool = False) -> Iterator[sqlite3.Connection]:
        """Give the connection to write with; all of it is kept, or nothing where an exception leaves.

        What is ``essential`` may use up the reserve of a full disk. Raises Busy and StorageFull.
        """
        if essential and self._is_full():
            self._reserve.unlink(missing_ok=True)
        began = time.monotonic()
        if not self._lock.acquire(timeout=-1 if self._patience is None else self._patience):
            raise Busy
        try:
            self._patiently(lambda: self._writer.execute("BEGIN IMMEDIATE"), began)
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.OperationalError):  # a full disk has done so already
                    self._writer.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError) and _code(error) == sqlite3.SQLITE_FULL:
                    raise StorageFull(
                        "The disk of the backend is full. Remove finished jobs, then try again."
                    ) from error
                raise
        finally:
            self._lock.release()

    def rows(self, sql: str, values: dict[str, Any] | Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return what a query finds of all that is committed."""
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = self._connect()
            reader.execute("PRAGMA query_only = ON")
        try:
            return self._patiently(lambda: reader.execute(sql, values).fetchall())
        finally:
            if len(self._idle) < IDLE_READERS:
                self._idle.append(reader)
            else:
                reader.close()

    def _damaged(self, how: str) -> sqlite3.DatabaseError:
        return sqlite3.DatabaseError(
            f"The database {self._path} is damaged ({' '.join(how.split())}). Put a backup in its place, or"
            " move it away to begin with an empty one; the folders of results stay."
        )

    @property
    def _reserve(self) -> Path:
        return self._path.with_name("reserve")

    def _is_full(self) -> bool:
        return shutil.disk_usage(self._path.parent).free < RESERVE

    def _connect(self) -> sqlite3.Connection:
        made = sqlite3.connect(self._path, timeout=WAIT, isolation_level=None, check_same_thread=False)
        made.row_factory = sqlite3.Row
        return made

    def _patiently(self, act: Callable[[], T], began: float | None = None) -> T:
        """Do what a lock of another program may hold up; Busy when patience ends."""
        began = time.monotonic() if began is None else began
        said = False
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if _code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise
            waited = time.monotonic() - began
            if self._patience is not None and waited > self._patience:
                raise Busy
            if not said and waited > 5 * WAIT:
                said = True
                log.warning("the job store is locked by another program, a backup perhaps: waiting for it")


def _code(error: sqlite3.DatabaseError) -> int:
    """Return the primary result code of SQLite."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def copy(source: sqlite3.Connection, target: Path) -> None:
    """Copy a database, as it is committed at this moment, into a file that is whole or not there."""
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(part)) as made:
        source.backup(made)
        made.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    os.replace(part, target)


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the database in ``path`` to the newest schema, having copied one that is older.

    The copy is ``jobs.sqlite.schema-N``: what an older backend can go back to. Refuses a database that is
    newer than this program.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise sqlite3.DatabaseError(f"the job store has schema {version}, newer than this backend's")
        if 0 < version < len(MIGRATIONS):
            with closing(sqlite3.connect(path)) as reader:
                copy(reader, path.with_name(f"{path.name}.schema-{version}"))
        for script in MIGRATIONS[version:]:
            # Not executescript: it commits first, and the migration must be one transaction.
            for statement in script.split(";\n"):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
