"""The progress of denoising, as a listener hears it: evaluations, and a picture that becomes clearer.

The picture shows what the UNet believes the clean latents to be, through the card's latent-to-RGB matrix: no
decoding, a pixel per latent. Knows lattices; holds nothing that the scene depends on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from model_backend.arrays import Float32Array, Int64Array, UInt8Array
from model_backend.engine.diffusion.decode import to_bytes
from model_backend.engine.diffusion.latent_field import Batch
from model_backend.engine.lattice import Layout, Window, share
from model_backend.engine.progress import PREVIEW_SIDE, ProgressListener
from model_backend.models.card import ModelCard
from model_backend.schemas import Box

PREVIEW_SECONDS = 0.5  # at least, between two previews


class WindowProgress:
    """Progress of one read of one box: counts for ``listener``, and the mosaic behind its previews."""

    def __init__(self, listener: ProgressListener, layout: Layout, card: ModelCard, box: Box) -> None:
        self._listener, self._layout, self._card = listener, layout, card
        self._done = self._total = 0
        self._due = 0.0
        # One latent per preview pixel, nearest to its centre; the preview covers the box exactly.
        f = layout.factor
        rows, cols = layout.place(box)
        self._rows, self._cols = (_centres(pixels, f) for pixels in (rows, cols))
        self._hull = _hull(self._rows), _hull(self._cols)
        self._mosaic = np.zeros((card.latent_channels, *map(len, self._hull)), np.float32)

    def expect(self, evaluations: int) -> None:
        """Say how many UNet evaluations there will be."""
        self._total = evaluations

    def called(self, evaluations: int) -> None:
        """Tell the listener that a UNet call of so many evaluations is over, so that it can stop."""
        self._done += evaluations
        self._listener.step(self._done, self._total)

    def stepped(self, windows: Sequence[Window], clean: Batch) -> None:
        """Take the clean latents that a step implied for its windows, and show them now and then."""
        for window, latents in zip(windows, clean, strict=True):
            self._paint(window, latents)
        if time.monotonic() >= self._due:
            self._listener.preview(self._picture())
            self._due = time.monotonic() + PREVIEW_SECONDS

    def begun(self) -> None:
        """Tell the listener that a part of what windows begin with was made, so that it can already stop."""
        self._listener.step(self._done, self._total)

    def decoded(self) -> None:
        """Tell the listener that a tile was decoded, so that it can still stop."""
        self._listener.step(self._done, self._total)

    def _paint(self, window: Window, latents: Float32Array) -> None:
        _, own, there, weight = share(self._layout.rows, self._layout.cols, window, self._hull)
        under = self._mosaic[:, *there]
        under += weight * (latents[:, *own] - under)

    def _picture(self) -> UInt8Array:
        latents = self._mosaic[:, self._rows[:, None] - self._hull[0].start, self._cols - self._hull[1].start]
        rgb = np.tensordot(np.asarray(self._card.latent_rgb, np.float32), latents, axes=(0, 0))
        bias = np.asarray(self._card.latent_rgb_bias, np.float32)[:, None, None]
        return to_bytes(rgb + bias).transpose(1, 2, 0)


def _hull(latents: Int64Array) -> range:
    """Return the run of latents from the first to the last of these."""
    return range(int(latents[0]), int(latents[-1]) + 1)


def _centres(pixels: range, factor: int) -> Int64Array:
    """Latents under the centres of the preview's pixels, which share out a run of pixels evenly."""
    count = min(-(-len(pixels) // factor), PREVIEW_SIDE)
    centre = pixels.start + (np.arange(count) + 0.5) * (len(pixels) / count)
    return np.floor(centre / factor).astype(np.int64)
