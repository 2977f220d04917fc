"""Values of a raster that painted ones would make no sense among: codes of classes, an undeclared nodata.

Guesses, said in the plan or after the painting; nothing is refused for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import BoolArray

_CLASSES = 16  # different whole numbers: pictures have more
_ENOUGH = 500  # pixels that it takes to tell
_STACK = 10  # pixels of one value, far from all others, that are no accident
_SAMPLE = 1_000_000  # values of a band that are looked at


def value_warnings(values: NDArray[Any], known: BoolArray) -> list[str]:
    """Return sentences about the known values of the visible bands, (1 or 3, rows, columns)."""
    found = []
    for band in values:
        given = band[known]
        sample = given[:: max(1, len(given) // _SAMPLE)]
        if len(sample) < _ENOUGH:
            continue
        if len(values) == 1 and _are_classes(sample):
            found.append(
                "The raster has only a few different whole values here. If they are codes of classes, "
                "painted ones mean nothing."
            )
            break
        alone = None if band.dtype == np.uint8 else _far_value(sample)
        if alone is not None:
            found.append(
                f"Many pixels have the value {alone:g}, far from all others. If it means that there is no "
                "value, declare it as the raster's nodata first: now it is taken for land."
            )
            break
    return found


def leaves_range(painted: NDArray[Any], around: NDArray[Any]) -> bool:
    """Tell whether painted values go beyond those around them by more than the whole range of these."""
    if not painted.size or not around.size:
        return False
    low, high = float(around.min()), float(around.max())
    return float(painted.min()) < low - (high - low) or float(painted.max()) > high + (high - low)


def _are_classes(sample: NDArray[Any]) -> bool:
    """Say whether values look like codes of classes."""
    different = np.unique(sample)
    return 1 < len(different) <= _CLASSES and bool((different == np.rint(different)).all())


def _far_value(sample: NDArray[Any]) -> float | None:
    """Return the lowest or highest value if many pixels have it and no other one is anywhere near."""
    ordered = np.sort(sample).astype(np.float64)
    for one, others in (
        (ordered[0], ordered[ordered > ordered[0]]),
        (ordered[-1], ordered[ordered < ordered[-1]]),
    ):
        if len(others) and len(ordered) - len(others) >= _STACK:
            gap = min(abs(others[0] - one), abs(others[-1] - one))
            if gap > 2 * float(np.ptp(others)) and gap > abs(float(np.median(others))):
                return float(one)
    return None
