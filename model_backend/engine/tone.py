"""Noise whose windows agree on a tone: what every scene and edit begins with.

The last step of a training schedule leaves a little of the image in the noise (SD's alpha is 0.068 there), so
a model reads the mean of a window's noise as the tone of its image. In white noise every window has a mean of
its own, and a forest of many windows comes out as a quilt. Here the slow part of the noise, slower than a
window, is taken out, and the seed's own tone is put in its place, with the spread that the mean of a window
of white noise has: a window alone sees what it saw in training, neighbours see the same. Measured on the
bundled model (forest, pasture at 8 m; forest, housing at 0.5 and 1 m): the spread of tone among windows
falls to about a half, contrast within them stays within 2 % where there is any.

Knows noise and the side of a window; like the noise itself, a function of the place, on any canvas.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from model_backend.engine.noise import TONE, Noise


def even(noise: Noise, window: int, rows: range, cols: range) -> NDArray[np.float32]:
    """Return the noise of a box of latents, (4, rows, columns), float32; ``window`` is a side in latents."""
    reach = _reach(window)
    wide = noise.normals(
        range(rows.start - reach, rows.stop + reach), range(cols.start - reach, cols.stop + reach)
    )
    here = wide[:, reach : reach + len(rows), reach : reach + len(cols)]
    tone = noise.normals(range(1), range(1), stream=TONE) * np.float32(_spread(window))
    slow = _means(_means(wide, 1, reach), 2, reach)
    even: NDArray[np.float32] = here - slow + tone
    return even


def _reach(window: int) -> int:
    """Return how many latents to either side the slow part is a mean over: 13 in all for windows of 16."""
    return window * 3 // 8


def _means(values: NDArray[np.float32], axis: int, reach: int) -> NDArray[np.float32]:
    """Return running means along an axis, without its ends.

    Summed in the order of the place, not by differences of running sums, whose last bits would depend on
    where a box begins.
    """
    width = 2 * reach + 1
    total = np.zeros_like(values.take(range(values.shape[axis] - 2 * reach), axis))
    for offset in range(width):
        total += values.take(range(offset, offset + total.shape[axis]), axis)
    mean: NDArray[np.float32] = total / np.float32(width)
    return mean


@cache
def _spread(window: int) -> float:
    """Return the standard deviation of the tone: of a window's mean, less what is left in the noise."""
    own = np.full(window, 1 / window)
    reach = _reach(window)
    slow = np.convolve(own, np.full(2 * reach + 1, 1 / (2 * reach + 1)))
    shared = own @ slow[reach : reach + window]
    left = (own @ own) ** 2 - 2 * shared**2 + (slow @ slow) ** 2
    return float(np.sqrt((own @ own) ** 2 - left))
