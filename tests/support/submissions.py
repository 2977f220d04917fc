"""Jobs as the backend queues them, without one: for tests that run workers of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_backend.jobs.rows import RequestedOutputs, Submission
from model_backend.jobs.uploads import Uploads
from model_backend.models.registry import Registry
from model_backend.processes import edit, extend, generate
from model_backend.settings import Settings

OWNER = "ada"


def submission(settings: Settings, process: str, wish: Mapping[str, Any]) -> Submission:
    """Return what a job for a process with these inputs is queued as; sources are uploads of `OWNER`."""
    registry = Registry(settings)
    told: dict[str, Any] = {}
    inputs: Any
    if process == "generate":
        inputs = generate.PROCESS.parse(dict(wish))
        plan = generate.plan(inputs, registry, settings, None)
        told = {"totals": generate.blocks(plan, registry), "layout": generate.layout_seconds(plan)}
    else:
        kind: Any = {"edit": edit, "extend": extend}[process]
        inputs = kind.PROCESS.parse(dict(wish))
        plan = kind.plan(inputs, Uploads(settings).files_of(OWNER, inputs), registry, settings, None)
        told = {"totals": (plan.evaluations // plan.variants,)}
    given = inputs.model_dump(mode="json")
    return Submission(
        OWNER, process, "d", given, RequestedOutputs(), variants=plan.variants, plan=plan, **told
    )
