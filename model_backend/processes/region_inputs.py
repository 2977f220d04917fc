"""The input ``regions``: polygons with prompts of their own become the regions of a recipe.

Higher priority covers lower, a later feature an earlier one of the same priority; a recipe lists them in that
order and needs no priorities. Regions that cannot touch the canvas are left out, so that a recipe says only
what its pixels depend on. Every refusal and every warning names features by their ids. Knows limits and
words; ``raster.region_outlines`` places outlines, ``engine.diffusion.prompt_field`` makes masks of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from model_backend.errors import InvalidInput, TooLarge
from model_backend.models.card import ModelCard
from model_backend.processes.features.collection import Feature, Words, features
from model_backend.processes.prompts import check_length, knows, vocabulary
from model_backend.raster.pixel_places import PixelPlaces, RingBounds, Unusable
from model_backend.raster.region_outlines import RegionOutlines
from model_backend.raster.working_grid import WorkingGrid
from model_backend.schemas import Box, Frame, Polygons, Region
from model_backend.settings import Settings

MOST_PROMPTS = 64  # different ones of a scene: each is embedded and kept
_WORDS = Words(
    field="regions",
    one="Region",
    subject="The regions",
    has="The regions have",
    empty="The regions have no polygon: draw one, or leave them out.",
    parts="polygons",
    allowed="a GeoJSON FeatureCollection of polygons, each with a property `prompt`",
)
MARGIN = 4  # latents around a region that it may reach, by its soft border
_NAMED = 3  # regions that a warning names


@dataclass(frozen=True)
class NamedRegion:
    """A region with the name that messages call it by."""

    name: str
    region: Region

    @cached_property
    def bounds(self) -> RingBounds:
        """The box around it, in pixels of the frame."""
        return RingBounds.of(self.region.rings)


@dataclass(frozen=True)
class RequestedRegions:
    """The regions of a request on a frame, each over those before it."""

    regions: tuple[NamedRegion, ...] = ()

    def on(self, canvas: Box | None, card: ModelCard) -> list[Region] | None:
        """Return the regions of a recipe on a canvas (None: the ground), None where there are none."""
        margin = MARGIN * card.vae_factor
        found = [one.region for one in self.regions if canvas is None or one.bounds.touches(canvas, margin)]
        return found or None

    def warnings(self, grid: Box, card: ModelCard) -> list[str]:
        """Warn of regions that lie outside, are too small, or have words that the model does not know."""
        outside = [one for one in self.regions if not one.bounds.touches(grid)]
        inside = [one for one in self.regions if one.bounds.touches(grid)]
        small = [one for one in inside if one.bounds.size < card.vae_factor]
        unknown = [one for one in inside if not knows(card, one.region.prompt)]
        pixels = f"{card.vae_factor} x {card.vae_factor} pixels"
        said = [
            _about(outside, lambda who, s: f"{who} {'lies' if s else 'lie'} outside of the extent."),
            _about(
                small,
                lambda who, s: (
                    f"{who} {'is' if s else 'are'} too small to be seen: the model places nothing "
                    f"smaller than {pixels}."
                ),
            ),
            _about(
                unknown,
                lambda who, s: (
                    f"{who}: {card.title} knows none of the words in the prompt{'' if s else 's'}. "
                    f"{vocabulary(card)}"
                ),
            ),
        ]
        return [sentence for sentence in said if sentence]


def read(given: Polygons | None, where: Frame | WorkingGrid, limits: Settings) -> RequestedRegions:
    """Return the regions that a request asks for, on a frame or on the grid that is worked on.

    Raises InvalidInput that names the feature and what is wrong with it, and TooLarge.
    """
    if given is None:
        return RequestedRegions()
    drawn = features(given.geojson, _WORDS, limits)
    outlines = RegionOutlines(PixelPlaces(given.crs, where, "regions"))
    found = [_region(feature, outlines, limits) for feature in drawn]
    prompts = {(named.region.prompt, named.region.negative_prompt) for _, named in found}
    if len(prompts) > MOST_PROMPTS:
        rule = f"at most {MOST_PROMPTS} different prompts"
        detail = f"The regions have {len(prompts)} different prompts; this server takes {rule}."
        raise TooLarge("regions", detail, value=len(prompts), allowed=rule)
    return RequestedRegions(tuple(named for _, named in sorted(found, key=lambda pair: pair[0])))


def _region(feature: Feature, outlines: RegionOutlines, limits: Settings) -> tuple[float, NamedRegion]:
    """Return a feature's priority and region."""
    name, field = feature.name, feature.field
    prompt = _text(feature, "prompt", limits)
    if not prompt:
        detail = f"Region {name} has no prompt: say what is to be seen there."
        raise InvalidInput(f"{field}.properties.prompt", detail, allowed="a text")
    negative = _text(feature, "negative_prompt", limits)
    priority = feature.number("priority") or 0.0
    try:
        rings = outlines.rings(feature.geometry)
    except Unusable as error:
        detail = f"Region {name} {error}."
        raise InvalidInput(f"{field}.geometry", detail, allowed="a valid Polygon or MultiPolygon") from None
    return priority, NamedRegion(name, Region(prompt=prompt, negative_prompt=negative, rings=rings))


def _text(feature: Feature, key: str, limits: Settings) -> str:
    """Return a text of a feature without blanks around it, empty where there is none."""
    text = feature.properties.get(key)
    if text is None:
        return ""
    where = f"{feature.field}.properties.{key}"
    if not isinstance(text, str):
        detail = f"Region {feature.name} has a `{key}` that is no text."
        raise InvalidInput(where, detail, value=str(text)[:200], allowed="a text")
    check_length(where, f"The `{key}` of region {feature.name}", text, limits)
    return text.strip()


def _about(some: Sequence[NamedRegion], say: Callable[[str, str], str]) -> str:
    """Return a sentence about some regions, empty if there are none; ``s`` ends a verb of one region."""
    if not some:
        return ""
    if len(some) == 1:
        return say(f"Region {some[0].name}", "s")
    names = [one.name for one in some[:_NAMED]]
    more = len(some) - len(names)
    names = [*names, f"{more} more"] if more else names
    return say(f"Regions {', '.join(names[:-1])} and {names[-1]}", "")
