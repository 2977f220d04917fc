"""What a request has drawn: its regions and its layout, as members of a recipe and as warnings of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model_backend.layout_schemas import LayoutFeatures, LayoutRaster
from model_backend.models.card import ModelCard
from model_backend.models.registry import Entry
from model_backend.processes import region_inputs
from model_backend.processes.base import PlanContext
from model_backend.processes.features import layout, layout_notes, raster_layout
from model_backend.raster.working_grid import WorkingGrid
from model_backend.schemas import Box, Frame, GroundSampleDistance, Polygons, Recipe


@dataclass(frozen=True)
class Drawings:
    """Regions and layout on a frame; the layout has features, or is a ``raster``."""

    regions: region_inputs.RequestedRegions
    layout: layout.RequestedLayout
    raster: raster_layout.RequestedRaster | None

    def members(self, canvas: Box | None, card: ModelCard) -> dict[str, Any]:
        """Return the members of a recipe; a diffusion model takes a layout as regions.

        Raises InvalidInput where it can take none.
        """
        regions = self.regions.on(canvas, card)
        if card.by_example:
            cover = self.raster.recipe if self.raster else None
            return {"regions": regions, "layout": self.layout.on(canvas), "land_cover": cover}
        laid = self.raster.regions(canvas, card) if self.raster and not card.copies else []
        return {"regions": [*(regions or ()), *laid, *self.layout.regions(canvas, card)] or None}

    def understood(self) -> list[str]:
        """Return what was understood of the layout."""
        return self.raster.understood() if self.raster else layout_notes.understood(self.layout)

    def warnings(self, recipe: Recipe, entry: Entry) -> list[str]:
        """Return what is not seen as it was drawn."""
        said = self.regions.warnings(recipe.grid, entry.card)
        notes = layout_notes.warnings(self.layout, recipe, entry)
        return [*said, *notes, *(self.raster.warnings(recipe, entry) if self.raster else ())]


@dataclass(frozen=True)
class Place:
    """What is drawn on: a frame, or the grid that an edit works on, and on it a canvas; None: the ground."""

    where: Frame | WorkingGrid
    gsd: GroundSampleDistance
    canvas: Box | None


def read(
    drawn: tuple[Polygons | None, LayoutFeatures | LayoutRaster | None], place: Place, context: PlanContext
) -> Drawings:
    """Return the regions and the layout that a request asks for; raises InvalidInput and TooLarge."""
    regions, laid = drawn
    features = laid if isinstance(laid, LayoutFeatures) else None
    return Drawings(
        region_inputs.read(regions, place.where, context.limits),
        layout.read(features, place.where, place.gsd, context.limits),
        raster_layout.read(laid, place.where, place.canvas, context)
        if isinstance(laid, LayoutRaster)
        else None,
    )
