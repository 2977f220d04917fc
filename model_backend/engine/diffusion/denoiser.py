"""One denoiser for scenes and edits: groups of windows, taken through the steps of a phase.

It joins a loaded model to a recipe: prompts to embeddings, the sampler's table, guidance, the noise that
windows begin with, and how windows share UNet calls. Which windows there are, what they begin a phase with
and what an inpainting model sees besides comes from its user. Every window is treated as if it were alone.
Knows no boxes of pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch

from model_backend.engine.diffusion.guidance import Guidance
from model_backend.engine.diffusion.latent_field import Batch
from model_backend.engine.diffusion.leveled_noise import leveled_noise
from model_backend.engine.diffusion.noise import Noise
from model_backend.engine.diffusion.prompt_field import PromptField
from model_backend.engine.diffusion.sampler import advance, clean, trajectory_of
from model_backend.engine.diffusion.window_progress import WindowProgress
from model_backend.engine.lattice import Latents, Layout, Window
from model_backend.models.finite import finite
from model_backend.models.loader import Model
from model_backend.models.profile import Profile
from model_backend.schemas import Recipe

#: Hears of a phase, some of its windows, and their latents at its end.
PhaseObserver = Callable[[int, Sequence[Window], Batch], None]


class Denoiser:
    """Denoises windows by a recipe; ``group`` of them share UNet calls."""

    def __init__(
        self,
        model: Model,
        recipe: Recipe,
        layout: Layout,
        batch: int,
        strength: float = 1.0,
        observer: PhaseObserver | None = None,
    ) -> None:
        """Embed the prompts; ``batch`` is the number of windows per UNet call where there are no regions."""
        self.trajectory = trajectory_of(recipe, model.schedule, model.card.engine, strength)
        self._model, self._observer = model, observer
        self._prompts = PromptField.of(recipe, layout)
        self._guidance = Guidance(model, self._prompts.prompts, recipe.level, recipe.guidance)
        self._batching = self._prompts.batching(batch)
        self._profile = model.profile_for(batch, self._batching.sizes(self.trajectory.lengths))
        self._noise = Noise.of(recipe)
        self.group = self._batching.windows

    @property
    def profile(self) -> Profile:
        """What the bits of the windows are conditional on: the model's profile with this batch."""
        short = self._guidance.approximate
        return replace(self._profile, approximate=self._profile.approximate or short)

    def evaluations(self, phases: Iterable[Sequence[Window]]) -> int:
        """Count the evaluations of the UNet that the windows of every phase take."""
        needs = map(self._prompts.needs, phases)
        return self._batching.count(zip(needs, self.trajectory.lengths, strict=True)).evaluations

    def noise(self, rows: range, cols: range) -> Latents:
        """Return the unit noise of a window's latents, (channels, rows, columns)."""
        return leveled_noise(self._noise, rows, cols)[: self._model.card.latent_channels]

    def start(self, rows: range, cols: range) -> Latents:
        """Return the noise that a window begins its first phase with."""
        return self.noise(rows, cols) * np.float32(self.trajectory.start)

    def noised(self, phase: int, clean: Latents, rows: range, cols: range) -> Latents:
        """Return clean latents of a window under the noise that a phase begins with."""
        step = self.trajectory.phases[phase][0]
        under: Latents = np.float32(step.alpha) * clean + np.float32(step.sigma) * self.noise(rows, cols)
        return under

    @torch.inference_mode()
    def denoise(
        self,
        phase: int,
        windows: Sequence[Window],
        latents: Batch,
        progress: WindowProgress,
        context: Batch | None = None,
    ) -> Batch:
        """Take a group of windows through the steps of a phase.

        ``context`` (windows, 1 + channels, window, window) is what an inpainting model sees besides; None:
        nothing is known. Raises JobFailed if the model overflows, and whatever the progress's listener does.
        """
        x = torch.from_numpy(latents).to(self._model.device)
        seen = None if context is None else torch.from_numpy(context).to(self._model.device)
        guided = self._guidance.over([self._prompts.mixture(window) for window in windows], self._batching)
        before = None
        for step in self.trajectory.phases[phase]:
            output = guided.predict(x, step, seen, progress.called)
            x0 = clean(x, output, step, self._model.schedule.prediction)
            finite(x0, "UNet", self._model.dtype)
            x, before = advance(x, x0, before, step), x0
            progress.stepped(windows, x0.cpu().numpy())
        done: Batch = x.cpu().numpy()
        if self._observer is not None:
            self._observer(phase, windows, done)
        return done
