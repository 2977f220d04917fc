"""What a request has drawn: its regions and its layout, as members of a recipe and as warnings of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model_backend.layout_schemas import LayoutFeatures
from model_backend.models.card import ModelCard
from model_backend.models.registry import Entry
from model_backend.processes import region_inputs
from model_backend.processes.features import layout, layout_notes
from model_backend.raster.working_grid import WorkingGrid
from model_backend.schemas import Box, Frame, GroundSampleDistance, Polygons, Recipe
from model_backend.settings import Settings


@dataclass(frozen=True)
class Drawings:
    """Regions and layout on a frame."""

    regions: region_inputs.RequestedRegions
    layout: layout.RequestedLayout

    def members(self, canvas: Box | None, card: ModelCard) -> dict[str, Any]:
        """Return the members of a recipe; a diffusion model takes a layout as regions."""
        regions = self.regions.on(canvas, card)
        if card.by_example:
            return {"regions": regions, "layout": self.layout.on(canvas)}
        return {"regions": [*(regions or ()), *self.layout.regions(canvas, card)] or None}

    def understood(self) -> list[str]:
        """Return what was understood of the layout."""
        return layout_notes.understood(self.layout)

    def warnings(self, recipe: Recipe, entry: Entry) -> list[str]:
        """Return what is not seen as it was drawn."""
        notes = layout_notes.warnings(self.layout, recipe, entry)
        return [*self.regions.warnings(recipe.grid, entry.card), *notes]


def read(
    drawn: tuple[Polygons | None, LayoutFeatures | None],
    where: Frame | WorkingGrid,
    gsd: GroundSampleDistance,
    limits: Settings,
) -> Drawings:
    """Return the regions and the layout that a request asks for; raises InvalidInput and TooLarge."""
    regions, laid = drawn
    return Drawings(region_inputs.read(regions, where, limits), layout.read(laid, where, gsd, limits))
