"""Streets in aerial images with near infrared: long areas of grey, even, bare ground, wider than a car.

What lies under trees is not found, and roofs are told from streets by their length alone. Whole numbers only.
"""

from __future__ import annotations

import numpy as np

from model_backend.arrays import BoolArray, Int64Array, UInt8Array

_DARK, _BRIGHT = 48, 180
_COLOURFUL = 28  # difference between bands
_GREEN = 25  # one part in so many of the sum of red and infrared is their difference: plants begin
_UNEVEN = 14  # deviation within 5 x 5 pixels
_HALF_WIDTH = 3
_BROAD = 10
_LONG = 62


def streets(rgb: UInt8Array, nir: UInt8Array) -> tuple[BoolArray, BoolArray]:
    """Return where streets are, and where what looks like one is wider than a street: car parks, avenues.

    Both are (height, width).
    """
    bands, infrared = rgb.astype(np.int64), nir.astype(np.int64)
    light, red = bands.sum(-1) // 3, bands[..., 0]
    sums, squares = around(light, 2), around(light * light, 2)
    ground = (light > _DARK) & (light < _BRIGHT)
    ground &= bands.max(-1) - bands.min(-1) < _COLOURFUL
    ground &= _GREEN * (infrared - red) < infrared + red
    ground &= 25 * squares - sums * sums < (25 * _UNEVEN) ** 2
    ground = around(ground.astype(np.int64), 1) >= 6
    wide = around(ground.astype(np.int64), _HALF_WIDTH) == (2 * _HALF_WIDTH + 1) ** 2
    paved = _long(around(wide.astype(np.int64), _HALF_WIDTH) > 0)
    broad = around(paved.astype(np.int64), _BROAD) == (2 * _BROAD + 1) ** 2
    broad = paved & (around(broad.astype(np.int64), _BROAD) > 0)
    return paved & ~broad, broad


def around(values: Int64Array, radius: int) -> Int64Array:
    """Sum the square around every pixel."""
    side = 2 * radius + 1
    total = np.pad(np.pad(values, radius, "edge"), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    found: Int64Array = (
        total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    )
    return found


def _long(mask: BoolArray) -> BoolArray:
    """Keep the connected areas of a mask that are long in one direction at least."""
    names = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        rim = np.pad(names, 1)
        cross = (rim[1:-1, 1:-1], rim[:-2, 1:-1], rim[2:, 1:-1], rim[1:-1, :-2], rim[1:-1, 2:])
        spread = np.where(mask, np.maximum.reduce(cross), 0)
        if np.array_equal(spread, names):
            break
        names = spread
    kept = np.zeros_like(mask)
    for name in np.unique(names[mask]):
        rows, cols = np.nonzero(names == name)
        if max(np.ptp(rows), np.ptp(cols)) >= _LONG:
            kept[rows, cols] = True
    return kept
