"""Recipes of tiny scenes, for tests of the engine."""

from __future__ import annotations

from typing import Any

from model_backend.schemas import Box, Frame, Recipe

FRAME = Frame(crs="EPSG:32632", pixel_size=["1", "1"], anchor=[0, 0])


def recipe_of(canvas: Box | None = None, **changes: Any) -> Recipe:
    """Return the recipe of all of a canvas (None: a pixel of the ground), with members of choice."""
    members: dict[str, Any] = {
        "model": "tiny",
        "revision": "0",
        "prompt": "a lake and the forest",
        "negative_prompt": "desert",
        "frame": FRAME,
        "grid": canvas or Box(col=0, row=0, width=1, height=1),
        "canvas": canvas or "ground",
        "level": 16,
        "seed": 11,
        "steps": 4,
        "sampler": "dpm++2m",
        "guidance": 4.0,
    }
    return Recipe(**(members | changes))
