"""Images at another pixel size, in whole numbers: every machine gets the same bytes.

Coarser: the mean over exactly the area of a new pixel, and the label of most of it. Finer: straight lines
between pixel centres, and the nearest label. Positions count in 65536ths of an old pixel.
"""

from __future__ import annotations

import numpy as np

from model_backend.arrays import Int64Array, UInt8Array

ONE = 65536  # an old pixel


def step_of(ratio: float) -> int:
    """Return the width of a new pixel that is ``ratio`` old ones wide, rounded down: what would fit does."""
    return max(1, int(ratio * ONE))


def averages(image: UInt8Array, step: int) -> UInt8Array:
    """Return an image (height, width, bands) with pixels ``step`` wide."""
    if step == ONE:
        return image
    along = _sums if step > ONE else _between
    total = along(along(image.astype(np.int64), step).swapaxes(0, 1), step).swapaxes(0, 1)
    area = (step if step > ONE else ONE) ** 2
    return np.ascontiguousarray((total + area // 2) // area).astype(np.uint8)


def majority(labels: UInt8Array, step: int) -> UInt8Array:
    """Return labels (height, width) with pixels ``step`` wide; the lower of two labels of the same area."""
    if step == ONE:
        return labels
    if step < ONE:
        rows, cols = (middles(np.arange(_count(side, step)), step) for side in labels.shape)
        nearest: UInt8Array = labels[rows[:, None], cols]
        return nearest
    names = np.unique(labels)
    if len(names) == 1:
        return np.full([_count(side, step) for side in labels.shape], names[0], np.uint8)
    shares = (labels[..., None] == names).astype(np.int64)
    areas = _sums(_sums(shares, step).swapaxes(0, 1), step).swapaxes(0, 1)
    most: UInt8Array = names[areas.argmax(-1)]
    return most


def middles(pixels: Int64Array, step: int) -> Int64Array:
    """Return the old pixel in which the middle of every new one, given by its number, lies."""
    found: Int64Array = (2 * pixels + 1) * step // 2 // ONE
    return found


def _count(side: int, step: int) -> int:
    """How many whole new pixels fit."""
    return max(1, side * ONE // step)


def _sums(values: Int64Array, step: int) -> Int64Array:
    """Sum the first axis over the extent of every new pixel; what is cut counts by what is inside."""
    edges = np.arange(_count(len(values), step) + 1) * step
    edges = edges.clip(0, len(values) * ONE)
    padded = np.concatenate([values, np.zeros_like(values[:1])])
    before = np.concatenate([np.zeros_like(values[:1]), values.cumsum(0)])
    whole, rest = edges // ONE, edges % ONE
    until = before[whole] * ONE + padded[whole] * rest.reshape(-1, *[1] * (values.ndim - 1))
    sums: Int64Array = np.diff(until, axis=0)
    return sums


def _between(values: Int64Array, step: int) -> Int64Array:
    """Read the first axis at the centre of every new pixel, on a straight line between two old centres."""
    places = ((2 * np.arange(_count(len(values), step)) + 1) * step - ONE) // 2
    places = places.clip(0, (len(values) - 1) * ONE)
    whole, rest = places // ONE, (places % ONE).reshape(-1, *[1] * (values.ndim - 1))
    following = (whole + 1).clip(0, len(values) - 1)
    read: Int64Array = values[whole] * (ONE - rest) + values[following] * rest
    return read
