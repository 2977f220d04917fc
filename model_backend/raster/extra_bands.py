"""Values for the bands that the model does not see: borrowed from known pixels of the most similar colour.

They are plausible, not predicted; the file's metadata says so. Works on arrays, knows no files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import BoolArray, Float64Array

_SHADES = 32  # colours are told apart in so many shades per channel
_SAMPLES = 4096  # known pixels that are looked at
_NEAREST = 8  # of which so many are averaged
_PART = 1 << 18  # pixels at a time, so that what is in between stays small


def samples(known: BoolArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose the known pixels to borrow from, evenly in row order; return their rows and columns."""
    places = np.flatnonzero(known)
    picked = np.unique(np.linspace(0, len(places) - 1, _SAMPLES).astype(np.intp))
    rows, cols = np.divmod(places[picked], known.shape[1])
    return rows, cols


def match(
    wanted: Sequence[NDArray[Any]],
    view: Callable[[Sequence[NDArray[Any]]], Float64Array],
    colours: Float64Array,
    values: NDArray[Any],
) -> Iterator[Float64Array]:
    """Yield values of every other band, (n,) each, for pixels whose visible bands are ``wanted``, (n,) each.

    ``view`` turns values of the visible bands, (n,) each, into colours (3, n), in the scale 0..1; ``colours``
    (3, m) and ``values`` (bands, m) are those of ``samples``, m >= 1. The cost is bounded: as many look-ups
    as there are different shades, each among a fixed number of samples.
    """
    codes = np.empty(len(wanted[0]), np.uint16)
    count, sums = np.zeros(_SHADES**3), np.zeros((3, _SHADES**3))
    for start in range(0, len(codes), _PART):
        part = slice(start, start + _PART)
        shown = view([band[part] for band in wanted])
        shade = np.clip(shown * _SHADES, 0, _SHADES - 1).astype(np.uint16)
        codes[part] = (shade[0] * _SHADES + shade[1]) * _SHADES + shade[2]
        count += np.bincount(codes[part], minlength=_SHADES**3)
        for total, channel in zip(sums, shown, strict=True):
            total += np.bincount(codes[part], channel, minlength=_SHADES**3)
    used = np.flatnonzero(count)
    chosen = _alike(sums[:, used] / count[used], colours)
    table = np.zeros(_SHADES**3)
    for lent in values:
        table[used] = lent[chosen].astype(np.float64).mean(1)
        yield table[codes]


def _alike(means: Float64Array, colours: Float64Array) -> NDArray[np.intp]:
    """Return the samples most alike to every colour of ``means``, (3, n): their indices, (n, nearest)."""
    nearest = min(_NEAREST, colours.shape[1])
    found = np.empty((means.shape[1], nearest), np.intp)
    for start in range(0, len(found), 256):
        part = slice(start, start + 256)
        apart = np.square(means[:, part, None] - colours[:, None]).sum(0)
        found[part] = np.argpartition(apart, nearest - 1, axis=1)[:, :nearest]
    return found
