"""What painting takes: the box that is worked on and the work in it, by a model or from the surroundings."""

from __future__ import annotations

from dataclasses import dataclass

from model_backend.arrays import BoolArray
from model_backend.engine.by_example import fill_cost
from model_backend.engine.diffusion.prompt_field import PromptField
from model_backend.engine.diffusion.sampler import trajectory_of
from model_backend.engine.editing.active_windows import Active, canvas_around
from model_backend.engine.lattice import Layout
from model_backend.models.card import ModelCard
from model_backend.models.registry import Entry
from model_backend.schemas import Box, Recipe


@dataclass(frozen=True)
class Work:
    """The work of one variant: ``units`` are UNet evaluations, or shares of a filling."""

    windows: int
    window_evaluations: float | None
    units: int


def canvas_of(around: Box, raster: Box, own: bool, card: ModelCard) -> Box:
    """Return the box that is worked on for pixels in ``around``; ``own``: both are on the raster's grid."""
    if card.copies:
        return fill_cost.canvas_for(around)
    return canvas_around(around, raster if own else None, card.engine, card.vae_factor)


def work_of(recipe: Recipe, canvas: Box, paint: BoolArray, entry: Entry, strength: float) -> Work:
    """Return what it takes to paint pixels of a canvas, (height, width)."""
    card = entry.card
    if card.copies:
        return Work(0, None, fill_cost.units(canvas))
    layout = Layout(card.engine, card.vae_factor, canvas)
    steps = trajectory_of(recipe, entry.schedule, card.engine, strength).lengths
    count = Active(layout, paint).count(PromptField.of(recipe, layout), steps, card.engine.batch)
    return Work(count.windows, round(count.mean, 3), count.evaluations)
