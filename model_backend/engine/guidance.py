"""Classifier-free guidance (Ho and Salimans 2022), text and level jointly; and a check of what comes of it.

The unconditional half sees the negative prompt and no level (Text2Earth, algorithm 2). Without guidance
there is no such half. Knows a model; no windows.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_backend.errors import JobFailed
from model_backend.models.card import NO_LEVEL
from model_backend.models.loader import Model
from model_backend.models.profile import Profile


class Guidance:
    """The guided prediction of a model for one prompt and level."""

    def __init__(
        self, model: Model, prompt: str, negative_prompt: str, level: int | None, scale: float
    ) -> None:
        """Embed the prompts; ``scale`` 1 is no guidance."""
        self._model, self._level, self._scale = model, level or NO_LEVEL, scale
        #: Whether there are two halves.
        self.guided = scale > 1
        self._embeds = model.embed([negative_prompt, prompt] if self.guided else [prompt])

    def predict(self, x: Tensor, timestep: float, context: Tensor | None = None) -> Tensor:
        """Return the UNet's prediction for latents (b, c, h, w) at a timestep.

        ``context`` (b, 1 + c, h, w) is what an inpainting model sees besides; None: nothing is known.
        """
        halves = [NO_LEVEL, self._level] if self.guided else [self._level]
        embeds = self._embeds.repeat_interleave(len(x), dim=0)
        levels = torch.tensor(halves, dtype=torch.float32).repeat_interleave(len(x))
        both = None if context is None else context.repeat(len(halves), 1, 1, 1)
        output = self._model.denoise(x.repeat(len(halves), 1, 1, 1), timestep, embeds, levels, both)
        if not self.guided:
            return output
        unconditional, conditional = output.chunk(2)
        return unconditional + self._scale * (conditional - unconditional)


def finite(latents: Tensor, profile: Profile) -> NDArray[np.float32]:
    """Return denoised latents as an array; raises JobFailed if the model overflowed on its way."""
    result: NDArray[np.float32] = latents.cpu().numpy()
    if not np.isfinite(result).all():
        raise JobFailed(
            f"The model computed numbers that are not finite, in {profile.dtype} on "
            f"{profile.device}. Another device or a full-precision copy of the model may help."
        )
    return result
