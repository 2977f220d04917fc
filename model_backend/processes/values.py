"""Processes that answer values instead of making files, so that a caller can wait for them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from model_backend.processes.base import PlanContext, Process, V, Workload

STEPS_PER_SECOND = 10  # of a pause, in which a worker looks whether it is to go on


class ValueProcess(Process[V]):
    """A process whose outputs are JSON values; run as a job, it is one block."""

    sync = True
    handler = "model_backend.jobs.handlers.values:run"

    @abstractmethod
    def answer(self, inputs: V, context: PlanContext) -> dict[str, Any]:
        """Return the outputs by name."""

    def pause(self, inputs: V) -> int:
        """Return the seconds by which the answer is to be held back; nothing sleeps in here."""
        return 0

    def workload(self, inputs: V, context: PlanContext) -> Workload:
        """Return one block: the steps of the pause, and the answer."""
        return Workload((1 + STEPS_PER_SECOND * self.pause(inputs),), unit_seconds=1 / STEPS_PER_SECOND)
