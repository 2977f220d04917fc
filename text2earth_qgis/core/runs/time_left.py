"""How long a run still takes, made steady: a person reads it, so it counts down and does not jump.

A backend measures anew with every step, and who waits also hears of jobs before theirs. What is shown comes
down as time passes, follows good news within seconds, stands still while an estimate is a little later, and
goes up only once the backend has said for a while that it takes much longer. Knows no clock and no words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Optional

SOON = 5.0  # seconds in which most of a better estimate is believed
MUCH = 1.3  # times what is shown: such an estimate is no mere wavering
PATIENCE = 6.0  # seconds that it has to be said for


@dataclass(frozen=True)
class TimeLeft:
    """What is shown: ``seconds`` to go at the time ``at``; ``later_since`` that time much more is said."""

    seconds: float
    at: float
    later_since: Optional[float] = None


def steadied(shown: Optional[TimeLeft], now: float, said: Optional[float]) -> Optional[TimeLeft]:
    """Return what to show at ``now`` (seconds of any clock), when the backend said so many seconds.

    ``said`` is None where it does not know: what is shown goes on counting down.
    """
    if shown is None:
        return None if said is None else TimeLeft(said, now)
    passed = now - shown.at
    expected = max(0.0, shown.seconds - passed)
    if said is None:
        return replace(shown, seconds=expected, at=now)
    if said <= expected:
        return TimeLeft(said + (expected - said) * math.exp(-passed / SOON), now)
    if said <= max(MUCH * shown.seconds, shown.seconds + SOON):
        return TimeLeft(min(said, shown.seconds), now)
    since = now if shown.later_since is None else shown.later_since
    if now - since >= PATIENCE:
        return TimeLeft(said, now)
    return replace(shown, at=now, later_since=since)
