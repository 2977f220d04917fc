"""Whether filled land has the vegetation index of real land: bands are copied together, so their ratios stay.

Measured on aerial images with their near infrared, and on rasters of ten 16-bit bands mixed from those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import BoolArray, Float64Array
from model_backend.engine.synthesis.pyramid import grown
from model_backend.evaluation.by_example.fills import Fill
from model_backend.evaluation.by_example.held_out import Photograph

Figures = dict[str, Any]

RED, INFRARED = 0, 3  # bands of both kinds of rasters
_AROUND = 64  # pixels around a mask that are its surroundings


def four_bands(photograph: Photograph) -> NDArray[np.uint8]:
    """Return red, green, blue and near infrared, (4, height, width)."""
    assert photograph.nir is not None
    return np.concatenate([photograph.pixels.transpose(2, 0, 1), photograph.nir[None]])


def ten_bands(photograph: Photograph) -> NDArray[np.uint16]:
    """Return ten bands of reflectances in 10,000ths: those four, and six mixed from them."""
    four = 30.0 * four_bands(photograph).astype(np.float64) + 200
    shares = np.array([[i, 5 - i, 2, 1 + i] for i in range(6)], np.float64)
    mixed = np.tensordot(shares / shares.sum(1, keepdims=True), four, 1)
    made: NDArray[np.uint16] = np.rint(np.concatenate([four, mixed])).astype(np.uint16)
    return made


def measure(fills: Sequence[Fill]) -> Figures:
    """Compare the index of filled land with the 5 to 95 % of its surroundings."""
    middles, shares, unedited = [], [], []
    for one in fills:
        after, before = index(one.filled), index(one.land)
        low, high = np.percentile(before[_ring(one.mask)], (5, 95))
        middles.append(low <= float(np.median(after[one.mask])) <= high)
        shares.append(_within(after[one.mask], low, high))
        unedited.append(_within(before[one.mask], low, high))
    return {
        "masks": len(fills),
        "bands": len(fills[0].land),
        "type": str(fills[0].land.dtype),
        "masks whose middle lies within": int(np.sum(middles)),
        "pixels within %": 100 * float(np.mean(shares)),
        "pixels of the land unedited within %": 100 * float(np.mean(unedited)),
    }


def index(land: NDArray[Any]) -> Float64Array:
    """Return the normalised difference of near infrared and red."""
    red, infrared = land[RED].astype(np.float64), land[INFRARED].astype(np.float64)
    found: Float64Array = (infrared - red) / np.maximum(infrared + red, 1)
    return found


def _ring(mask: BoolArray) -> BoolArray:
    return grown(mask, _AROUND) & ~mask


def _within(values: Float64Array, low: float, high: float) -> float:
    return float(((values >= low) & (values <= high)).mean())
