"""A picture on all lattices it may show: where their lines lie, and how they compare with other lines.

Knows cards and arrays; no files, so that it runs where rasters cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from model_backend.evaluation.metrics.comparison import Z_LIMIT, Comparison
from model_backend.evaluation.metrics.lines import AXES, Axis, Lines, seam_ratio, tone_step_ratio
from model_backend.evaluation.metrics.repetition import repetition_peak
from model_backend.models.card import EngineParameters

TONE_WIDTHS = (16, 64)  # pixels
STATISTICS = ("seam", *(f"tone_{width}" for width in TONE_WIDTHS))


@dataclass(frozen=True)
class LatticePosition:
    """Where a picture lies on the lattices: pixels (rows, columns) from a window's corner to its own.

    ``blocks`` is the side, in pixels, of the blocks that it was made in, from its own corner on, if they are
    to be looked at too.
    """

    engine: EngineParameters
    factor: int
    origin: tuple[int, int] = (0, 0)
    blocks: int | None = None

    def lines(self, size: tuple[int, int]) -> Iterator[tuple[str, str, Axis, Lines]]:
        """Yield lattice, part of its overlaps, axis and lines, of a picture of this size.

        A seam can show where a piece begins to fade in, where both count alike, and where the other one has
        faded out. A picture that is not larger than what is decoded whole has no decode tiles.
        """
        engine, f = self.engine, self.factor
        lattices = [("windows", engine.stride * f, (engine.window - engine.stride) * f)]
        if max(size) > max(engine.decode_window, engine.decode_whole) * f:
            lattices.append(("decode", engine.decode_core * f, engine.decode_fade * f))
        for name, period, ramp in lattices:
            for part, at in {"begin": 0, "middle": ramp // 2, "end": ramp}.items():
                for axis, origin in zip(AXES, self.origin, strict=True):
                    if part == "begin" or ramp:
                        yield name, part, axis, Lines(period, (at - origin) % period)
        if self.blocks:
            for axis in AXES:
                yield "blocks", "begin", axis, Lines(self.blocks)


def look(image: NDArray[Any], place: LatticePosition) -> dict[str, Any]:
    """Return the comparisons on all lattices of a picture (bands, rows, columns), ready for JSON."""
    lattices: list[dict[str, Any]] = []
    repetition: list[dict[str, Any]] = []
    for name, part, axis, lines in place.lines((image.shape[1], image.shape[2])):
        row = {"lattice": name, "part": part, "axis": axis, **asdict(lines)}
        found = {"seam": attempt(partial(seam_ratio, image, axis, lines, place.factor))}
        for width in TONE_WIDTHS:
            found[f"tone_{width}"] = attempt(
                partial(tone_step_ratio, image, axis, lines, width, place.factor)
            )
        lattices.append(row | found)
        if (name, part) == ("windows", "begin"):
            repetition.append(row | {"peak": attempt(partial(repetition_peak, image, axis, lines.period))})
    return {"lattices": lattices, "repetition": repetition, "summary": summary(lattices)}


def summary(lattices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Count what stands out on some of the lattices that ``look`` returns.

    Of places without a meaning, one in twenty lies outside of its band.
    """
    done = [row[statistic] for row in lattices for statistic in STATISTICS if "z" in row[statistic]]
    return {
        "comparisons": len(done),
        "beyond_z": sum(abs(one["z"]) >= Z_LIMIT for one in done),
        "outside_band": sum(not one["band"][0] <= one["ratio"] <= one["band"][1] for one in done),
        "largest_z": max((abs(one["z"]) for one in done), default=None),
    }


def attempt(compare: Callable[[], Comparison]) -> dict[str, Any]:
    """Return a comparison for JSON, or why this picture allows none."""
    try:
        found = compare()
    except ValueError as error:
        return {"skipped": str(error)}
    return asdict(found) | {"passed": found.passed}
