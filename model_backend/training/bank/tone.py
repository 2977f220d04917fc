"""One tone for images that are used together: gains and offsets of bands, in 256ths.

Every image moves towards the middle mean and contrast of its kind, by the strength of its group.
Knows numbers of images, no files.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model_backend.arrays import Float64Array, UInt8Array

Tone = tuple[tuple[int, int], ...]
_FLATTEST, _STEEPEST = 0.6, 1.6  # of the change of contrast
_QUIET = 2.0  # deviation that is added: flat images are not made noisy


def measure(pixels: UInt8Array) -> Float64Array:
    """Return mean and deviation of the bands of any pixels, (2, 3)."""
    flat = pixels.reshape(-1, 3).astype(np.float64)
    return np.stack([flat.mean(0), flat.std(0) + _QUIET])


def tones(
    measures: Sequence[Float64Array],
    strengths: Sequence[float],
    gain: tuple[float, float, float],
    lift: tuple[float, float, float],
) -> list[Tone]:
    """Return the tone of every image of a kind; at last all are brightened alike."""
    means, deviations = np.stack(measures).transpose(1, 0, 2)
    middle, usual = np.median(means, 0), np.median(deviations, 0)
    found = []
    for mean, deviation, strength in zip(means, deviations, strengths, strict=True):
        slope = (usual / deviation).clip(_FLATTEST, _STEEPEST) ** (strength / 2)
        offset = mean + strength * (middle - mean) - slope * mean
        pairs = zip((slope * gain).tolist(), (offset * gain + lift).tolist(), strict=True)
        found.append(tuple((round(256 * one), round(256 * other)) for one, other in pairs))
    return found
