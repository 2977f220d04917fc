"""Noise whose windows agree on a tone: what every scene and edit begins with.

The last step of a training schedule leaves a little of the image in the noise (SD's alpha is 0.068 there), so
a model reads the mean of a window's noise as the tone of its image. In white noise every window has a mean of
its own, and open water of many windows comes out as a quilt. Here a window's mean is taken out of its noise,
and the seed's own tone is put in its place, with the spread that means of white noise have: a window alone
sees what it saw in training, neighbours see the same tone. Where two windows overlap, their noise differs by
a constant, which the blend between phases smooths: some 0.09, beside noise of 1.

Knows noise and the cells of a window; like the noise itself, a function of the place, on any canvas.
"""

from __future__ import annotations

from math import fsum, sqrt

import numpy as np

from model_backend.arrays import Float32Array
from model_backend.engine.diffusion.noise import TONE, Noise


def leveled_noise(noise: Noise, rows: range, cols: range) -> Float32Array:
    """Return the noise of a window's latents, (4, rows, columns), float32."""
    white = noise.normals(rows, cols)
    cells = len(rows) * len(cols)
    # Summed exactly, so that the last bit does not depend on the machine's order of adding.
    means = np.array([fsum(channel.ravel().tolist()) / cells for channel in white], np.float32)
    tone = noise.normals(range(1), range(1), stream=TONE) / np.float32(sqrt(cells))
    even: Float32Array = white - means[:, None, None] + tone
    return even
