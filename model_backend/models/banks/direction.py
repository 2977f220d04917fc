"""Which way a town runs: most of its streets and walls lie in one direction or across it.

Whole numbers up to the last step, so that an image has one direction on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from model_backend.arrays import UInt8Array

ENOUGH = 4  # images to choose from
_ALIKE = 8  # degrees within which directions go together
_WEAKEST = 10  # percent of the edges that have to agree


def direction(rgb: UInt8Array) -> int | None:
    """Return the direction of an image (height, width, 3), in degrees from 0 (along the rows) to 89,
    clockwise; None if it has none.

    Every edge votes with the fourth power of its gradient, a complex number, in which directions that are at
    right angles are one; its weight is its strength squared.
    """
    light = rgb.astype(np.int64).sum(-1)
    for _ in range(2):  # smoothed, or edges that are steps of pixels would run along rows and columns
        light = light[:-2] + 2 * light[1:-1] + light[2:]
        light = light[:, :-2] + 2 * light[:, 1:-1] + light[:, 2:]
    light //= 256
    right, down = light[1:-1, 2:] - light[1:-1, :-2], light[2:, 1:-1] - light[:-2, 1:-1]
    squares = right**2 + down**2
    once, twice = right**2 - down**2, 2 * right * down
    along = int(((once**2 - twice**2) // np.maximum(squares, 1)).sum())
    across = int((2 * once * twice // np.maximum(squares, 1)).sum())
    if 100 * math.isqrt(along**2 + across**2) < _WEAKEST * int(squares.sum()) or not squares.any():
        return None
    return round(math.degrees(math.atan2(across, along)) / 4) % 90


def apart(one: int, other: int) -> int:
    """Return how many degrees two directions are apart, 0 to 45."""
    return min((one - other) % 90, (other - one) % 90)


def alike(one: int | None, other: int) -> bool:
    """Say whether two directions go together; none goes with nothing."""
    return one is not None and apart(one, other) <= _ALIKE


def usual(directions: Sequence[int | None], lot: int) -> int | None:
    """Draw one of the directions that many others go with, by a lot (a hash); None: they have none."""
    known = [one for one in directions if one is not None]
    companies = [sum(alike(one, other) for other in known) for one in known]
    most = max(companies, default=0)
    able = [one for one, company in zip(known, companies, strict=True) if 2 * company >= most]
    return able[lot % len(able)] if most >= ENOUGH else None
