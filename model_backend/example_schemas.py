"""What land by example is made of, as it travels, and the start of a diffusion model that is such land.

A part of ``schemas``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from model_backend.value import Value

Start = Annotated[
    Literal["noise", "bank", "samples"],
    Field(
        description="What a diffusion model begins with: noise, or land by example of the same prompt, made "
        "of the bank's images or of `samples`."
    ),
]
Strength = Annotated[
    FiniteFloat,
    Field(gt=0, le=1, description="Of a start by example: 1 leaves its tone, less keeps more of it."),
]


class SampleRecipe(Value):
    """A sample, as far as pixels depend on it."""

    source: str = Field(description="SHA-256 of the raster, as this backend stored it.")
    area: str = Field(description="SHA-256 of the area's box and pixels.")
    kind: str | None = Field(description="The kind of land that it shows; null: all that is asked for.")
    bands: list[int]
    stretch: list[list[FiniteFloat]]


class ExampleRecipe(Value):
    """What determines the pixels of land by example besides the model's part."""

    gsd: FiniteFloat = Field(
        gt=0, description="Ground metres per pixel that the example images are brought to."
    )
    samples: list[SampleRecipe] = []


class StartRecipe(ExampleRecipe):
    """What determines the land by example that a diffusion model begins with."""

    bank: str
    revision: str = Field(description="Hash of the bank.")
    strength: FiniteFloat = Field(gt=0, le=1, description="Share of the noise levels that are denoised.")
