"""Variants: a request made several times, each as a run with a seed of its own, and which of them are kept.

The rule for seeds: the first variant has the seed that was asked for, else a random one; the others have
those that follow it. Knows no widget and no layer.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Iterable, Optional

from text2earth_qgis.core.errors import Cancelled
from text2earth_qgis.core.imagery.edit_preparation import Prepare, SentRequest
from text2earth_qgis.core.imagery.edit_request import EditRequest
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.wire.access import Access

MOST = 8
KEPT, DISCARDED = "kept", "discarded"  # what the user can decide of one
SEED_RANGE = 2**31  # of random seeds
LOOK_S = 0.2  # between two looks whether somebody who waits still does

Send = Callable[[Access, EditRequest, Listener], SentRequest]


def seeds(asked: Optional[int], count: int) -> list[Optional[int]]:
    """Return the seeds of variants; None: of one that is alone the backend draws it."""
    if count == 1:
        return [asked]
    first = random.randrange(SEED_RANGE) if asked is None else asked  # nosec B311 - no secret
    return [first + number for number in range(count)]


def sets(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Return the runs that are variants by the set that they are of, each set in the order of its seeds."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        if run.variant_of:
            found.setdefault(run.variant_of, []).append(run)
    return {key: sorted(runs, key=seed_of) for key, runs in found.items()}


def seed_of(run: Run) -> int:
    """Return the seed that a variant was asked for with."""
    return int(run.inputs["seed"])


def waits(run: Run) -> bool:
    """Whether a variant is to be decided on: it is there or on its way."""
    return bool(run.variant_of) and not run.choice and run.state != "dismissed"


@dataclass
class SentOnce:
    """Sends the files that variants share: the first one to come does, the others wait for it."""

    send: Prepare
    _made: Optional[SentRequest] = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, listener: Listener) -> SentRequest:
        """Return what was sent for the first of them."""
        while not self._turn.acquire(timeout=LOOK_S):
            if listener.stop():
                raise Cancelled("Cancelled.")
        try:
            if self._made is None:
                self._made = self.send(listener)
        finally:
            self._turn.release()
        return self._made


def of_seed(once: SentOnce, seed: Optional[int], part: Optional[Path] = None) -> Prepare:
    """Return what sends a variant: it has a seed of its own, and the part of an edit goes to its own file."""

    def send(listener: Listener) -> SentRequest:
        made = once(listener)
        inputs = made.inputs if seed is None else replace(made.inputs, seed=seed)
        assembly = made.assembly and replace(made.assembly, part=part or made.assembly.part)
        return replace(made, inputs=inputs, assembly=assembly)

    return send
