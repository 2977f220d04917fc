"""Small scenes straight from the engine, and how many UNet calls they cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from model_backend.engine.scene import Scene
from model_backend.models.card import EngineParameters
from model_backend.models.loader import Model
from model_backend.schemas import Box
from tests.support.backend.recipes import recipe_of
from tests.support.backend.tiny_models import ProgressRecorder

# Two phases and small decode tiles keep cones short; the last step is plain, alone in its phase or not.
SHORT = EngineParameters(
    window=8,
    stride=6,
    boundaries=(500,),
    guidance_cutoff=100,
    decode_window=14,
    decode_core=8,
    decode_halo=3,
    decode_fade=2,
    batch=4,
)


def box(col: int, row: int, width: int, height: int) -> Box:
    return Box(col=col, row=row, width=width, height=height)


def pixels(model: Model, wanted: Box, **changes: Any) -> np.ndarray:
    return Scene(model, recipe_of(**changes)).pixels(wanted, ProgressRecorder())


@contextmanager
def counted(model: Model) -> Iterator[list[int]]:
    """Count the samples of every UNet call really made."""
    calls: list[int] = []
    hook = model._unet.register_forward_pre_hook(lambda _module, args: calls.append(len(args[0])))
    yield calls
    hook.remove()
