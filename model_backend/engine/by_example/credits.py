"""Where pixels by example come from: counted by source, so that files can say it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_backend.arrays import Int32Array
from model_backend.engine.makers import Credit, merged
from model_backend.engine.synthesis.atlas import Atlas

OWN = ("the user's raster", "that of the raster")


@dataclass(frozen=True)
class CreditedAtlas:
    """An atlas, and for each image in it where it is from: source and licence."""

    atlas: Atlas
    origins: tuple[tuple[str, str], ...]

    def credits(self, sources: Int32Array) -> tuple[Credit, ...]:
        """Count pixels, given as places in the atlas (..., 2), by where they are from; the most first."""
        tops = self.atlas.levels[0].chips[:, 0]
        images = np.searchsorted(tops, sources[..., 0].ravel(), side="right") - 1
        counts = np.bincount(images, minlength=len(self.origins))
        return merged(
            Credit(*origin, int(count)) for origin, count in zip(self.origins, counts, strict=True) if count
        )
