"""The input ``layout``: features that say what lies where become the layout of a recipe.

Areas lie lowest, lines over them, points over lines; among each, higher priority covers lower, then roads
cover rivers, then a later feature an earlier one. What cannot touch the canvas is left out: a recipe says
what its pixels depend on.
Knows limits and words; ``raster.layout_shapes`` places shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from model_backend.errors import InvalidInput
from model_backend.layout_schemas import LaidOut, LayoutFeatures
from model_backend.models.card import ModelCard
from model_backend.models.land_cover import BY_ID, SOFT
from model_backend.processes.features.collection import Feature, Words, features
from model_backend.processes.features.land_class import EXAMPLES, LandClass, land_class, shown
from model_backend.processes.region_inputs import MARGIN
from model_backend.raster.layout_shapes import Drawn, LayoutShapes, Shape, shape_of
from model_backend.raster.pixel_places import RingBounds, Unusable
from model_backend.raster.working_grid import WorkingGrid
from model_backend.schemas import (
    Box,
    Frame,
    GroundSampleDistance,
    Region,
)
from model_backend.settings import Settings

_WORDS = Words(
    field="layout",
    one="Feature",
    subject="The layout",
    has="The layout has",
    empty="The layout has no feature: draw one, or leave it out.",
    parts="features",
    allowed="a GeoJSON FeatureCollection of polygons, lines and points, each with a property `class`",
)
_ORDER: Sequence[Shape] = ("polygon", "line", "point")
_THIN = 12  # pixels: thinner land keeps its outline, or the noise of natural ones would tear it
_WIDEST = 10_000.0  # metres of a line or a point
_MARGIN = 12  # pixels around the canvas from which a natural outline may reach into it


@dataclass(frozen=True)
class LaidFeature:
    """A feature of a layout on a frame, with the ``name`` that messages call it by and the ``word`` it is."""

    name: str
    word: str
    shape: Shape
    drawn: Drawn
    laid: LaidOut

    @cached_property
    def bounds(self) -> RingBounds:
        """The box around it, in pixels of the frame."""
        return RingBounds.of(self.laid.rings)


@dataclass(frozen=True)
class RequestedLayout:
    """The layout of a request on a frame, each feature over those before it; ``unknown`` classes are none."""

    features: tuple[LaidFeature, ...] = ()
    unknown: tuple[str, ...] = ()
    table: str = "words"

    def on(self, canvas: Box | None) -> list[LaidOut] | None:
        """Return the layout of a recipe on a canvas (None: the ground), None where there is none."""
        found = [one.laid for one in self.features if canvas is None or one.bounds.touches(canvas, _MARGIN)]
        return found or None

    def regions(self, canvas: Box | None, card: ModelCard) -> list[Region]:
        """Return the same as regions of a diffusion model, without what it cannot place."""
        margin = MARGIN * card.vae_factor
        return [
            Region(prompt=BY_ID[one.laid.kind].words[0], negative_prompt="", rings=one.laid.rings)
            for one in self.features
            if self.is_seen(one, card) and (canvas is None or one.bounds.touches(canvas, margin))
        ]

    def is_seen(self, one: LaidFeature, card: ModelCard) -> bool:
        """Say whether a diffusion model can place a feature: it is as wide as a latent."""
        return one.drawn.thickness >= card.vae_factor and not one.drawn.widened


def read(
    given: LayoutFeatures | None, where: Frame | WorkingGrid, gsd: GroundSampleDistance, limits: Settings
) -> RequestedLayout:
    """Return the layout that a request asks for, on a frame or on the grid that is worked on.

    Raises InvalidInput that names the feature and what is wrong with it, and TooLarge.
    """
    if given is None:
        return RequestedLayout()
    shapes = LayoutShapes.on(given.crs, where, gsd)
    found: list[tuple[int, float, bool, LaidFeature]] = []
    unknown: dict[str, None] = {}
    for feature in features(given.geojson, _WORDS, limits):
        try:
            shape = shape_of(feature.geometry)
            meant = land_class(feature.properties.get("class"), given.table, shape)
            if meant is None:
                unknown[shown(feature.properties.get("class"))] = None
                continue
            laid = _laid(feature, meant, shape, shapes)
        except Unusable as error:
            rule = "a valid polygon, line or point"
            detail = f"Feature {feature.name} {error}."
            raise InvalidInput(f"{feature.field}.geometry", detail, allowed=rule) from None
        bridge = shape == "line" and meant.kind != "water"
        found.append((_ORDER.index(shape), feature.number("priority") or 0.0, bridge, laid))
    if not found:
        rule = f"classes that are {EXAMPLES[given.table]}"
        detail = f"No feature of the layout has a class that is known here. Allowed are {rule}."
        raise InvalidInput("layout.geojson", detail, value=", ".join(list(unknown)[:8]), allowed=rule)
    found.sort(key=lambda one: one[:3])
    return RequestedLayout(tuple(laid for *_, laid in found), tuple(unknown), given.table)


def _laid(feature: Feature, meant: LandClass, shape: Shape, shapes: LayoutShapes) -> LaidFeature:
    """Return a feature on the frame; raises Unusable."""
    width = feature.number("width", 0, _WIDEST)
    if shape == "polygon":
        drawn = shapes.area(feature.geometry)
    elif shape == "line":
        drawn = shapes.line(feature.geometry, width or meant.width)
    else:
        drawn = shapes.points(feature.geometry, width or meant.size, meant.is_round)
    thin = drawn.thickness < _THIN
    hard = feature.flag("hard") or shape == "point" or thin or meant.kind not in SOFT
    laid = LaidOut(kind=meant.kind, rings=drawn.rings, hard=hard)
    return LaidFeature(feature.name, meant.word, shape, drawn, laid)
