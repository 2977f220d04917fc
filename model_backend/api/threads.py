"""Threads for work that takes long, so that quick answers always find one of those that all share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

T = TypeVar("T")


@dataclass(frozen=True)
class Threads:
    """How many requests do something long at a time; the others wait without a thread."""

    _checks: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    _executions: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(8))

    async def check(self, act: Callable[..., T], *arguments: object) -> T:
        """Look at an upload."""
        return await to_thread.run_sync(partial(act, *arguments), limiter=self._checks)

    async def execute(self, act: Callable[..., T], *arguments: object) -> T:
        """Look at the inputs of a process, plan it, queue it."""
        return await to_thread.run_sync(partial(act, *arguments), limiter=self._executions)
