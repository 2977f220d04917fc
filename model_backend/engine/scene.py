"""From a recipe to pixels. READ THIS FIRST.

A scene is a function of its recipe and the place: `Scene.pixels` makes any box of it, and boxes that overlap
agree, because nothing here depends on what was asked for. The way of a pixel, backwards (in `diffusion/`):

    decode          a pixel comes from the decode tile it lies in (and fades into the next one)
    latent_field    the tile's latents are blended windows of the last phase; each of those began as a blend
                    of windows of the phase before, and so on: a finite cone
    tone_matching   before that last blend, windows are brought to one tone where they meet
    denoiser        within a phase a window is denoised alone,
    sampler         by a table of numbers per step,
    guidance        between what the model paints with its prompts and without them
    prompt_field    which prompts a window follows, and where in it
    leveled_noise   the first phase begins with noise whose windows agree on a tone
    noise           which is made of noise that belongs to the seed and the place

`lattice` says where windows and tiles lie: on a canvas grown to whole windows, or on the endless ground. This
module joins the parts. It knows boxes of whole pixels of a frame; it knows no CRS and no files. What jobs see
of it is `makers.SceneMaker`.
"""

from __future__ import annotations

from functools import partial

import torch

from model_backend.arrays import Float32Array, RgbImage
from model_backend.engine.diffusion.decode import decode
from model_backend.engine.diffusion.denoiser import Denoiser, PhaseObserver
from model_backend.engine.diffusion.latent_field import LatentField, Plane
from model_backend.engine.diffusion.window_progress import WindowProgress
from model_backend.engine.lattice import Layout
from model_backend.engine.progress import ProgressListener
from model_backend.models.loader import Model
from model_backend.models.profile import Profile
from model_backend.schemas import Box, Recipe


class Scene:
    """The pixels of a recipe by a diffusion model: made where asked for, latents kept for the next box."""

    def __init__(self, model: Model, recipe: Recipe, observer: PhaseObserver | None = None) -> None:
        """Lay the scene out. Raises ValueError if the canvas is not made of whole windows of the model."""
        card = model.card
        self._model = model
        self._layout = Layout.of(card.engine, card.vae_factor, recipe.canvas_box)
        batch = self._layout.batch(model.profile.batch)
        self._denoiser = Denoiser(model, recipe, self._layout, batch, observer=observer)
        self._field = LatentField(
            Plane(
                rows=self._layout.rows,
                cols=self._layout.cols,
                channels=card.latent_channels,
                phases=len(self._denoiser.trajectory.phases),
                group=self._denoiser.group,
                start=self._denoiser.start,
            )
        )

    @property
    def profile(self) -> Profile:
        """What the bits of this scene are conditional on: the model's profile with this canvas's batch."""
        return self._denoiser.profile

    def pixels(self, box: Box, listener: ProgressListener) -> RgbImage:
        """Make a box of the scene, (3, height, width) uint8, rows southward.

        ``listener`` hears of every UNet call and may raise Cancelled, which stops within that call; what was
        computed is kept. Raises ValueError if the box leaves the canvas.
        """
        rows, cols = self._layout.latents(box)
        progress = WindowProgress(listener, self._layout, self._model.card, box)
        progress.expect(self._denoiser.evaluations(self._field.missing(rows, cols)))
        self._field.compute(rows, cols, partial(self._denoiser.denoise, progress=progress))
        return decode(self._layout, *self._layout.place(box), partial(self._tile, progress))

    def keep(self, box: Box) -> None:
        """Forget the latents that no pixel of a box depends on; whatever is asked for later is made again.

        Who makes a scene block by block says so after each (``blocks.rest``): memory is then bounded.
        """
        self._field.keep(*self._layout.latents(box))

    def credits(self) -> tuple[()]:
        """Return nothing: what a network paints is copied from nowhere."""
        return ()

    def overview(self, box: Box, listener: ProgressListener) -> None:
        """Return None: nothing of a scene is known before its windows are denoised."""

    def _tile(self, progress: WindowProgress, rows: range, cols: range) -> Float32Array:
        latents = torch.from_numpy(self._field.read(rows, cols))[None]
        pixels: Float32Array = self._model.decode(latents)[0].cpu().numpy()
        progress.decoded()
        return pixels
