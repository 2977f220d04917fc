"""Areas of the user's own rasters as example images: land "like here"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_backend.arrays import BoolArray, UInt8Array
from model_backend.engine.by_example.choice import Sourced
from model_backend.engine.by_example.credits import OWN, Origin
from model_backend.engine.synthesis.atlas import Exemplar
from model_backend.engine.synthesis.fill import depth
from model_backend.engine.synthesis.parameters import SAMPLE_MARGIN
from model_backend.engine.synthesis.pyramid import UNUSABLE, grown
from model_backend.models.banks import resampling

_FAR = 24  # steps from the outline that are told apart
_STEP = 5  # of the guide per pixel
_SAME = 0.02  # pixel sizes that differ by less are one


@dataclass(frozen=True)
class SampleImage:
    """A sample: RGB bytes (height, width, 3), the pixels that are meant, those that have values, its kind.

    It begins at ``row`` and ``col`` of the user's raster, and is called ``name``.
    """

    rgb: UInt8Array
    area: BoolArray
    known: BoolArray
    kind: str
    gsd: float
    name: str = "sample"
    row: int = 0
    col: int = 0

    def sourced(self, gsd: float, label: int, guided: bool = False) -> Sourced:
        """Return it with pixels of ``gsd`` metres; those of its own size are taken as they are.

        Guided, the land around the area comes with it, and a band that tells how far the outline is.
        """
        rgb, area, known = self.rgb, self.area, self.known
        ratio, step = gsd / self.gsd, resampling.ONE
        if abs(ratio - 1) > _SAME:
            step = resampling.step_of(ratio)
            rgb = resampling.averages(rgb, step)
            area = resampling.majority(area.astype(np.uint8), step) > 0
            known = resampling.majority(known.astype(np.uint8), step) > 0
        used = grown(area, SAMPLE_MARGIN) & known if guided else area & known
        labels = np.where(used, label, UNUSABLE).astype(np.uint8)
        origin = Origin(self.name, *OWN, step, self.row, self.col)
        return Sourced(Exemplar(rgb, labels, guide(area) if guided else None), origin)


def guide(area: BoolArray, inset: int = 0) -> UInt8Array:
    """Return how far the outline of an area is, inside up and outside down, as bytes (height, width).

    ``inset`` moves the outline so many pixels inwards.
    """
    inside = depth(area, _FAR).astype(np.int64) * area
    outside = depth(~area, _FAR).astype(np.int64) * ~area
    moved = 128 + _STEP * (inside - outside - inset)
    return moved.clip(0, 255).astype(np.uint8)
