"""The process ``echo``: answers what it was told, for conformance tests and connection checks."""

from __future__ import annotations

from typing import Any

from model_backend.processes.base import Process
from model_backend.schemas import EchoInputs

PROCESS = Process(
    id="echo",
    title="Echo",
    text="Answers its inputs, after a pause if one is asked for. Needs no model.",
    inputs=EchoInputs,
    outputs={
        "message": {"title": "Message", "schema": {"type": "string"}},
        "pause": {"title": "Pause", "description": "Seconds.", "schema": {"type": "integer"}},
    },
    sync=True,
    keywords=("test",),
)


def run(inputs: EchoInputs) -> dict[str, Any]:
    """Return the outputs by name. The pause is the caller's to keep: nothing sleeps in here."""
    return {"message": inputs.message, "pause": inputs.pause}
