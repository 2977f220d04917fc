"""What a recipe will cost, from the same integers the engine runs on. Torch-free: the planner asks here."""

from __future__ import annotations

from model_backend.engine.blocks import Blocks
from model_backend.engine.diffusion.prompt_field import PromptField
from model_backend.engine.diffusion.sampler import trajectory_of
from model_backend.engine.lattice import Count, Layout
from model_backend.models.card import ModelCard
from model_backend.models.schedule import Schedule
from model_backend.schemas import Recipe


def count(recipe: Recipe, card: ModelCard, schedule: Schedule) -> Count:
    """Count windows, UNet calls and sample evaluations of one variant, made block by block by one worker.

    In batches of the card's size; a GPU's are larger and pad a little more. Raises ValueError if the canvas
    of the recipe is not made of whole windows or does not hold its grid.
    """
    return sum(count_blocks(recipe, card, schedule), Count())


def count_blocks(recipe: Recipe, card: ModelCard, schedule: Schedule) -> list[Count]:
    """Count what every block adds to those before it, in the order of the scan.

    The last batch of a phase is padded in every block, and padding counts: it is computed. A block that is
    made alone (a second worker, or after a death) costs more: also the windows that earlier blocks made.
    """
    layout = Layout.of(card.engine, card.vae_factor, recipe.canvas_box)
    lengths = trajectory_of(recipe, schedule, card.engine).lengths
    prompts = PromptField.of(recipe, layout)
    survey = prompts.survey(*layout.windows(recipe.grid, len(lengths))[0])  # later phases need no others
    blocks = Blocks.of(recipe.grid, card.engine, card.vae_factor)
    batch = card.engine.batch
    return [survey.count(windows, lengths, batch) for windows in blocks.fresh(layout, len(lengths))]
