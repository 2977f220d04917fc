"""How far neighbouring windows of a scene disagree at every blend, which no seam metric sees.

Windows that disagree where they are blended leave ghosts. Their disagreement counts against the noise that is
left at that phase's end and could still heal it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_backend.engine.diffusion.latent_field import Batch
from model_backend.engine.lattice import Window
from model_backend.engine.progress import Progress
from model_backend.engine.scene import Request, Scene
from model_backend.evaluation.metrics.contrast import disagreement
from model_backend.models.loader import Model


class PhaseRecorder(Scene):
    """A scene that keeps what every window became at the end of every phase."""

    def __init__(self, model: Model, request: Request) -> None:
        super().__init__(model, request)
        self.ends: dict[int, dict[Window, Any]] = {}

    def _denoise(self, progress: Progress, phase: int, windows: Sequence[Window], latents: Batch) -> Batch:
        result = super()._denoise(progress, phase, windows, latents)
        self.ends.setdefault(phase, {}).update(zip(windows, result, strict=True))
        return result

    def disagreement(self, stride: int) -> list[tuple[float, float]]:
        """Return for each phase (rms difference of windows ``stride`` latents apart in a row, noise left)."""
        found = []
        phases = self._trajectory.phases
        for phase, windows in sorted(self.ends.items()):
            gaps = [
                disagreement(windows[window], windows[right], (0, stride))
                for window in windows
                if (right := Window(window.row, window.col + 1)) in windows
            ]
            left = phases[phase + 1][0].sigma if phase + 1 < len(phases) else 0.0
            found.append((round(float(np.sqrt(np.mean(np.square(gaps)))), 2), round(float(left), 2)))
        return found
