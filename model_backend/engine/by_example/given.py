"""What a user's own rasters give to land by example: samples of how it looks, and what lies where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model_backend.engine.by_example.land_cover import LandCover
from model_backend.engine.by_example.samples import SampleImage


@dataclass(frozen=True)
class Given:
    """The samples that a recipe names, and its land cover, if it has one."""

    samples: Sequence[SampleImage] = ()
    cover: LandCover | None = None


NONE = Given()
