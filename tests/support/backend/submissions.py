"""Jobs as the backend queues them, without one: for tests that run workers of their own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from model_backend import processes
from model_backend.jobs.store.rows import RequestedOutputs, Submission
from model_backend.jobs.uploads import Uploads
from model_backend.models.registry import Registry
from model_backend.processes.base import PlanContext
from model_backend.settings import Settings

OWNER = "ada"


def submission(settings: Settings, process_id: str, sent: Mapping[str, Any]) -> Submission:
    """Return what a job for a process with these inputs is queued as; sources are uploads of `OWNER`."""
    process = processes.get(process_id)
    inputs = process.parse(sent)
    context = PlanContext(
        Registry(settings), settings, lambda model: None, partial(Uploads(settings).raster, OWNER)
    )
    work = process.workload(inputs, context)
    return Submission(OWNER, process_id, "d", inputs.model_dump(mode="json"), RequestedOutputs(), work)
