"""The handler of processes that answer values: ``echo`` and ``plan``."""

from __future__ import annotations

import time

from model_backend.jobs.answers import answer
from model_backend.jobs.context import JobContext
from model_backend.jobs.store.rows import Claim, Result
from model_backend.processes.base import V
from model_backend.processes.values import STEPS_PER_SECOND, ValueProcess


def run(process: ValueProcess[V], claim: Claim, context: JobContext) -> list[Result]:
    """Answer, after the pause that was asked for."""
    inputs = process.parse(claim.inputs)
    steps = STEPS_PER_SECOND * process.pause(inputs)
    began = time.monotonic()
    for step in range(steps):
        context.reporter.step(step, 1 + steps)
        time.sleep(max(0.0, began + (step + 1) / STEPS_PER_SECOND - time.monotonic()))
    return answer(process, inputs, context.plan_context(claim))
