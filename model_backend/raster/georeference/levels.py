"""The pixel sizes that a model can make, in ground metres: the one place that knows the rule.

A model with levels was trained at 2^(17 - level) metres and makes what lies within half a level of one of
them; another model makes what its card's range names. Knows a card's numbers; no CRS, no raster.
"""

from __future__ import annotations

from math import log2

from model_backend.errors import InvalidInput
from model_backend.models.card import ModelCard

_NEAR = 0.5 + 1e-6  # levels


def level_of(gsd: float, card: ModelCard) -> int | None:
    """Return the level nearest to ``gsd``, None if the model has none."""
    if card.levels is None:
        return None
    return min(card.levels, key=lambda level: abs(17 - log2(gsd) - level))


def gsd_range(card: ModelCard) -> tuple[float, float]:
    """Return the finest and the coarsest pixels that a model may be asked for; some between may not fit."""
    if card.levels is None:
        return card.gsd
    finest, coarsest = 2.0 ** (16.5 - max(card.levels)), 2.0 ** (17.5 - min(card.levels))
    return max(finest, card.gsd[0]), min(coarsest, card.gsd[1])


def fits(gsd: float, card: ModelCard) -> bool:
    """Say whether the model may be asked for pixels of ``gsd``."""
    finest, coarsest = gsd_range(card)
    if not finest * (1 - 1e-9) <= gsd <= coarsest * (1 + 1e-9):
        return False
    level = level_of(gsd, card)
    return level is None or abs(17 - log2(gsd) - level) <= _NEAR


def nearest(gsd: float, card: ModelCard) -> float:
    """Return the pixel size nearest to ``gsd`` that the model can make."""
    if fits(gsd, card):
        return gsd
    finest, coarsest = gsd_range(card)
    level = level_of(gsd, card)
    return min(max(gsd if level is None else 2.0 ** (17 - level), finest), coarsest)


def rule(card: ModelCard) -> str:
    """Return a sentence part that names the pixel sizes that the model can make."""
    finest, coarsest = gsd_range(card)
    levels = sorted(card.levels or (), reverse=True)
    if len(levels) > 1 and levels[0] - levels[-1] >= len(levels):
        trained = ", ".join(f"{2.0 ** (17 - level):g}" for level in levels)
        return f"{trained} metres per pixel on the ground, each up to 1.4 times finer or coarser"
    return f"{finest:.4g} to {coarsest:.4g} metres per pixel on the ground"


def checked(gsd: float, card: ModelCard, field: str) -> float:
    """Return ``gsd`` if the model may be asked for it. Raises InvalidInput for ``field``."""
    if fits(gsd, card):
        return gsd
    allowed = rule(card)
    raise InvalidInput(
        field, f"{card.title} makes imagery of {allowed}, not of {gsd:.4g}.", value=gsd, allowed=allowed
    )
