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
    noise           which is made of noise that belongs to the seed and the place;
    start           under it may lie land by example, encoded

`lattice` says where windows and tiles lie: on a canvas grown to whole windows, or on the endless ground. This
module joins the parts. It knows boxes of whole pixels of a frame; it knows no CRS and no files. What jobs see
of it is `makers.SceneMaker`.
"""

from __future__ import annotations

from functools import partial

import torch

from model_backend.arrays import Float32Array, RgbImage, UInt8Array
from model_backend.engine.diffusion.decode import decode
from model_backend.engine.diffusion.denoiser import Denoiser, PhaseObserver
from model_backend.engine.diffusion.latent_field import LatentField, Plane
from model_backend.engine.diffusion.start import ComposedStart
from model_backend.engine.diffusion.window_progress import WindowProgress
from model_backend.engine.lattice import Latents, Layout, Window
from model_backend.engine.makers import Credit, SceneMaker
from model_backend.engine.progress import ProgressListener
from model_backend.models.loader import Model
from model_backend.models.profile import Profile
from model_backend.schemas import Box, Recipe


class Scene:
    """The pixels of a recipe by a diffusion model: made where asked for, latents kept for the next box."""

    def __init__(
        self,
        model: Model,
        recipe: Recipe,
        observer: PhaseObserver | None = None,
        composition: SceneMaker | None = None,
    ) -> None:
        """Lay the scene out. Raises ValueError if the canvas is not made of whole windows of the model.

        ``composition`` makes the land by example that a recipe with a start begins with
        (``start.composition_recipe``).
        """
        if (recipe.start is None) != (composition is None):
            raise ValueError("a recipe with a start needs its composition, another has none")
        card = model.card
        self._model = model
        self._layout = Layout.of(card.engine, card.vae_factor, recipe.canvas_box)
        batch = self._layout.batch(model.profile.batch)
        self._start = None if composition is None else ComposedStart(model, self._layout, composition)
        self._credits: tuple[Credit, ...] = ()
        self.notes = () if composition is None else composition.notes
        self._denoiser = Denoiser(model, recipe, self._layout, batch, observer=observer)
        self._field = LatentField(
            Plane(
                rows=self._layout.rows,
                cols=self._layout.cols,
                channels=card.latent_channels,
                phases=len(self._denoiser.trajectory.phases),
                group=self._denoiser.group,
                start=self._begin,
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
        missing = self._field.missing(rows, cols)
        progress.expect(self._denoiser.evaluations(missing))
        if self._start is not None:
            for window in missing[0]:
                self._start.prepare(*self._cells(window), progress)
            self._credits = self._start.credits(rows, cols)
        self._field.compute(rows, cols, partial(self._denoiser.denoise, progress=progress))
        return decode(self._layout, *self._layout.place(box), partial(self._tile, progress))

    def keep(self, box: Box) -> None:
        """Forget the latents that no pixel of a box depends on; whatever is asked for later is made again.

        Who makes a scene block by block says so after each (``blocks.rest``): memory is then bounded.
        """
        self._field.keep(*self._layout.latents(box))
        if self._start is not None:
            rows, cols = self._layout.windows(box, len(self._denoiser.trajectory.phases))[0]
            self._start.keep(self._layout.rows.hull(rows), self._layout.cols.hull(cols))

    def credits(self) -> tuple[Credit, ...]:
        """Return where the land by example that the last box began with is from; else nothing."""
        return self._credits

    def origins(self) -> None:
        """Return None: pixels are painted."""

    def sketch(self, box: Box) -> UInt8Array | None:
        """Return the colours of the land by example that a box begins with; None if that is noise.

        What windows will show nobody knows before they are denoised.
        """
        return None if self._start is None else self._start.sketch(box)

    def overview(self, box: Box, listener: ProgressListener) -> None:
        """Return None: nothing of a scene is known before its windows are denoised."""

    def _cells(self, window: Window) -> tuple[range, range]:
        return self._layout.rows.cells(window.row), self._layout.cols.cells(window.col)

    def _begin(self, rows: range, cols: range) -> Latents:
        """Return what a window begins its first phase with."""
        if self._start is None:
            return self._denoiser.start(rows, cols)
        return self._denoiser.noised(0, self._start.latents(rows, cols), rows, cols)

    def _tile(self, progress: WindowProgress, rows: range, cols: range) -> Float32Array:
        latents = torch.from_numpy(self._field.read(rows, cols))[None]
        pixels: Float32Array = self._model.decode(latents)[0].cpu().numpy()
        progress.decoded()
        return pixels
