"""The process ``plan``: what the inputs of another process come to, before anything is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from model_backend.errors import InvalidInput
from model_backend.models.registry import Registry
from model_backend.processes import edit, extend, generate
from model_backend.processes.base import Process
from model_backend.processes.describe import model_schema
from model_backend.schemas import Plan, PlanInputs
from model_backend.settings import Settings

PROCESS = Process(
    id="plan",
    title="Plan",
    text="Says what a request would give and cost: grid, GSD, windows, time, disk, warnings.",
    inputs=PlanInputs,
    outputs={"plan": {"title": "Plan", "schema": model_schema(Plan)}},
    sync=True,
    keywords=("cost", "grid"),
)


def run(
    inputs: PlanInputs,
    registry: Registry,
    limits: Settings,
    rate: float | None,
    files: Callable[[edit.Painting], edit.Files],
    profile: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the outputs by name: ``plan``, a Plan as JSON; ``files`` finds the rasters that are named.

    Raises what the other process's own ``plan`` raises, the fields named from the inputs of this process.
    """
    try:
        if inputs.process == "edit":
            wanted = edit.PROCESS.parse(inputs.inputs)
            plan = edit.plan(wanted, files(wanted), registry, limits, rate)
        elif inputs.process == "extend":
            more = extend.PROCESS.parse(inputs.inputs)
            plan = extend.plan(more, files(more), registry, limits, rate)
        else:
            plan = generate.plan(generate.PROCESS.parse(inputs.inputs), registry, limits, rate, profile)
    except InvalidInput as error:
        error.field = f"inputs.{error.field}"
        raise
    return {"plan": plan.model_dump(mode="json")}
