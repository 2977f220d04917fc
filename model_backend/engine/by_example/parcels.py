"""Fields seen from near: farmland lies in parcels with straight borders, each of which one image shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from model_backend.arrays import UInt8Array
from model_backend.engine.composition.drawing import Scale
from model_backend.engine.composition.outlines.network import block_at
from model_backend.engine.composition.streets import Network
from model_backend.engine.synthesis.atlas import MOST_LABELS
from model_backend.engine.synthesis.hashing import below
from model_backend.engine.synthesis.labels import LabelMap
from model_backend.schemas import Box

_MOST = 11  # images of fields
_LARGER = 2  # than blocks of houses, in length and depth


def most(kinds: int) -> int:
    """Return how many images of fields can have labels of their own, beside so many kinds of land."""
    return max(0, min(_MOST, MOST_LABELS - kinds - 1))


@dataclass(frozen=True)
class Parcels:
    """A label map whose farmland is divided: ``label`` becomes one of ``images`` labels from ``first`` on."""

    lower: LabelMap
    label: int
    first: int
    images: int
    network: Network

    @classmethod
    def over(cls, lower: LabelMap, label: int, labels: tuple[int, int], scale: Scale) -> Parcels:
        """Divide what has a label; ``labels`` are the first of the new ones and how many there are."""
        network = Network(_LARGER * scale.metre, scale.base, scale.draw(1 << 30, 97))
        return cls(lower, label, *labels, network)

    def labels(self, box: Box, level: int) -> UInt8Array:
        """Return the labels of a box, parcels told apart."""
        out = self.lower.labels(box, level).copy()
        if (out == self.label).any():
            middle = (1 << level) >> 1
            rows = (np.arange(box.row, box.row + box.height, dtype=np.int64) << level) + middle
            cols = (np.arange(box.col, box.col + box.width, dtype=np.int64) << level) + middle
            _divide(out, rows, cols, self.label, self.first, self.images, self.network.near(rows, cols))
        return out


@njit(cache=True)
def _divide(labels, rows, cols, label, first, images, near):  # type: ignore[no-untyped-def]
    """Give every pixel of a label that of its parcel."""
    for j in range(len(rows)):
        for i in range(len(cols)):
            if labels[j, i] == label:
                _, _, block, _, _ = block_at(rows[j] * 256 + 128, cols[i] * 256 + 128, *near)
                labels[j, i] = first + below(block, images)
