"""Borders of masks: how a picture steps across an outline, against other outlines of the same shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import BoolArray, Float64Array
from model_backend.evaluation.metrics.comparison import BAND, Comparison, ratio

_OUTLINES = 400  # random outlines that a border is compared with


def border_ratio(image: NDArray[Any], mask: BoolArray) -> Comparison:
    """Return the border gradient ratio: mean squared difference across a mask's outline / random outlines.

    ``mask`` is (rows, columns). Random outlines are the same one moved by whole pixels, round the edges of
    the picture, and turned by half turns, always the same way. Where the masked part was generated, 1 means
    that its border cannot be told from other places. Raises ValueError if the mask has no outline.
    """
    values = image.astype(np.float64)
    sums, counts = np.zeros(_OUTLINES + 1), np.zeros(_OUTLINES + 1)
    for axis in (0, 1):
        energy = np.square(np.diff(values, axis=axis + 1)).mean(0)
        along = np.argwhere(np.diff(mask, axis=axis))
        for i, (step, turn) in enumerate(_moves(mask.shape)):
            place = (turn * along + step) % mask.shape
            place = place[place[:, axis] < energy.shape[axis]]
            sums[i] += energy[place[:, 0], place[:, 1]].sum()
            counts[i] += len(place)
    if not counts[0]:
        raise ValueError("the mask has no outline inside the picture")
    means = sums / np.maximum(counts, 1)
    others = means[1:][counts[1:] > 0]
    typical = float(others.mean())
    low, high = np.percentile(others, BAND)
    z = ratio(float(means[0]) - typical, float(others.std()))
    found, low, high = (ratio(float(value), typical) for value in (means[0], low, high))
    return Comparison(found, z, (low, high), int(counts[0]))


def colour_step(image: NDArray[Any], mask: BoolArray) -> Float64Array:
    """Return the step in mean colour from the pixels just outside of a mask to those just inside, per band.

    In the unit of the picture. What the land itself steps by there counts too: compare with the picture
    before an edit. Raises ValueError if the mask has no outline inside the picture.
    """
    rings = [np.zeros_like(mask), np.zeros_like(mask)]
    for ring, part in zip(rings, (mask, ~mask), strict=True):
        ring[1:] |= part[1:] & ~part[:-1]
        ring[:-1] |= part[:-1] & ~part[1:]
        ring[:, 1:] |= part[:, 1:] & ~part[:, :-1]
        ring[:, :-1] |= part[:, :-1] & ~part[:, 1:]
    if not rings[0].any():
        raise ValueError("the mask has no outline inside the picture")
    inside, outside = (image[:, ring].astype(np.float64).mean(1) for ring in rings)
    return np.asarray(inside - outside)


def _moves(shape: tuple[int, ...]) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Yield how to move an outline: not at all first, then at random; with +1 or -1 to turn it."""
    random = np.random.default_rng(0)
    yield np.zeros(2, np.intp), 1
    for _ in range(_OUTLINES):
        step = [random.integers(length) for length in shape]
        yield np.array(step, np.intp), int(random.choice([-1, 1]))
