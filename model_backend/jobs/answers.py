"""The outputs of a process that answers values: asked for by the API while the caller waits, or by a worker.

Knows no HTTP, no files and no torch.
"""

from __future__ import annotations

from model_backend.jobs.store.rows import Result
from model_backend.processes.base import PlanContext, V
from model_backend.processes.values import ValueProcess

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


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
