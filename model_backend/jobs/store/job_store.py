"""The job store: one database, as owners, workers and the supervisor see it.

SQLite in WAL mode on local disk is the truth about jobs. Several processes open the same file: the API and
one worker per device. What keeps it right, whatever dies when, besides the rules of ``claims``:

* a state is a row first; whoever acts on it reads the row again;
* a job's status is terminal from the moment a user dismisses it; what the worker still does is discarded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_backend.jobs.store.administration import Administration
from model_backend.jobs.store.claims import Claims
from model_backend.jobs.store.database import Database
from model_backend.jobs.store.profiles import Profiles
from model_backend.jobs.store.queue import Queue
from model_backend.jobs.store.upkeep import Upkeep

FILE = "jobs.sqlite"


@dataclass(frozen=True)
class JobStore:
    """The job store; safe to share between threads of one process."""

    database: Database
    queue: Queue  # owners
    claims: Claims  # workers
    upkeep: Upkeep  # the supervisor
    profiles: Profiles  # what models are like on this machine
    administration: Administration

    @classmethod
    def open(cls, data_dir: Path, *, durable: bool = False, patience: float | None = None) -> JobStore:
        """Open or create the store of a data folder; see ``Database``."""
        database = Database(data_dir / FILE, durable=durable, patience=patience)
        return cls(
            database,
            Queue(database),
            Claims(database),
            Upkeep(database),
            Profiles(database),
            Administration(database),
        )

    def close(self) -> None:
        """Close the database."""
        self.database.close()
