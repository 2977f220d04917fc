"""A job as the outside sees it: OGC's statusInfo and ours on top, and the filters of the job list.

Adds ``queuePosition`` (0: running, 1: next), ``eta`` (seconds until the end, null if unknown), ``seed``, the
``steps`` of a diffusion model (evaluations, done and total) and its ``windows``, and links to results and to
the preview with the ``crs`` and ``bbox`` it covers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from model_backend.api.backend import Backend
from model_backend.errors import InvalidInput
from model_backend.jobs.store.rows import UNFINISHED, Filter, Job

RESULTS = "http://www.opengis.net/def/rel/ogc/1.0/results"
STATUSES = ("accepted", "running", "successful", "failed", "dismissed")
_MOST_LISTED = 10_000  # jobs or processes in one answer
LONGEST_POLL = 10


def status_info(backend: Backend, base: str, job: Job) -> dict[str, Any]:
    """Return the statusInfo of a job."""
    url = f"{base}/jobs/{job.id}"
    links = [{"href": url, "rel": "self", "type": "application/json", "title": "This job"}]
    times = {"created": job.created, "started": job.started, "finished": job.finished, "updated": job.updated}
    info: dict[str, Any] = {
        "jobID": job.id,
        "processID": job.process,
        "type": "process",
        "status": job.status,
        "message": job.message,
        "progress": job.progress,
        **{name: _rfc3339(when) for name, when in times.items() if when is not None},
    }
    if job.status in UNFINISHED:
        position, eta = backend.store.queue.position(job, backend.supervisor.alive())
        info |= {"queuePosition": position, "eta": None if eta is None else round(eta, 1)}
    if job.status == "successful":
        links.append(
            {"href": url + "/results", "rel": RESULTS, "type": "application/json", "title": "Results"}
        )
    if job.plan is not None:
        info["seed"] = job.plan.recipe.seed
        if job.plan.windows:
            info["steps"] = {"done": job.done, "total": job.total}
            info["windows"] = job.plan.windows * job.plan.variants
        if job.status in ("running", "successful") and backend.files.preview(job.id).exists():
            links.append(_preview(url, job))
    return info | {"links": links}


def _preview(url: str, job: Job) -> dict[str, Any]:
    # A preview shows the pixels of the frame; a resampled file may be in another CRS.
    assert job.plan is not None
    frame, grid = job.plan.recipe.frame, job.plan.recipe.grid
    link = {"href": url + "/preview", "rel": "preview", "type": "image/png", "title": "Preview"}
    (x, y), own = map(Decimal, frame.anchor), job.plan.recipe.resampled is None
    a, b, _, d, e, _ = job.plan.transform
    if own and (b or d or e > 0):  # the rows of an edited raster are no box's
        ends = [(grid.col, grid.row), (grid.col + grid.width, grid.row)]
        ends += [(col, row + grid.height) for col, row in reversed(ends)]
        return link | {
            "crs": frame.crs,
            "corners": [[float(x) + a * col + b * row, float(y) + d * col + e * row] for col, row in ends],
        }
    width, height = (Decimal(size) for size in frame.pixel_size)
    left, top = x + grid.col * width, y - grid.row * height
    bbox = [float(v) for v in (left, top - grid.height * height, left + grid.width * width, top)]
    return link | {"crs": frame.crs, "bbox": bbox}


def poll_headers(info: dict[str, Any]) -> dict[str, str]:
    """Return when to ask again: soon for what ends soon, seldom for what waits long."""
    if info["status"] not in UNFINISHED:
        return {}
    eta = info["eta"]
    return {"Retry-After": str(1 if eta is None else min(LONGEST_POLL, max(1, round(eta / 20))))}


def _rfc3339(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ---- filters ------------------------------------------------------------------------------------------


def read_filter(query: Sequence[tuple[str, str]]) -> Filter | None:
    """Return the filter of ``GET /jobs``; None if it can match nothing (a type we do not have)."""
    values: dict[str, list[str]] = {}
    for name, text in query:
        values.setdefault(name, []).extend(part for part in text.split(",") if part)
    types, statuses = values.get("type", []), values.get("status", [])
    for status in statuses:
        if status not in STATUSES:
            raise _wrong("status", status, ", ".join(STATUSES))
    if types and "process" not in types:
        return None
    return Filter(
        processes=tuple(values.get("processID", ())),
        statuses=tuple(statuses),
        created=_interval(dict(query).get("datetime")),
        duration=(_seconds("minDuration", values), _seconds("maxDuration", values)),
    )


def read_page(query: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """Return ``limit`` (default 10; more than 10,000 means that) and ``offset``."""
    given = dict(query)
    limit = _whole("limit", given.get("limit", "10"), 1)
    return min(limit, _MOST_LISTED), _whole("offset", given.get("offset", "0"), 0)


def _seconds(name: str, values: dict[str, list[str]]) -> int | None:
    return _whole(name, values[name][0], 0) if values.get(name) else None


def _whole(name: str, text: str, least: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 15 and int(text) >= least):
        raise _wrong(name, text, f"a whole number of at least {least}")
    return int(text)


def _interval(text: str | None) -> tuple[float | None, float | None]:
    """Read OGC's datetime: an instant, or ``start/end`` with ``..`` or nothing for an open end."""
    if text is None:
        return None, None
    ends = text.split("/")
    if not text or len(ends) > 2:
        raise _wrong("datetime", text, "an RFC 3339 instant, or start/end")
    first, last = (None if end in ("", "..") else _instant(end) for end in (ends[0], ends[-1]))
    if last is not None:  # told times are cut to milliseconds; an instant alone means that second
        last += 0.001 if len(ends) == 2 else 1
    return first, last


def _instant(text: str) -> float:
    try:
        when = datetime.fromisoformat(text)
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise _wrong("datetime", text, "an RFC 3339 instant, or start/end") from None
    return seconds if math.isfinite(seconds) else 0.0


def _wrong(field: str, value: str, allowed: str) -> InvalidInput:
    return InvalidInput(field, f"`{field}` must be {allowed}.", value=value, allowed=allowed)
