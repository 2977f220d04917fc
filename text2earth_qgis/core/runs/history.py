"""The runs of this user: what was asked of which backend, how it stands, where the result lies.

One SQLite file in the QGIS profile, so that closing QGIS loses nothing: a run is written before its request
is sent, under the Idempotency-Key that makes sending it again harmless. Every method opens its own connection
and may be called from any thread. Knows no QGIS and no network.

Lists read the table ``brief`` alone: a line for every run with what is shown and searched, however large its
mask is. A run that the user removes is only marked there, with the time, and no list has it; it can be
restored until it is erased.

States: submitting -> accepted -> running -> successful -> fetched; failed; dismissing -> dismissed.
Before all of these, an edit is preparing.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import threading
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Container, Iterable, Iterator, Optional

from text2earth_qgis.core.errors import HistoryError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Json

VERSION = 9
PAGE = 100  # runs that a list reads at once
# What something is still to be done for.
OPEN = ("preparing", "submitting", "accepted", "running", "successful", "dismissing")
_JSON = ("inputs", "recipe", "assembly", "sources", "samples")
_MIGRATIONS = (
    """CREATE TABLE run (
       key TEXT PRIMARY KEY, server TEXT NOT NULL, process TEXT NOT NULL, inputs TEXT NOT NULL,
       project TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL, job TEXT NOT NULL,
       message TEXT NOT NULL, recipe TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL)""",
    "ALTER TABLE run ADD COLUMN assembly TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE run ADD COLUMN notes TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE run ADD COLUMN sources TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE run ADD COLUMN variant_of TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE run ADD COLUMN choice TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE run ADD COLUMN samples TEXT NOT NULL DEFAULT '[]'",
    """CREATE TABLE brief (
       number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, created TEXT NOT NULL, state TEXT NOT NULL,
       target TEXT NOT NULL, variant_of TEXT NOT NULL, choice TEXT NOT NULL, words TEXT NOT NULL,
       run TEXT NOT NULL)""",
    "ALTER TABLE brief ADD COLUMN removed TEXT NOT NULL DEFAULT ''",
)
# What a list shows of a recipe.
_SHOWN = ("seed", "model", "level", "steps", "sampler", "guidance", "grid", "resampled", "frame")


#: Threads of this process queue here: SQLite lets them wait in no order, and one may never get its turn.
_turn = threading.Lock()


def _now() -> str:
    return _text(datetime.now(timezone.utc))


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Run:
    """One run. ``target`` is the file the result goes to, ``project`` the project file it came from.

    ``assembly`` is how an edit's part becomes its result (``assembly.Assembly`` as JSON), ``sources`` where
    the raster of sources goes (``source_raster.SourceRaster``), if one is wanted, ``samples`` of which layers
    of the project samples were taken, by their ids. ``message`` says what went wrong, or where the job
    stands; ``notes`` what the backend had to say of a job that went well. Variants of one request have one
    ``variant_of``; ``choice`` is what the user decided (``variants.KEPT``). A ``brief`` run is what lists
    show: of inputs, recipe and assembly it has only that.
    """

    server: str
    inputs: Json
    target: str
    project: str = ""
    process: str = "generate"
    state: str = "submitting"
    job: str = ""
    message: str = ""
    notes: str = ""
    recipe: Json = field(default_factory=dict)
    assembly: Json = field(default_factory=dict)
    sources: Json = field(default_factory=dict)
    variant_of: str = ""
    choice: str = ""
    samples: list[str] = field(default_factory=list)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: str = field(default_factory=_now)
    updated: str = field(default_factory=_now)
    brief: bool = field(default=False, compare=False)

    @property
    def outputs(self) -> Json:
        """The outputs to ask for by name; none are the usual ones."""
        return {name: {} for name in ("image", "item", "recipe", "sources")} if self.sources else {}

    @property
    def prompt(self) -> str:
        """The prompt, empty if there is none."""
        return str(self.inputs.get("prompt") or "")

    @property
    def raster(self) -> str:
        """The name of the raster that it edits, empty if it edits none."""
        return str(self.assembly.get("source", {}).get("name") or "")

    @property
    def words(self) -> str:
        """What it can be found by, without capitals."""
        return (
            f"{self.prompt} {self.raster} {self.recipe.get('seed', '')} {Path(self.target).name}".casefold()
        )

    @property
    def has_file(self) -> bool:
        """Whether its result is where it was put."""
        return self.state == "fetched" and Path(self.target).is_file()

    @property
    def open(self) -> bool:
        """Whether something is still to be done: watched, fetched or dismissed."""
        return self.state in OPEN


class History:
    """The runs in one SQLite file, which is made at the first write."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def put(self, run: Run) -> Run:
        """Write a run, new or known, and return it with the time of writing."""
        if run.brief:
            raise ValueError("a brief run would overwrite the whole one")
        run = dataclasses.replace(run, updated=_now())
        with self._open() as database:
            _write(database, run)
        return run

    def get(self, key: str) -> Optional[Run]:
        """Return the run with this key, on the list or removed from it."""
        return next(iter(self._select("run.key = ?", (key,))), None)

    def of_file(self, target: str) -> Optional[Run]:
        """Return the latest run whose result is this file."""
        found = self._select(
            "brief.removed = '' AND brief.target IN (?, ?) ORDER BY number DESC LIMIT 1",
            (target, str(Path(target))),
        )
        return found[0] if found else None

    def latest(self, words: str = "", before: Optional[Run] = None, limit: int = PAGE) -> list[Run]:
        """Return the latest runs, brief, newest first: those with all ``words``, older than ``before``."""
        if not self.path.exists():
            return []
        wanted = words.casefold().split()
        conditions = ["removed = ''", *["instr(words, ?) > 0"] * len(wanted)]
        values: list[object] = [*wanted]
        if before is not None:
            conditions.append("number < (SELECT number FROM brief WHERE key = ?)")
            values.append(before.key)
        with self._open() as database:
            rows = database.execute(
                f"SELECT run FROM brief WHERE {' AND '.join(conditions)} "  # nosec B608
                "ORDER BY number DESC LIMIT ?",
                (*values, limit),
            ).fetchall()
        return _brief(rows)

    def unfinished(self) -> list[Run]:
        """Return the runs that are to be watched, fetched or dismissed, oldest first."""
        marks = ", ".join("?" * len(OPEN))
        return self._select(f"brief.removed = '' AND brief.state IN ({marks}) ORDER BY number", OPEN)

    def undecided(self) -> list[Run]:
        """Return all variants of the sets in which the user has not decided on every one, oldest first."""
        wanted = "(SELECT variant_of FROM brief WHERE variant_of <> '' AND choice = '' AND removed = '')"
        return self._select(f"brief.removed = '' AND brief.variant_of IN {wanted} ORDER BY number", ())

    def remove(self, keys: Iterable[str]) -> None:
        """Take runs off the list; their files stay, and they can be restored until they are erased."""
        now = _now()
        with self._open() as database:
            database.executemany("UPDATE brief SET removed = ? WHERE key = ?", [(now, key) for key in keys])

    def restore(self, keys: Iterable[str]) -> list[Run]:
        """Put runs back on the list where they were, as far as they are not erased; return these, brief."""
        rows = []
        with self._open() as database:
            for key in keys:
                database.execute("UPDATE brief SET removed = '' WHERE key = ?", (key,))
                rows += database.execute("SELECT run FROM brief WHERE key = ?", (key,)).fetchall()
        return _brief(rows)

    def removed(self, until: datetime, keys: Container[str] = ()) -> list[Run]:
        """Return the removed runs, brief, the first one first: those until then, and those of ``keys``."""
        if not self.path.exists():
            return []
        with self._open() as database:
            rows = database.execute(
                "SELECT key, removed, run FROM brief WHERE removed <> '' ORDER BY removed, number"
            ).fetchall()
        return _brief(row for row in rows if row["removed"] <= _text(until) or row["key"] in keys)

    def erase(self, keys: Iterable[str]) -> None:
        """Forget removed runs for good; one that was restored stays."""
        gone = [(key,) for key in keys]
        with self._open() as database:
            database.executemany("DELETE FROM brief WHERE key = ? AND removed <> ''", gone)
            database.executemany(
                "DELETE FROM run WHERE key = ? "
                "AND NOT EXISTS (SELECT 1 FROM brief WHERE brief.key = run.key)",
                gone,
            )

    def _select(self, condition: str, values: tuple[object, ...]) -> list[Run]:
        """Return whole runs, as a condition and an order say."""
        if not self.path.exists():
            return []
        with self._open() as database:
            rows = database.execute(
                f"SELECT run.* FROM run JOIN brief USING (key) WHERE {condition}",  # nosec B608
                values,
            ).fetchall()
        return [_run(row) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection in a transaction, its schema up to date."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _turn, closing(self._connect()) as database:
                database.row_factory = sqlite3.Row
                database.execute("PRAGMA synchronous = NORMAL")
                self._migrate(database)
                with database:
                    yield database
        except (sqlite3.Error, OSError) as error:
            raise HistoryError(
                tr("The list of runs in {path} cannot be used: {error}.").format(path=self.path, error=error)
            ) from error

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=5, isolation_level="IMMEDIATE")

    def _migrate(self, database: sqlite3.Connection) -> None:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise HistoryError(
                tr(
                    "The list of runs in {path} is of a newer version of Text2Earth. Update the plugin."
                ).format(path=self.path)
            )
        if version == VERSION:
            return
        with database:
            database.execute("BEGIN IMMEDIATE")  # another QGIS may be doing the same
            version = database.execute("PRAGMA user_version").fetchone()[0]
            for statement in _MIGRATIONS[version:]:
                database.execute(statement)
            if version < VERSION:
                for row in database.execute("SELECT * FROM run ORDER BY created, rowid"):
                    _note(database, _run(row))
            database.execute(f"PRAGMA user_version = {VERSION}")


def _brief(rows: Iterable[sqlite3.Row]) -> list[Run]:
    return [Run(**json.loads(row["run"]), brief=True) for row in rows]


def _run(row: sqlite3.Row) -> Run:
    values = dict(row)
    values.update({name: json.loads(values[name]) for name in _JSON})
    return Run(**values)


def _write(database: sqlite3.Connection, run: Run) -> None:
    """Write all of a run."""
    values = {name: value for name, value in dataclasses.asdict(run).items() if name != "brief"}
    values.update({name: json.dumps(values[name], ensure_ascii=False) for name in _JSON})
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    database.execute(f"INSERT OR REPLACE INTO run ({names}) VALUES ({marks})", values)  # nosec B608
    _note(database, run)


def _note(database: sqlite3.Connection, run: Run) -> None:
    """Write the line of a run that lists read."""
    shown = {
        **dataclasses.asdict(run),
        "inputs": {"prompt": run.prompt},
        "recipe": {name: run.recipe[name] for name in _SHOWN if name in run.recipe},
        "assembly": {"source": {"name": run.raster}} if run.raster else {},
        "sources": {},
        "samples": [],
    }
    del shown["brief"]
    line = {
        **{name: shown[name] for name in ("key", "created", "state", "target", "variant_of", "choice")},
        "words": run.words,
        "run": json.dumps(shown, ensure_ascii=False),
    }
    names = ", ".join(line)
    marks = ", ".join(f":{name}" for name in line)
    news = ", ".join(f"{name} = excluded.{name}" for name in line if name != "key")
    database.execute(
        f"INSERT INTO brief ({names}) VALUES ({marks}) ON CONFLICT (key) DO UPDATE SET {news}",  # nosec B608
        line,
    )
