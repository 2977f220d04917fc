"""A stage of a model that computes numbers which are not finite ends the job, by name."""

from __future__ import annotations

import torch
from torch import Tensor

from model_backend.errors import JobFailed
from model_backend.models.profile import name_of


def finite(numbers: Tensor, stage: str, dtype: torch.dtype) -> Tensor:
    """Return what a stage computed in a number format; raises JobFailed if it overflowed on its way."""
    if not torch.isfinite(numbers).all():
        raise JobFailed(
            f"The {stage} computed numbers that are not finite, in {str(dtype).removeprefix('torch.')} on "
            f"{name_of(numbers.device)}. Another device, or a full-precision copy of the model, may help."
        )
    return numbers
