"""What a recipe will cost, from the same integers the engine runs on. Torch-free: the planner asks here."""

from __future__ import annotations

from model_backend.engine.lattice import Count, Layout
from model_backend.engine.sampler import trajectory
from model_backend.models.card import ModelCard
from model_backend.models.schedule import Schedule
from model_backend.schemas import Recipe


def count(recipe: Recipe, card: ModelCard, schedule: Schedule, batch: int | None = None) -> Count:
    """Return windows, UNet calls and sample evaluations of one variant of a recipe.

    ``batch`` is the profile's largest window batch where it is known (a GPU's is larger than the card's).
    Raises ValueError if the canvas of the recipe is not made of whole windows or does not hold its grid.
    """
    canvas = None if recipe.canvas == "ground" else recipe.canvas
    layout = Layout.of(card.engine, card.vae_factor, canvas)
    lengths = trajectory(schedule, recipe.sampler, recipe.steps, card.engine.boundaries).lengths
    return layout.count(recipe.grid, lengths, recipe.guidance > 1, batch or card.engine.batch)
