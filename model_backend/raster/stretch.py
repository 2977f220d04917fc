"""How a raster's values become the model's view and come back: one straight line per visible band.

The view has (3, rows, columns), 0 for black and 1 for white; values beyond the stretch go beyond 0 and 1 and
are clipped only by what hands them to the model, so that the way back is exact. The stretch belongs to the
edit and is written into its recipe: no window has its own. Knows arrays, no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import BoolArray, Float64Array
from model_backend.errors import InvalidInput

_SAMPLE = 1_000_000  # values per band that percentiles are taken from
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: what of a colour a grey raster shows


@dataclass(frozen=True)
class Stretch:
    """Per visible band the value that is shown black and the value that is shown white."""

    ranges: tuple[tuple[float, float], ...]

    def view(self, values: NDArray[Any]) -> Float64Array:
        """Return (1 or 3, rows, columns) of a raster's values as (3, rows, columns) of the model's view."""
        low, high = self._bounds()
        shown = (values.astype(np.float64) - low) / (high - low)
        return np.repeat(shown, 3, axis=0) if len(shown) == 1 else shown

    def band(self, view: NDArray[Any], number: int) -> Float64Array:
        """Return the values, (rows, columns), of the ``number``-th band, from 0, that would give a view."""
        low, high = self.ranges[number]
        if len(self.ranges) == 1:
            values = sum(share * band for share, band in zip(_LUMA, view.astype(np.float64), strict=True))
        else:
            values = view[number].astype(np.float64)
        out = np.asarray(values)
        out *= high - low
        out += low
        return out

    def _bounds(self) -> tuple[Float64Array, Float64Array]:
        low, high = np.array(self.ranges, np.float64).T
        return low[:, None, None], high[:, None, None]


def stretch_for(asked: Sequence[Sequence[float]] | None, values: NDArray[Any], known: BoolArray) -> Stretch:
    """Return the stretch that was asked for, else 0 to 255 for bytes, else the 2 to 98 % of the known values.

    ``values`` are (1 or 3, rows, columns) around the mask. Raises InvalidInput for ``stretch``.
    """
    if asked is not None:
        return _checked(asked, len(values))
    if values.dtype == np.uint8:
        return Stretch(((0.0, 255.0),) * len(values))
    if not known.any():
        detail = (
            "The raster has no value anywhere around what is to be painted. Paint where it has some, or give "
            "the stretch: the values that are black and white."
        )
        raise InvalidInput("stretch", detail, allowed="the lowest and the highest value of each band")
    step = max(1, int(known.sum()) // _SAMPLE)
    found = [_range(band[known][::step].astype(np.float64)) for band in values]
    widest = max(high - low for low, high in found)
    if not widest > 0:
        detail = (
            f"All pixels around what is to be painted have one value, {found[0][0]:g}, which does not say "
            "what is dark and what is bright. Give the stretch: the values that are black and white."
        )
        raise InvalidInput("stretch", detail, allowed="the lowest and the highest value of each band")
    # A flat band has no range of its own: it takes that of the others.
    return Stretch(
        tuple((low, high) if high > low else (low - widest / 2, low + widest / 2) for low, high in found)
    )


def _range(values: Float64Array) -> tuple[float, float]:
    """Return the 2 and 98 % of values, or the lowest and highest where those are one."""
    low, high = np.percentile(values, (2, 98))
    return (float(low), float(high)) if high > low else (float(values.min()), float(values.max()))


def _checked(asked: Sequence[Sequence[float]], bands: int) -> Stretch:
    if len(asked) != bands or any(len(pair) != 2 or not pair[0] < pair[1] for pair in asked):
        rule = f"{bands} pair(s) of [lowest, highest], one per visible band"
        raise InvalidInput("stretch", f"`stretch` must be {rule}.", value=str(asked), allowed=rule)
    return Stretch(tuple((float(low), float(high)) for low, high in asked))
