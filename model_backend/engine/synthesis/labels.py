"""Which kinds of land may be used where: a pixel's own label, and near an outline its neighbour's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model_backend.arrays import BoolArray, UInt8Array
from model_backend.engine.synthesis.parameters import RADIUS, SELECT
from model_backend.engine.synthesis.pyramid import grown
from model_backend.schemas import Box

MIXED = 128  # flag of a patch of soft land that reaches into other land


class LabelMap(Protocol):
    """What is to be seen where, for any box of the plane."""

    def labels(self, box: Box, level: int) -> UInt8Array:
        """Return the label of every pixel of a box of a level, (height, width)."""


@dataclass(frozen=True)
class Everywhere:
    """One label for the whole plane."""

    label: int = 0

    def labels(self, box: Box, level: int) -> UInt8Array:
        """Return the label for every pixel."""
        return np.full((box.height, box.width), self.label, np.uint8)


@njit(inline="always", cache=True)
def usable(valid, bits):  # type: ignore[no-untyped-def]
    """Say whether a patch may be used where the labels in ``bits`` may; ``valid`` is as in the atlas."""
    label = valid & 127
    if label == 0 or (bits >> np.uint32(label - 1)) & np.uint32(1) == 0:
        return False
    return valid < MIXED or bits >> np.uint32(31) == 1


def permitted(own: UInt8Array, corridor: int) -> tuple[NDArray[np.uint32], BoolArray]:
    """Return the labels that may be used at every pixel, as bits, and where land is thin.

    Allowed are the own label and those nearer than ``corridor``; where a label's land is so thin (a river, a
    road) that its neighbours would come through, its own alone. The highest bit allows patches that reach
    into other land: near an outline.
    """
    kinds = np.unique(own)
    bits = np.zeros(own.shape, np.uint32)
    thin = np.zeros(own.shape, np.bool_)
    if len(kinds) == 1:
        bits[:] = np.uint32(1) << np.uint32(kinds[0])
        return bits, thin
    half = RADIUS + corridor + SELECT  # what eats a strip away from either side
    for kind in kinds:
        here = own == kind
        bits[grown(here, corridor)] |= np.uint32(1) << np.uint32(kind)
        bits[grown(here, corridor + RADIUS) & ~here] |= np.uint32(1 << 31)
        thin |= here & ~grown(~grown(~here, half), half)
    bits[thin] = (np.uint32(1) << own[thin].astype(np.uint32)) | np.uint32(1 << 31)
    return bits, thin
