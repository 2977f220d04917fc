"""The loop of a training run, and what it says of itself now and then: progress, speed and losses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from model_backend.training.process_group import ProcessGroup
from model_backend.training.trainer import Budget


class Interval:
    """A chore to be done again whenever so many seconds are over."""

    def __init__(self, seconds: float, chore: Callable[[], None]) -> None:
        self._seconds, self._chore, self._since = seconds, chore, time.monotonic()

    def tick(self) -> None:
        """Do the chore if it is due."""
        if time.monotonic() - self._since > self._seconds:
            self._since = time.monotonic()
            self._chore()


class ProgressLog:
    """A line now and then: time, steps, samples per second, mean losses since the last line."""

    def __init__(self, log: Path, budget: Budget, samples: int, every: float) -> None:
        self._log, self._budget, self._samples, self._every = log, budget, samples, every
        self._begin()

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Count one step, with its losses; ``every`` so many seconds a line is printed and written."""
        self._steps += 1
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
        spent = time.monotonic() - self._since
        if spent < self._every:
            return
        means = "  ".join(f"{name} {total / self._steps:.4f}" for name, total in self._sums.items())
        line = (
            f"{time.strftime('%H:%M:%S')}  {100 * self._budget.progress():5.1f} %  "
            f"step {self._budget.step}  {self._steps * self._samples / spent:.0f}/s  {means}"
        )
        print(line, flush=True)
        with self._log.open("a") as out:
            out.write(line + "\n")
        self._begin()

    def _begin(self) -> None:
        self._sums: dict[str, float] = {}
        self._steps, self._since = 0, time.monotonic()


def train_until_spent(
    step: Callable[[], Mapping[str, Tensor]],
    budget: Budget,
    group: ProcessGroup,
    log: ProgressLog,
    *chores: Interval,
) -> None:
    """Take steps until the budget is spent; the group's first process logs them and does the chores."""
    while budget.progress() < 1:
        losses = step()
        if group.rank:
            continue
        log.add(losses)
        for chore in chores:
            chore.tick()
