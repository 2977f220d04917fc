"""Which pixel sizes a model makes, in ground metres: what may be offered, and what a wanted size becomes.

Twin of ``model_backend/raster/georeference/levels.py``: a model with levels was trained at 2^(17 - level)
metres and makes what lies within half a level of one of them. Pure; knows a model's card.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Json

ROUND = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)  # of a model without levels
USUAL = (0.5, 200.0)  # of a model that does not say
NEAR = 0.5 + 1e-6  # levels


@dataclass(frozen=True)
class PixelSizes:
    """The sizes of one model: ``levels`` it was trained at, and the range it may be asked for, in metres."""

    levels: tuple[int, ...]
    finest: float
    coarsest: float

    @classmethod
    def of(cls, card: Json) -> PixelSizes:
        """Read a model's card."""
        finest, coarsest = map(float, card.get("gsd") or USUAL)
        levels = tuple(card.get("levels") or ())
        if levels:
            finest = max(finest, 2.0 ** (16.5 - max(levels)))
            coarsest = min(coarsest, 2.0 ** (17.5 - min(levels)))
        return cls(levels, finest, coarsest)

    @property
    def offered(self) -> list[float]:
        """The sizes worth offering, finest first."""
        trained = [2.0 ** (17 - level) for level in sorted(self.levels, reverse=True)]
        return [size for size in trained or ROUND if self.finest <= size <= self.coarsest]

    @property
    def words(self) -> str:
        """What the model makes, with the holes in its range."""
        levels = sorted(self.levels)
        if len(levels) > 1 and levels[-1] - levels[0] >= len(levels):
            sizes = [f"{size:g}" for size in self.offered]
            return tr("{sizes} and {last} m, each up to 1.4 times finer or coarser").format(
                sizes=", ".join(sizes[:-1]), last=sizes[-1]
            )
        return tr("{finest:.3g} to {coarsest:.3g} m").format(finest=self.finest, coarsest=self.coarsest)

    def nearest(self, size: float) -> float:
        """Return the size itself where the model makes it, else the nearest that it makes."""
        within = min(max(size, self.finest), self.coarsest)
        if not self.levels:
            return within
        level = min(self.levels, key=lambda one: abs(17 - log2(within) - one))
        return within if abs(17 - log2(within) - level) <= NEAR else 2.0 ** (17 - level)
