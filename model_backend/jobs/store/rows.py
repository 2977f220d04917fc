"""The values that the job store takes and gives.

Knows nothing of HTTP or models, and of processes the work that they ask for. Times are UNIX seconds,
durations seconds; ``done`` and ``total`` count units of work as planned.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any, Literal

from model_backend.processes.base import Workload
from model_backend.schemas import Plan

Status = Literal["accepted", "running", "successful", "failed", "dismissed"]
UNFINISHED: tuple[Status, ...] = ("accepted", "running")
#: What a worker may take: anything, only what computes pixels, or only what needs neither device nor model.
Work = Literal["any", "pixels", "rest"]


@dataclass(frozen=True)
class RequestedOutputs:
    """What a request wants to see: the form, and per output its transmission mode (None: default)."""

    response: Literal["raw", "document"] = "raw"
    outputs: dict[str, str | None] = field(default_factory=dict)  # empty: all


@dataclass(frozen=True)
class Submission:
    """A checked request, ready to be queued."""

    owner: str
    process: str
    digest: str
    inputs: dict[str, Any]
    requested: RequestedOutputs
    work: Workload
    key: str | None = None
    request: str = ""  # id of the request that brings it


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
class Hold:
    """Which block of a job is in the hands of a worker; ``attempt`` fences out every earlier claim of it."""

    job: str
    number: int
    attempt: int
    variant: int


@dataclass(frozen=True)
class Claim(Hold):
    """A block in the hands of one worker, and all that it needs to know to make it.

    ``number`` is its place in the job, ``part`` in its variant; no part: it is to join those of the variant.
    ``total`` is what was planned for it.
    """

    part: int | None
    total: int
    process: str
    inputs: dict[str, Any]
    plan: Plan | None
    request: str = ""  # id of the request that brought the job, for the log


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
