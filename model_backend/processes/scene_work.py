"""What a scene takes: its canvas, its blocks and the work in each, by a diffusion model or by example."""

from __future__ import annotations

from dataclasses import dataclass

from model_backend.engine import cost, lattice
from model_backend.engine.blocks import Blocks
from model_backend.engine.synthesis.cost import count_blocks
from model_backend.engine.synthesis.extents import Extents
from model_backend.engine.synthesis.parameters import Parameters
from model_backend.models.card import ModelCard
from model_backend.models.registry import Entry
from model_backend.schemas import Box, Recipe

_EXAMPLE_SIDE = 1024  # pixels of a block by example: a second of work, a tenth of it for its margins


@dataclass(frozen=True)
class SceneWork:
    """The work of one variant: ``blocks`` in the order of the scan, in UNet evaluations or shares of work."""

    windows: int
    window_evaluations: float | None
    blocks: tuple[int, ...]

    @property
    def units(self) -> int:
        """The work of all blocks."""
        return sum(self.blocks)


def canvas_of(grid: Box, card: ModelCard) -> Box:
    """Return the box on which the scene of a grid is laid out: for a network it is whole windows."""
    return grid if card.by_example else lattice.canvas_box(grid, card.engine, card.vae_factor)


def blocks_of(grid: Box, card: ModelCard) -> Blocks:
    """Return the blocks that a scene is made in."""
    if card.by_example:
        return Blocks.cut(grid, _EXAMPLE_SIDE)
    return Blocks.of(grid, card.engine, card.vae_factor)


def work_of(recipe: Recipe, entry: Entry) -> SceneWork:
    """Count the work of one variant, made block by block by one worker."""
    card = entry.card
    if card.by_example:
        extents = Extents(Parameters(), recipe.grid, recipe.canvas_box)
        return SceneWork(0, None, tuple(count_blocks(extents, blocks_of(recipe.grid, card))))
    counts = cost.count_blocks(recipe, card, entry.schedule)
    whole = sum(counts, lattice.Count())
    return SceneWork(whole.windows, round(whole.mean, 3), tuple(count.evaluations for count in counts))
