"""What is measured in every round of a benchmark, and what it took: clocks, shares of the work, rates.

Figures are medians over the rounds. Knows clocks and meters; does not know how scenes are made.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from model_backend.benchmark.meter import Clock, Meter, timed
from model_backend.schemas import Sampler

Made = TypeVar("Made")


@dataclass(frozen=True)
class Settings:
    """What is measured: square scenes of these sides in pixels, and in how many rounds.

    Scenes are made with guidance throughout; if there is a ``cutoff``, a training timestep, also with none
    below it.
    """

    sizes: tuple[int, ...]
    sampler: Sampler
    steps: int
    guidance: float
    rounds: int
    cutoff: float = 0.0

    @property
    def cases(self) -> list[Case]:
        """The scenes to be made in every round."""
        cutoffs = sorted({0.0, self.cutoff})
        return [Case(size, cutoff) for size in self.sizes for cutoff in cutoffs]


@dataclass(frozen=True)
class Case:
    """One of our scenes: its side in pixels, and the training timestep below which guidance stops."""

    size: int
    cutoff: float


@dataclass
class Runs:
    """What one thing took in every round."""

    clocks: list[Clock] = field(default_factory=list)
    meters: list[Meter] = field(default_factory=list)
    writing: list[Clock] = field(default_factory=list)

    def add(self, device: torch.device, work: Callable[[Meter], Made]) -> Made:
        """Run work once, with a meter that it tells of its parts; return what it made."""
        meter, made = Meter(device), []
        self.clocks.append(timed(device, lambda: made.append(work(meter))))
        self.meters.append(meter)
        return made[0]

    @property
    def seconds(self) -> list[float]:
        """Wall seconds of every round."""
        return [clock.seconds for clock in self.clocks]

    def figures(self) -> dict[str, Any]:
        """Return seconds, and the shares of the work in them, ready for JSON."""
        shares = {part: self._share(part) for part in ("unet", "decode", "encode")}
        unet = self.meters[0].spent("unet")
        return {
            "seconds": statistics.median(self.seconds),
            "rounds": self.seconds,
            "cpu_seconds": statistics.median(clock.cpu_seconds for clock in self.clocks),
            "unet_calls": unet.calls,
            "evaluations": unet.samples,
            "shares": shares | {"other": 1 - sum(shares.values())},
        }

    def written(self) -> dict[str, Any]:
        """Return the seconds of writing and their share of those of making and writing, None if unwritten."""
        if not self.writing:
            return {"write_seconds": None, "write_share": None}
        pairs = [(write.seconds, made.seconds) for write, made in zip(self.writing, self.clocks, strict=True)]
        return {
            "write_seconds": statistics.median(write for write, _ in pairs),
            "write_share": statistics.median(write / (write + made) for write, made in pairs),
        }

    def unet_rate(self) -> float:
        """Return UNet evaluations per second of UNet time, median over the rounds."""
        spent = [meter.spent("unet") for meter in self.meters]
        return statistics.median(one.samples / one.seconds for one in spent)

    def _share(self, part: str) -> float:
        pairs = zip(self.meters, self.seconds, strict=True)
        return statistics.median(meter.spent(part).seconds / seconds for meter, seconds in pairs)
