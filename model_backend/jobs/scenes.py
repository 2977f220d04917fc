"""The stories: how a claimed block becomes results, per process.

Read ``generate`` first: plan, model, pixels, file, rows. Knows the order of things; pixels are made in
``engine``, files in ``raster``, models in ``models``. Whatever is raised here ends at the worker's loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from model_backend import processes
from model_backend.jobs.cache import ModelCache
from model_backend.jobs.rows import Claim, Result
from model_backend.jobs.store import Store
from model_backend.jobs.values import STEPS_PER_SECOND, answer, pause_of
from model_backend.settings import Settings


class Watch(Protocol):
    """Where a story reports to; ``step`` and ``say`` raise Cancelled when the job is not to go on."""

    def say(self, message: str) -> None:
        """Tell the owner what is being done."""

    def step(self, done: int, total: int) -> None:
        """Record evaluations done, of how many."""

    def preview(self, rgb: np.ndarray) -> None:
        """Offer (height, width, 3) uint8 as preview."""

    def picture(self, rgb: np.ndarray) -> None:
        """Make (height, width, 3) uint8 the preview."""


@dataclass(frozen=True)
class Bench:
    """What a story works with; files go into ``folder``, which is the attempt's own."""

    settings: Settings
    store: Store
    cache: ModelCache
    watch: Watch
    folder: Path


def values(claim: Claim, bench: Bench) -> list[Result]:
    """Answer a process that makes no scene, after the pause it was asked for."""
    inputs = processes.get(claim.process).parse(claim.inputs)
    steps = STEPS_PER_SECOND * pause_of(inputs)
    for step in range(steps):
        bench.watch.step(step, 1 + steps)
        time.sleep(1 / STEPS_PER_SECOND)
    return answer(inputs, bench.settings, bench.store)


STORIES: dict[str, Callable[[Claim, Bench], list[Result]]] = {
    "echo": values,
    "plan": values,
}
