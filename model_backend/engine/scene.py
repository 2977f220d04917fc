"""From a request to pixels. READ THIS FIRST.

A scene is a function of its request and the place: `Scene.pixels` returns any box of it, and boxes that
overlap agree, because nothing here depends on what was asked for. The way of a pixel, backwards:

    decode      a pixel comes from the decode tile it lies in (and fades into the next one)
    field       the tile's latents are blended windows of the last phase; each of those began as a blend of
                windows of the phase before, and so on: a finite cone
    accord      before that last blend, windows are brought to one tone where they meet
    sampler     within a phase a window is denoised alone, by a table of numbers per step
    regions     which prompts a window follows, and where in it
    tone        the first phase begins with noise whose windows agree on a tone
    noise       which is made of noise that belongs to the seed and the place
    lattice     says where windows and tiles lie: on a canvas grown to whole windows, or on the endless ground

This module joins them to a loaded model and its guidance. It knows boxes of whole pixels of a frame; it
knows no CRS and no files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
import torch

from model_backend.arrays import Float32Array, RgbImage
from model_backend.engine.diffusion.decode import decode
from model_backend.engine.diffusion.guidance import Guidance, finite
from model_backend.engine.diffusion.latent_field import Batch, Field, Plane
from model_backend.engine.diffusion.leveled_noise import leveled_noise
from model_backend.engine.diffusion.noise import Noise
from model_backend.engine.diffusion.prompt_field import Prompt, PromptField
from model_backend.engine.diffusion.sampler import advance, clean, trajectory_of
from model_backend.engine.lattice import Layout, Window
from model_backend.engine.progress import Progress, Watch
from model_backend.models.card import NO_LEVEL, ModelCard
from model_backend.models.loader import Model
from model_backend.models.profile import Profile
from model_backend.schemas import Box, Recipe, Region, Sampler

__all__ = ["Request", "Scene", "Watch"]


@dataclass(frozen=True)
class Request:
    """All that determines the pixels of a scene on a given model and profile."""

    seed: int
    level: int | None
    frame_hash: int
    prompt: str
    negative_prompt: str
    sampler: Sampler
    steps: int
    guidance: float
    canvas: Box | None  # None is the ground, which has no end
    regions: tuple[Region, ...] = ()  # each covers those before it

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """Return the request of a recipe; the frame enters as 32 bits of a hash, for the noise."""
        frame = json.dumps(
            recipe.frame.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        return cls(
            seed=recipe.seed,
            level=recipe.level,
            frame_hash=int.from_bytes(hashlib.sha256(frame.encode()).digest()[:4], "big"),
            prompt=recipe.prompt,
            negative_prompt=recipe.negative_prompt,
            sampler=recipe.sampler,
            steps=recipe.steps,
            guidance=recipe.guidance,
            canvas=None if recipe.canvas == "ground" else recipe.canvas,
            regions=tuple(recipe.regions or ()),
        )

    @classmethod
    def plain(cls, card: ModelCard, prompt: str, level: int | None, seed: int, canvas: Box) -> Self:
        """Return a request by a card's defaults and without a frame, as measurements make them."""
        steps = card.steps[card.sampler]
        return cls(seed, level, 1, prompt, "", card.sampler, steps, card.guidance, canvas)

    def prompts(self, layout: Layout) -> PromptField:
        """Return which prompts hold where on a canvas."""
        base = Prompt(self.prompt, self.negative_prompt)
        return PromptField(base, self.regions, layout, self.guidance > 1)


class Scene:
    """The pixels of a request; computes what is asked for, and keeps its latents for the next question."""

    def __init__(self, model: Model, request: Request) -> None:
        """Lay the scene out. Raises ValueError if the canvas is not made of whole windows of the model."""
        card = model.card
        self._model, self._request = model, request
        self._layout = Layout.of(card.engine, card.vae_factor, request.canvas)
        self._trajectory = trajectory_of(request, model.schedule, card.engine)
        self._prompts = request.prompts(self._layout)
        self._guidance = Guidance(model, self._prompts.prompts, request.level, request.guidance)
        batch = self._layout.batch(model.profile.batch)
        self._batching = self._prompts.batching(batch)
        self._profile = model.profile_for(batch, self._batching.sizes(self._trajectory.lengths))
        self._noise = Noise(request.seed, request.level or NO_LEVEL, request.frame_hash)
        self._field = Field(
            Plane(
                rows=self._layout.rows,
                cols=self._layout.cols,
                channels=card.latent_channels,
                phases=len(self._trajectory.phases),
                group=self._batching.windows,
                start=self._start,
            )
        )

    @property
    def profile(self) -> Profile:
        """What the bits of this scene are conditional on: the model's profile with this canvas's batch."""
        short = self._guidance.approximate
        return replace(self._profile, approximate=self._profile.approximate or short)

    def pixels(self, box: Box, watch: Watch) -> RgbImage:
        """Return a box of the scene, (3, height, width) uint8, rows southward.

        ``watch`` hears of every UNet call and may raise Cancelled, which stops within that call; what was
        computed is kept. Raises ValueError if the box leaves the canvas.
        """
        rows, cols = self._layout.latents(box)
        progress = Progress(watch, self._layout, self._model.card, box)
        missing = map(self._prompts.needs, self._field.missing(rows, cols))
        cost = self._batching.count(zip(missing, self._trajectory.lengths, strict=True))
        progress.expect(cost.evaluations)
        self._field.compute(rows, cols, partial(self._denoise, progress))
        return decode(self._layout, *self._layout.place(box), partial(self._tile, progress))

    def keep(self, box: Box) -> None:
        """Forget the latents that no pixel of a box depends on; whatever is asked for later is made again.

        Who makes a scene block by block says so after each (``blocks.rest``): memory is then bounded.
        """
        self._field.keep(*self._layout.latents(box))

    def _start(self, rows: range, cols: range) -> Float32Array:
        return leveled_noise(self._noise, rows, cols) * np.float32(self._trajectory.start)

    @torch.inference_mode()
    def _denoise(self, progress: Progress, phase: int, windows: Sequence[Window], latents: Batch) -> Batch:
        """Take a group of windows through the steps of a phase."""
        x = torch.from_numpy(latents).to(self._model.device)
        mixtures = [self._prompts.mixture(window) for window in windows]
        guided = self._guidance.over(mixtures, self._batching)
        before = None
        for step in self._trajectory.phases[phase]:
            output = guided.predict(x, step, called=progress.called)
            x0 = clean(x, output, step, self._model.schedule.prediction)
            x, before = advance(x, x0, before, step), x0
            progress.stepped(windows, x0.cpu().numpy())
        return finite(x, self._profile)

    def _tile(self, progress: Progress, rows: range, cols: range) -> Float32Array:
        latents = torch.from_numpy(self._field.read(rows, cols))[None]
        pixels: Float32Array = self._model.decode(latents)[0].cpu().numpy()
        progress.decoded()
        return pixels
