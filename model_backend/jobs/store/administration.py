"""The job store as an administrator sees it: jobs of all owners, who gets how much, whether it goes on."""

from __future__ import annotations

from typing import Any, Literal, get_args

from model_backend.errors import InvalidInput, NoSuchJob
from model_backend.jobs.store.database import Database
from model_backend.jobs.store.endings import end_job
from model_backend.jobs.store.line import PRIORITY

# open: all goes on. paused: workers take nothing. draining: what runs is ended, nothing begins or comes in
Mode = Literal["open", "paused", "draining"]

_FIELDS = "id, owner, process, status, message, cost, request, created, started, finished"


class Administration:
    """Everything here is about all owners."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mode(self) -> Mode:
        """Return whether jobs come in and go on."""
        mode: Mode = self._database.rows("SELECT mode FROM control")[0]["mode"]
        return mode

    def set_mode(self, mode: Mode) -> None:
        """Let jobs in and go on, or not; it holds until the next call, restarts included."""
        assert mode in get_args(Mode)
        with self._database.transaction(essential=True) as db:
            db.execute("UPDATE control SET mode = ?", (mode,))

    def limit_running(self, most: int | None) -> None:
        """Let owners for whom nothing else was said run so many jobs at a time; None: as many as come."""
        with self._database.transaction() as db:
            db.execute("UPDATE control SET running = ?", (most,))

    def jobs(self, *, ended: bool = False, limit: int = 1000) -> list[dict[str, Any]]:
        """Return all owners' unfinished jobs, oldest first; those that have ``ended`` too, newest first."""
        which = "NOT removed ORDER BY seq DESC" if ended else "status IN ('accepted', 'running') ORDER BY seq"
        return [
            dict(row)
            for row in self._database.rows(f"SELECT {_FIELDS} FROM job WHERE {which} LIMIT ?", (limit,))
        ]

    def cancel(self, job: str) -> None:
        """Dismiss anybody's unfinished job; raises NoSuchJob."""
        with self._database.transaction(essential=True) as db:
            known = db.execute("SELECT status FROM job WHERE id = ? AND NOT removed", (job,)).fetchone()
            if known is None:
                raise NoSuchJob("There is no such job, or it has been removed.")
            end_job(db, job, "dismissed", "Dismissed by the administrator of the backend.")

    def owners(self) -> list[dict[str, Any]]:
        """Return what each owner has: unfinished jobs, bytes of results, share of the time, limit."""
        rows = self._database.rows(
            f"SELECT name, {PRIORITY} AS priority, owner.running AS limit_running,"
            " total(status = 'running') AS running, total(status = 'accepted') AS waiting,"
            " (SELECT total(result.bytes) FROM result JOIN job ON job.id = job"
            "  WHERE job.owner = name) AS bytes"
            " FROM (SELECT name FROM owner UNION SELECT owner FROM job) AS known"
            " LEFT JOIN owner USING (name)"
            " LEFT JOIN job ON job.owner = name AND status IN ('accepted', 'running')"
            " GROUP BY name ORDER BY name"
        )
        return [
            {
                "owner": row["name"],
                "priority": row["priority"],
                "mostRunning": row["limit_running"],
                "running": int(row["running"]),
                "waiting": int(row["waiting"]),
                "bytes": int(row["bytes"]),
            }
            for row in rows
        ]

    def set_owner(self, name: str, priority: float | None, running: int | None) -> None:
        """Give an owner another share of the time or another limit (0: everybody's); None: as it is."""
        if priority is not None and not 0.001 <= priority <= 1000:
            rule = "from 0.001 to 1000"
            raise InvalidInput("priority", f"A priority is a number {rule}; 1 is usual.", allowed=rule)
        with self._database.transaction() as db:
            db.execute("INSERT INTO owner (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
            db.execute(
                "UPDATE owner SET priority = coalesce(:priority, priority),"
                " running = iif(:running IS NULL, running, nullif(:running, 0)) WHERE name = :name",
                {"name": name, "priority": priority, "running": running},
            )

    def tallies(self) -> list[tuple[str, str, str, float]]:
        """Return all counts: (name, process, label, value)."""
        return [
            tuple(row) for row in self._database.rows("SELECT * FROM tally ORDER BY name, process, label")
        ]

    def queue(self) -> list[tuple[float, str, int]]:
        """Return the number of unfinished jobs by their owners' priority and their status."""
        rows = self._database.rows(
            f"SELECT {PRIORITY} AS priority, status, count(*) AS jobs"
            " FROM job LEFT JOIN owner ON owner.name = job.owner"
            " WHERE status IN ('accepted', 'running') GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return [tuple(row) for row in rows]
