"""Claims and results as JSON, the same at both ends of the wire."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from model_backend.jobs.store.rows import Claim, Hold, Result
from model_backend.schemas import Plan

PREVIEW_SECONDS = 5.0  # between previews of a worker; the backend answers each with what it wants


def of_claim(claim: Claim) -> dict[str, Any]:
    """Return a claim as JSON."""
    plan = claim.plan.model_dump(mode="json") if claim.plan is not None else None
    members = {name: getattr(claim, name) for name in Claim.__dataclass_fields__}
    return members | {"plan": plan}


def claim_of(message: dict[str, Any]) -> Claim:
    """Return the claim that was sent."""
    plan = message["plan"]
    return Claim(**message | {"plan": Plan.model_validate(plan) if plan is not None else None})


def of_hold(claim: Hold) -> dict[str, Any]:
    """Return which block a claim is of, as JSON."""
    return {name: getattr(claim, name) for name in Hold.__dataclass_fields__}


def hold_of(message: dict[str, Any]) -> Hold:
    """Return which block was meant."""
    return Hold(str(message["job"]), *(int(message[name]) for name in ("number", "attempt", "variant")))


def of_result(result: Result) -> dict[str, Any]:
    """Return an output as JSON."""
    return asdict(result)
