"""How stock pipelines make scenes, window by window, and what a whole scene would take them.

Knows how windows are called for and counted; the pipelines themselves are in ``stock``.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from model_backend.arrays import UInt8Array
from model_backend.benchmark.meter import Meter
from model_backend.benchmark.rounds import Case, Runs, Settings
from model_backend.benchmark.stock import StockPipeline
from model_backend.schemas import Sampler

_OFFICIAL: tuple[Sampler, int] = ("euler", 50)  # what Text2Earth's authors use


@dataclass(frozen=True)
class StockPipelines:
    """The stock pipelines of a model: to make windows side by side, and to outpaint, if it can."""

    side_by_side: StockPipeline
    outpainting: StockPipeline | None


@dataclass
class StockMethod:
    """A stock way to make scenes: how it is called, and the next window of it."""

    name: str
    stock: StockPipeline
    sampler: Sampler
    steps: int
    outpainting: bool = False
    runs: Runs = field(default_factory=Runs)
    _scene: Iterator[UInt8Array] = field(default_factory=lambda: iter(()))

    def window(self, meter: Meter) -> None:
        """Make one window; outpainting goes on where it was, or begins a scene of three by three."""
        with meter.watching(self.stock.networks()):
            if not self.outpainting:
                self.stock.window(self.sampler, self.steps)
            elif next(self._scene, None) is None:
                self._scene = self.stock.outpaint(self.sampler, self.steps, 2 * self.stock.side)
                next(self._scene)

    def figures(self, scenes: dict[Case, Runs], rate: float) -> dict[str, Any]:
        """Return the figures of a window, and of whole scenes beside ours."""
        window = self.runs.figures()
        beside = []
        for case, ours in scenes.items():
            size, needed = case.size, self.stock.windows_needed(case.size, self.outpainting)
            rounds = list(zip(self.runs.clocks, ours.clocks, strict=True))
            by_wall = [needed * theirs.seconds / mine.seconds for theirs, mine in rounds]
            by_cpu = [needed * theirs.cpu_seconds / mine.cpu_seconds for theirs, mine in rounds]
            beside.append(
                {
                    "size": size,
                    "our_guidance_cutoff": case.cutoff,
                    "windows": needed,
                    "unet_calls": needed * window["unet_calls"],
                    "evaluations": needed * window["evaluations"],
                    "seconds": needed * window["seconds"],
                    "mpx_per_second": size * size / 1e6 / (needed * window["seconds"]),
                    "ours_is_faster": statistics.median(by_wall),
                    "by_cpu_time": statistics.median(by_cpu),
                }
            )
        return {
            "name": self.name,
            "sampler": self.sampler,
            "steps": self.steps,
            "window": window | {"unet_tflops": rate * self.runs.unet_rate()},
            "scenes": beside,
        }


def stock_methods(settings: Settings, pipelines: StockPipelines) -> list[StockMethod]:
    """Return the ways to be measured beside ours: with our sampler and steps, and as the authors run it."""
    ours = (settings.sampler, settings.steps)
    ways = [StockMethod("(a) side by side, same steps", pipelines.side_by_side, *ours)]
    if ours != _OFFICIAL:
        ways.append(StockMethod("(a) side by side, official steps", pipelines.side_by_side, *_OFFICIAL))
    if pipelines.outpainting:
        ways.append(
            StockMethod("(b) sequential outpainting", pipelines.outpainting, *_OFFICIAL, outpainting=True)
        )
    return ways
