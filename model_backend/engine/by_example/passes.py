"""Counting passes over land by example, for whoever shows how far it is."""

from __future__ import annotations

from model_backend.engine.progress import ProgressListener
from model_backend.engine.synthesis.parameters import Parameters

_RINGS = 16  # of the coarsest level's peel, about: nobody knows before


class Passes:
    """Tells a listener how much of some work is done; parts of it count as much as they are said to."""

    def __init__(self, listener: ProgressListener, total: float) -> None:
        self._listener, self._total, self._done = listener, max(1, round(total)), 0.0

    def over(self, part: float = 1) -> None:
        """Tell that a part of the work is done; the last of it only ``end`` tells."""
        self._done += part
        self._listener.step(min(int(self._done), self._total - 1), self._total)

    def end(self) -> None:
        """Tell that all is done."""
        self._listener.step(self._total, self._total)


def fill_passes(parameters: Parameters) -> int:
    """Return about how many passes filling a hole takes."""
    levels = (parameters.at(level) for level in range(parameters.levels))
    return _RINGS + sum(one.rounds * len(one.steps) for one in levels)
