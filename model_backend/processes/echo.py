"""The process ``echo``: answers its inputs, for conformance tests and connection checks."""

from __future__ import annotations

from typing import Any

from model_backend.processes.base import PlanContext
from model_backend.processes.values import ValueProcess
from model_backend.schemas import EchoInputs


class Echo(ValueProcess[EchoInputs]):
    """Answers its inputs, after a pause if one is asked for."""

    id = "echo"
    title = "Echo"
    text = "Answers its inputs, after a pause if one is asked for. Needs no model."
    keywords = ("test",)
    inputs = EchoInputs
    outputs = {
        "message": {"title": "Message", "schema": {"type": "string"}},
        "pause": {"title": "Pause", "description": "Seconds.", "schema": {"type": "integer"}},
    }

    def pause(self, inputs: EchoInputs) -> int:
        """Return the pause that was asked for."""
        return inputs.pause

    def answer(self, inputs: EchoInputs, context: PlanContext) -> dict[str, Any]:
        """Return the inputs."""
        return {"message": inputs.message, "pause": inputs.pause}


PROCESS = Echo()
