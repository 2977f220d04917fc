"""Repainting a part of a picture with an inpainting model: windows around the mask, the rest pinned.

As in ``scene``, windows are denoised alone within a phase and blended between phases. What differs: only
windows that touch the mask are computed, the UNet also sees the mask and the known pixels of its window,
and at every phase boundary the latents away from the mask return to what the source is at that noise level,
encoded from that very window. At the end they are the source's own. What comes out still is a decoded
picture throughout: keeping the pixels outside the mask, byte for byte, is ``composite``'s part. Knows boxes
of pixels, no CRS and no files.
"""

from __future__ import annotations

import numpy as np
import torch

from model_backend.arrays import Float32Array, Int64Array, UInt8Array
from model_backend.engine.diffusion.denoiser import Denoiser
from model_backend.engine.diffusion.tone_matching import match_tones
from model_backend.engine.diffusion.window_progress import WindowProgress
from model_backend.engine.editing.active_windows import Active, slices_of, to_latents
from model_backend.engine.lattice import Latents, Layout, Window, shares
from model_backend.engine.makers import EditCanvas
from model_backend.engine.progress import PREVIEW_SIDE, ProgressListener
from model_backend.models.loader import Model
from model_backend.models.profile import Profile
from model_backend.schemas import Box, Recipe


class _MaskPreview:
    """Shows a listener what is made of a mask so far, as opaque as it is done; nothing beside it."""

    def __init__(self, listener: ProgressListener, canvas: EditCanvas, shown: Box) -> None:
        self._listener = listener
        self._share = 0.0
        self._size = canvas.view.shape[1:]
        self._rows = shown.row - canvas.box.row + _spread(shown.height)
        self._cols = shown.col - canvas.box.col + _spread(shown.width)
        self._paint = canvas.paint[self._rows[:, None], self._cols][..., None]

    def step(self, done: int, total: int) -> None:
        """Pass it on."""
        self._share = min(1.0, done / max(1, total))
        self._listener.step(done, total)

    def preview(self, rgb: UInt8Array) -> None:
        """Take an impression of the whole canvas, and pass on what belongs into the mask."""
        rows, cols = (
            at * have // of
            for at, have, of in zip((self._rows, self._cols), rgb.shape, self._size, strict=False)
        )
        opacity = (self._paint * round(255 * self._share)).astype(np.uint8)
        self._listener.preview(np.concatenate([rgb[np.ix_(rows, cols)], opacity], axis=-1))


def _spread(side: int) -> Int64Array:
    """Return the pixels of a side that a preview shows, evenly spread."""
    count = min(side, PREVIEW_SIDE)
    return ((np.arange(count) + 0.5) * (side / count)).astype(np.int64)


class Edit:
    """One edit on a loaded model: ``strength`` 1 begins with noise, less with the source under noise."""

    def __init__(self, model: Model, recipe: Recipe, canvas: EditCanvas, strength: float = 1.0) -> None:
        """Lay the edit out. Raises ValueError if the model is no inpainting model."""
        card = model.card
        if card.pipeline != "inpaint":
            raise ValueError(f"{card.id} is no inpainting model")
        self._model, self._canvas, self._strength = model, canvas, strength
        self._layout = Layout(card.engine, card.vae_factor, canvas.box)
        self._active = Active(self._layout, canvas.paint)
        batch = self._active.batch(model.profile.batch)
        self._denoiser = Denoiser(model, recipe, self._layout, batch, strength)
        self._hidden = to_latents(canvas.paint | ~canvas.known, card.vae_factor)
        #: Latents that are denoised freely: around the mask, and where nothing is known that could hold them.
        self._loose = self._active.free | to_latents(~canvas.known, card.vae_factor)
        self._encoded: dict[Window, Latents] = {}
        self._contexts: dict[Window, Latents] = {}

    @property
    def profile(self) -> Profile:
        """What the bits of this edit are conditional on."""
        return self._denoiser.profile

    @property
    def _rows(self) -> range:
        assert self._layout.rows.bounds is not None
        return self._layout.rows.bounds

    @property
    def _cols(self) -> range:
        assert self._layout.cols.bounds is not None
        return self._layout.cols.bounds

    def view(self, listener: ProgressListener, shown: Box | None = None) -> Float32Array:
        """Return the canvas, (3, height, width) in 0..1, with the mask painted anew.

        The listener's previews are of ``shown``, a box inside the canvas.
        """
        windows, phases = self._active.windows, self._denoiser.trajectory.phases
        preview = _MaskPreview(listener, self._canvas, shown or self._canvas.box)
        progress = WindowProgress(preview, self._layout, self._model.card, self._canvas.box)
        progress.expect(self._denoiser.evaluations([windows] * len(phases)))
        done: dict[Window, Latents] = {}
        for phase in range(len(phases)):
            results: dict[Window, Latents] = {}
            for first in range(0, len(windows), self._denoiser.group):
                some = windows[first : first + self._denoiser.group]
                latents = np.stack([self._begin(phase, window, done) for window in some])
                context = np.stack([self._context(window) for window in some])
                made = self._denoiser.denoise(phase, some, latents, progress, context)
                results |= zip(some, made, strict=True)
            done = results
        return self._decode(match_tones(self._layout.rows, self._layout.cols, done, windows), progress)

    def _begin(self, phase: int, window: Window, done: dict[Window, Latents]) -> Latents:
        """Return a window's latents at the beginning of a phase; ``done``: at the end of the one before."""
        rows, cols = self._layout.rows.cells(window.row), self._layout.cols.cells(window.col)
        if phase == 0 and self._strength == 1:
            return self._denoiser.start(rows, cols)
        pinned = self._denoiser.noised(phase, self._source(window), rows, cols)
        return pinned if phase == 0 else self._blend(done, rows, cols, pinned)

    def _blend(self, done: dict[Window, Latents], rows: range, cols: range, pinned: Latents) -> Latents:
        """Return a box of latents: ``pinned``, and where latents are loose a blend of the windows done."""
        blend = np.zeros_like(pinned)
        total = np.zeros(pinned.shape[1:], np.float32)
        for window, own, there, weight in shares(self._layout.rows, self._layout.cols, (rows, cols)):
            if window in done:
                blend[:, *there] += done[window][:, *own] * weight
                total[there] += weight
        here = self._active.inside(rows, cols)
        loose = self._loose[here] & (total > 0)
        # Over a free latent all windows are done and their weights sum to 1; over other loose ones, some are.
        share = np.where(loose & ~self._active.free[here], total, np.float32(1))
        return np.where(loose, blend / share, pinned)

    def _context(self, window: Window) -> Latents:
        """Return the UNet's extra channels of a window: the mask, and what is known, encoded, else grey."""
        if window not in self._contexts:
            mask = self._hidden[self._active.place(window)][None].astype(np.float32)
            self._contexts[window] = np.concatenate([mask, self._latents(window, hide=True)])
        return self._contexts[window]

    def _source(self, window: Window) -> Latents:
        """Return the latents of what is there, encoded from exactly the pixels of a window."""
        if window not in self._encoded:
            self._encoded[window] = self._latents(window, hide=False)
        return self._encoded[window]

    def _latents(self, window: Window, hide: bool) -> Latents:
        place = slices_of(*self._active.place(window), self._layout.factor)
        pixels = self._canvas.view[:, *place] * 2 - 1
        if hide:
            hidden = self._canvas.paint[place] | ~self._canvas.known[place]
            pixels = np.where(hidden, np.float32(0), pixels)
        latents: Latents = self._model.encode(torch.from_numpy(pixels)[None])[0].cpu().numpy()
        return latents

    def _decode(self, done: dict[Window, Latents], progress: WindowProgress) -> Float32Array:
        """Return the picture: tiles with free latents decoded, the source's view elsewhere."""
        factor = self._layout.factor
        tiles = self._layout.tile_rows, self._layout.tile_cols
        top, left = self._rows.start * factor, self._cols.start * factor
        height, width = self._canvas.view.shape[1:]
        image = np.zeros_like(self._canvas.view)
        painted = np.zeros((height, width), np.float32)
        box = range(top, top + height), range(left, left + width)
        for (i, j), own, there, weight in shares(*tiles, box):
            latents = self._layout.to_latents(tiles[0].cells(i)), self._layout.to_latents(tiles[1].cells(j))
            if self._active.free[self._active.inside(*latents)].any():
                image[:, *there] += self._tile(done, *latents)[:, *own] * weight
                painted[there] += weight
                progress.decoded()
        rest = 1 - painted
        for band, view in zip(image, self._canvas.view, strict=True):
            band += rest * view
        return image

    def _tile(self, done: dict[Window, Latents], rows: range, cols: range) -> Float32Array:
        """Decode a box of latents: what was painted, and the source's own around it."""
        source = np.zeros((self._model.card.latent_channels, len(rows), len(cols)), np.float32)
        for window, own, there, weight in shares(self._layout.rows, self._layout.cols, (rows, cols)):
            source[:, *there] += self._source(window)[:, *own] * weight
        latents = self._blend(done, rows, cols, source)
        pixels: Float32Array = self._model.decode(torch.from_numpy(latents)[None])[0].cpu().numpy()
        return np.clip(pixels / 2 + 0.5, 0, 1)
