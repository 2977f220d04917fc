"""Values for the bands that the model does not see: borrowed from known pixels of the most similar colour.

They are plausible, not predicted; the file's metadata says so. Works on arrays, knows no files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHADES = 32  # colours are told apart in so many shades per channel
_SAMPLES = 4096  # known pixels that are looked at
_NEAREST = 8  # of which so many are averaged


def borrow(
    wanted: NDArray[np.float64], colours: NDArray[np.float64], values: NDArray[Any]
) -> NDArray[np.float64]:
    """Return (bands, n) for the ``wanted`` colours (3, n), in the views' scale 0..1.

    ``colours`` (3, m) and ``values`` (bands, m) are those of the known pixels around, m >= 1. The cost is
    bounded: as many look-ups as there are different shades, each among a fixed number of samples.
    """
    pick = np.unique(np.linspace(0, colours.shape[1] - 1, _SAMPLES).astype(np.intp))
    near, lent = colours[:, pick], values[:, pick].astype(np.float64)
    shade = np.clip(wanted * _SHADES, 0, _SHADES - 1).astype(np.intp)
    code = (shade[0] * _SHADES + shade[1]) * _SHADES + shade[2]
    used, back = np.unique(code, return_inverse=True)
    count = np.bincount(back)
    means = np.stack([np.bincount(back, channel) / count for channel in wanted])
    table = np.empty((len(values), len(used)))
    nearest = min(_NEAREST, near.shape[1])
    for start in range(0, len(used), 256):
        part = slice(start, start + 256)
        apart = np.square(means[:, part, None] - near[:, None]).sum(0)
        chosen = np.argpartition(apart, nearest - 1, axis=1)[:, :nearest]
        table[:, part] = lent[:, chosen].mean(2)
    return table[:, back]
