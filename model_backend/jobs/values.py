"""The stories of processes that answer a value instead of making a scene: ``echo`` and ``plan``.

Run by the API while the caller waits, or by a worker as a job. Knows no HTTP, no files and no torch.
"""

from __future__ import annotations

from typing import Any

from model_backend.jobs.rows import Result
from model_backend.jobs.store import JobStore
from model_backend.jobs.uploads import Uploads
from model_backend.models.registry import Registry
from model_backend.processes import echo, plan
from model_backend.processes.base import Process
from model_backend.schemas import EchoInputs, PlanInputs, Value
from model_backend.settings import Settings

STEPS_PER_SECOND = 10  # of a pause, in which a worker looks whether it is to go on
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


def pause_of(inputs: Value) -> int:
    """Return the seconds that the answer is to be held back."""
    return inputs.pause if isinstance(inputs, EchoInputs) else 0


def answer(inputs: Value, settings: Settings, store: JobStore, owner: str) -> list[Result]:
    """Return the outputs of ``echo`` or ``plan``; ``owner`` is whose uploads the inputs may name."""
    if isinstance(inputs, EchoInputs):
        return _results(echo.PROCESS, echo.run(inputs))
    assert isinstance(inputs, PlanInputs)
    registry = Registry(settings)
    profile, rate = known_of(inputs.inputs.get("model"), registry, store)
    uploads = Uploads(settings)
    outputs = plan.run(
        inputs, registry, settings, rate, lambda wanted: uploads.files_of(owner, wanted), profile
    )
    return _results(plan.PROCESS, outputs)


def known_of(
    model: object, registry: Registry, store: JobStore
) -> tuple[dict[str, Any] | None, float | None]:
    """Return profile and seconds per evaluation of a model (None: the default one), if it ever ran here."""
    known = store.profiles.of(model if isinstance(model, str) else registry.default().card.id)
    return known or (None, None)


def _results(process: Process[Any], values: dict[str, object]) -> list[Result]:
    return [
        Result(
            output=name,
            title=str(process.outputs[name]["title"]),
            type=TEXT if isinstance(value, str) else JSON,
            value=value,
        )
        for name, value in values.items()
    ]
