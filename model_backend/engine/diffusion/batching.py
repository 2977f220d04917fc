"""How windows share UNet calls, and what that costs: counted here for a plan, and made so by `guidance`.

Knows numbers of evaluations; no prompts, no model, no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from model_backend.arrays import Int64Array
from model_backend.engine.diffusion.sampler import Lengths
from model_backend.engine.lattice import Count


class Needs(NamedTuple):
    """The evaluations that each of some windows needs at a guided step, and at a plain one."""

    guided: Int64Array
    plain: Int64Array


@dataclass(frozen=True)
class Batching:
    """How windows share UNet calls: in groups of ``windows``, whose evaluations are made so many a time.

    That is ``batch`` of each half of guidance. The last call of a group is padded: the calls of all guided
    steps have one size and those of all plain steps another, so that no bit of a window depends on which
    windows it shares calls with.
    """

    windows: int
    batch: int

    def samples(self, guided: bool) -> int:
        """Return the evaluations of a call."""
        return self.batch * (2 if guided else 1)

    def sizes(self, phases: Sequence[Lengths]) -> tuple[int, ...]:
        """Return the sizes of the calls in phases of so many steps."""
        kinds = zip((True, False), map(sum, zip(*phases, strict=True)), strict=True)
        return tuple(self.samples(guided) for guided, steps in kinds if steps)

    def count(self, phases: Iterable[tuple[Needs, Lengths]]) -> Count:
        """Count what windows, in lattice order, cost in phases of so many steps."""
        total = Count()
        for needs, lengths in phases:
            total += Count(windows=len(needs.plain))
            for guided, evaluations, steps in zip((True, False), needs, lengths, strict=True):
                calls = steps * self._calls(evaluations, guided)
                total += Count(
                    steps=steps * len(evaluations),
                    calls=calls,
                    evaluations=calls * self.samples(guided),
                    needed=steps * int(evaluations.sum()),
                )
        return total

    def _calls(self, evaluations: Int64Array, guided: bool) -> int:
        """Return the UNet calls of one step."""
        if not len(evaluations):
            return 0
        groups = np.add.reduceat(evaluations, np.arange(0, len(evaluations), self.windows))
        return int((-(-groups // self.samples(guided))).sum())
