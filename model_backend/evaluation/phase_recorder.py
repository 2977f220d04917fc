"""How far neighbouring windows of a scene disagree at every blend, which no seam metric sees.

Windows that disagree where they are blended leave ghosts. Their disagreement counts against the noise that is
left at that phase's end and could still heal it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model_backend.engine.diffusion.latent_field import Batch
from model_backend.engine.diffusion.sampler import trajectory_of
from model_backend.engine.lattice import Latents, Window
from model_backend.evaluation.metrics.contrast import disagreement
from model_backend.models.loader import Model
from model_backend.schemas import Recipe


class PhaseRecorder:
    """Observes a scene: keeps what every window became at the end of every phase."""

    def __init__(self) -> None:
        self.ends: dict[int, dict[Window, Latents]] = {}

    def __call__(self, phase: int, windows: Sequence[Window], latents: Batch) -> None:
        """Keep the latents of some windows at the end of a phase."""
        self.ends.setdefault(phase, {}).update(zip(windows, latents, strict=True))

    def disagreement(self, model: Model, recipe: Recipe) -> list[tuple[float, float]]:
        """Return for each phase (rms difference of neighbours in a row where they overlap, noise left)."""
        found = []
        engine = model.card.engine
        phases = trajectory_of(recipe, model.schedule, engine).phases
        for phase, windows in sorted(self.ends.items()):
            gaps = [
                disagreement(windows[window], windows[right], (0, engine.stride))
                for window in windows
                if (right := Window(window.row, window.col + 1)) in windows
            ]
            left = phases[phase + 1][0].sigma if phase + 1 < len(phases) else 0.0
            found.append((round(float(np.sqrt(np.mean(np.square(gaps)))), 2), round(float(left), 2)))
        return found
