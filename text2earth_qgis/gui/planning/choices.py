"""Pixel sizes to choose from by the time that they take, and how long other extents take at the same pace.

Reckons with plans of the backend that are there already; asks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence

from text2earth_qgis.core.wire.schemas import Plan

BUDGET = 120.0  # seconds that an automatic GSD may take
WORTH = 20  # times the budget: what takes longer is not offered either
QUICKER = 8  # times less than what an automatic GSD takes, for a first look
SECONDS = 0.1  # of a window, where a model's speed is not known yet
BY_EXAMPLE_SECONDS = 0.03  # of a unit of work of land by example, on a computer that made none yet

Choice = tuple[float, Plan]  # ground metres per pixel


def takes(plan: Plan) -> float:
    """Return the seconds that a plan takes, a guess where the model's speed is not known."""
    if plan.seconds is not None:
        return plan.seconds
    return plan.windows * SECONDS or plan.evaluations * BY_EXAMPLE_SECONDS


def best(found: Sequence[Choice]) -> int:
    """Return which of some sizes, coarsest first, an automatic GSD takes: the finest within the budget."""
    return max(0, sum(takes(plan) <= BUDGET for _, plan in found) - 1)


def three(found: Sequence[Choice]) -> list[Choice]:
    """Return up to three of some sizes, coarsest first: a quick one, the automatic one, a finer one."""
    place = best(found)
    quick = [one for one in range(place) if takes(found[one][1]) * QUICKER <= takes(found[place][1])]
    wanted = [place, place + 1, *quick[-1:], place - 1, place - 2, place + 2]
    there = [one for one in dict.fromkeys(wanted) if 0 <= one < len(found)]
    return [found[one] for one in sorted(there[:3])]


@dataclass(frozen=True)
class Pace:
    """How long scenes of so many pixels take, of those that were planned: (pixels, seconds), rising."""

    points: tuple[tuple[int, float], ...] = ()

    def with_plan(self, plan: Plan) -> Pace:
        """Return the same with what another plan says."""
        if plan.seconds is None:
            return self
        pixels = plan.width * plan.height
        others = [point for point in self.points if point[0] != pixels]
        return Pace(tuple(sorted([*others, (pixels, plan.seconds)])))

    def seconds(self, pixels: float) -> Optional[float]:
        """Return about how long so many pixels take, None as long as nothing was planned."""
        if not self.points:
            return None
        below = [point for point in self.points if point[0] <= pixels]
        above = [point for point in self.points if point[0] > pixels]
        if below and above:
            (few, less), (many, more) = below[-1], above[0]
            return less + (more - less) * (pixels - few) / (many - few)
        near, time = below[-1] if below else above[0]
        return time * pixels / near

    def finest(self, sizes: Sequence[float], area: float) -> Optional[float]:
        """Return the pixel size that an automatic GSD takes for ``area`` square metres, coarsest if none."""
        if not self.points or not sizes:
            return None
        within = [size for size in sizes if (self.seconds(area / size**2) or 0.0) <= BUDGET]
        return min(within, default=max(sizes))
