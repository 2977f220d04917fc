"""What a diffusion model begins a scene with, as it travels: noise, or land by example under noise.

A part of ``schemas``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from model_backend.value import Value

Start = Annotated[
    Literal["noise", "bank"],
    Field(description="What a diffusion model begins with: noise, or land by example of the same prompt."),
]
Strength = Annotated[
    FiniteFloat,
    Field(gt=0, le=1, description="Of the start `bank`: 1 leaves its tone, less keeps more of it."),
]


class StartRecipe(Value):
    """What determines the land by example that a diffusion model begins with."""

    bank: str
    revision: str = Field(description="Hash of the bank.")
    strength: FiniteFloat = Field(gt=0, le=1, description="Share of the noise levels that are denoised.")
    gsd: FiniteFloat = Field(gt=0, description="As of land by example.")
