"""How a place of a picture compares with other places of it: a ratio, a z and a band."""

from __future__ import annotations

from dataclasses import dataclass

Z_LIMIT = 3.0
BAND = (2.5, 97.5)
"""Percentiles between which 95 % of the ratios lie that places without a meaning have."""


@dataclass(frozen=True)
class Comparison:
    """A place against other places: ``ratio`` 1 and ``z`` 0 where it does not stand out.

    ``band`` holds 95 % of the ratios that places without a meaning have in the same picture; ``count`` says
    how many lines, or pairs of pixels, the place consists of.
    """

    ratio: float
    z: float
    band: tuple[float, float]
    count: int

    @property
    def passed(self) -> bool:
        """Whether |z| < 3 and the ratio lies within the band."""
        return abs(self.z) < Z_LIMIT and self.band[0] <= self.ratio <= self.band[1]


def ratio(value: float, reference: float) -> float:
    """Return value / reference; 0 / 0 is nothing out of the ordinary only in a difference, so: NaN."""
    return float(value / reference) if reference else (float("nan") if value == 0 else float("inf"))
