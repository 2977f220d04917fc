"""What the API and the workers both do for a process: what plans depend on here, and values as results.

Knows the store and the uploads; no HTTP, no files of jobs and no torch.
"""

from __future__ import annotations

from functools import partial

from model_backend.jobs.rows import Result
from model_backend.jobs.store import JobStore
from model_backend.jobs.uploads import Uploads
from model_backend.models.registry import Registry
from model_backend.processes.base import PlanContext, V
from model_backend.processes.values import ValueProcess
from model_backend.settings import Settings

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


def plan_context(settings: Settings, store: JobStore, owner: str) -> PlanContext:
    """Return what plans depend on here; ``owner`` is whose uploads the inputs may name."""
    return PlanContext(
        Registry(settings), settings, store.profiles.of, partial(Uploads(settings).raster, owner)
    )


def answer(process: ValueProcess[V], inputs: V, context: PlanContext) -> list[Result]:
    """Return the outputs of a process that answers values."""
    return [
        Result(
            output=name,
            title=str(process.outputs[name]["title"]),
            type=TEXT if isinstance(value, str) else JSON,
            value=value,
        )
        for name, value in process.answer(inputs, context).items()
    ]
