"""The input ``regions``: polygons with prompts of their own become the regions of a recipe.

Higher priority covers lower, a later feature an earlier one of the same priority; a recipe lists them in that
order and needs no priorities. Regions that cannot touch the canvas are left out, so that a recipe says only
what its pixels depend on. Every refusal and every warning names features by their ids. Knows limits and
words; ``raster.region_outlines`` places outlines, ``engine.diffusion.prompt_field`` makes masks of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from model_backend.errors import InvalidInput, TooLarge
from model_backend.models.card import ModelCard
from model_backend.processes.prompts import check_length, knows, vocabulary
from model_backend.raster.region_outlines import RegionOutlines, Unusable, corners
from model_backend.raster.working_grid import WorkingGrid
from model_backend.schemas import REGION_UNITS, Box, Frame, Polygons, Region
from model_backend.settings import Settings

MOST_PROMPTS = 64  # different ones of a scene: each is embedded and kept
_ALLOWED = "a GeoJSON FeatureCollection of polygons, each with a property `prompt`"
_MARGIN = 4  # latents around a region that it may reach, by its soft border
_NAMED = 3  # regions that a warning names


@dataclass(frozen=True)
class NamedRegion:
    """A region with the name that messages call it by."""

    name: str
    region: Region

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in pixels of the frame."""
        xs = [value for ring in self.region.rings for value in ring[::2]]
        ys = [value for ring in self.region.rings for value in ring[1::2]]
        left, top, right, bottom = (n / REGION_UNITS for n in (min(xs), min(ys), max(xs), max(ys)))
        return left, top, right, bottom

    @property
    def size(self) -> float:
        """Pixels along the longer side."""
        left, top, right, bottom = self.bounds
        return max(right - left, bottom - top)

    def touches(self, box: Box, margin: float = 0) -> bool:
        """Say whether the bounds meet a box of pixels, grown by a margin."""
        left, top, right, bottom = self.bounds
        return (
            left < box.col + box.width + margin
            and right > box.col - margin
            and top < box.row + box.height + margin
            and bottom > box.row - margin
        )


@dataclass(frozen=True)
class RequestedRegions:
    """The regions of a request on a frame, each over those before it."""

    regions: tuple[NamedRegion, ...] = ()

    def on(self, canvas: Box | None, card: ModelCard) -> list[Region] | None:
        """Return the regions of a recipe on a canvas (None: the ground), None where there are none."""
        margin = _MARGIN * card.vae_factor
        found = [one.region for one in self.regions if canvas is None or one.touches(canvas, margin)]
        return found or None

    def warnings(self, grid: Box, card: ModelCard) -> list[str]:
        """Warn of regions that lie outside, are too small, or have words that the model does not know."""
        outside = [one for one in self.regions if not one.touches(grid)]
        inside = [one for one in self.regions if one.touches(grid)]
        small = [one for one in inside if one.size < card.vae_factor]
        unknown = [one for one in inside if not knows(card, one.region.prompt)]
        pixels = f"{card.vae_factor} x {card.vae_factor} pixels"
        said = [
            _about(outside, lambda who, s: f"{who} lie{s} outside of the extent."),
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
                    f"{card.title} knows none of the words in the prompt{'' if s else 's'} of "
                    f"{who[0].lower()}{who[1:]}. {vocabulary(card)}"
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
    features = _features(given.geojson, limits)
    outlines = RegionOutlines(given.crs, where)
    found = [_region(number, feature, outlines, limits) for number, feature in enumerate(features)]
    prompts = {(named.region.prompt, named.region.negative_prompt) for _, named in found}
    if len(prompts) > MOST_PROMPTS:
        rule = f"at most {MOST_PROMPTS} different prompts"
        detail = f"The regions have {len(prompts)} different prompts; this server takes {rule}."
        raise TooLarge("regions", detail, value=len(prompts), allowed=rule)
    return RequestedRegions(tuple(named for _, named in sorted(found, key=lambda pair: pair[0])))


def _features(geojson: Mapping[str, Any], limits: Settings) -> list[Any]:
    """Return the features of a collection, refused if they are none or too many."""
    features = geojson.get("features")
    if geojson.get("type") != "FeatureCollection" or not isinstance(features, list):
        raise InvalidInput(
            "regions.geojson", f"The regions must be {_ALLOWED}.", value=geojson.get("type"), allowed=_ALLOWED
        )
    if not features:
        raise InvalidInput(
            "regions.geojson", "The regions have no polygon: draw one, or leave them out.", allowed=_ALLOWED
        )
    total = corners([_member(feature, "geometry") for feature in features])
    for count, most, what in (
        (len(features), limits.max_regions, "polygons"),
        (total, limits.max_region_corners, "corners"),
    ):
        if count > most:
            rule = f"at most {most:,} {what}"
            detail = f"The regions have {count:,} {what}; this server takes {rule}. Simplify or select some."
            raise TooLarge("regions.geojson", detail, value=count, allowed=rule)
    return features


def _region(
    number: int, feature: object, outlines: RegionOutlines, limits: Settings
) -> tuple[float, NamedRegion]:
    """Return a feature's priority and region."""
    field = f"regions.geojson.features.{number}"
    known = _member(feature, "id")
    name = str(known)[:40] if isinstance(known, str | int) and str(known).strip() else f"number {number + 1}"
    if _member(feature, "type") != "Feature":
        raise InvalidInput(field, f"Region {name} is no GeoJSON Feature.", allowed=_ALLOWED)
    properties = _member(feature, "properties")
    prompt = _text(properties, "prompt", field, name, limits)
    if not prompt:
        detail = f"Region {name} has no prompt: say what is to be seen there."
        raise InvalidInput(f"{field}.properties.prompt", detail, allowed="a text")
    negative = _text(properties, "negative_prompt", field, name, limits)
    priority = _priority(properties, field, name)
    try:
        rings = outlines.rings(_member(feature, "geometry"))
    except Unusable as error:
        detail = f"Region {name} {error}."
        raise InvalidInput(f"{field}.geometry", detail, allowed="a valid Polygon or MultiPolygon") from None
    return priority, NamedRegion(name, Region(prompt=prompt, negative_prompt=negative, rings=rings))


def _member(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _text(properties: object, key: str, field: str, name: str, limits: Settings) -> str:
    """Return a text of a feature without blanks around it, empty where there is none."""
    text = _member(properties, key)
    if text is None:
        return ""
    where = f"{field}.properties.{key}"
    if not isinstance(text, str):
        detail = f"Region {name} has a `{key}` that is no text."
        raise InvalidInput(where, detail, value=str(text)[:200], allowed="a text")
    check_length(where, f"The `{key}` of region {name}", text, limits)
    return text.strip()


def _priority(properties: object, field: str, name: str) -> float:
    """Return the priority of a feature: 0 where it says none."""
    value = _member(properties, "priority")
    if value is None:
        return 0.0
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
        detail = f"Region {name} has a `priority` that is no number."
        raise InvalidInput(
            f"{field}.properties.priority", detail, value=str(value)[:200], allowed="a finite number"
        )
    return float(value)


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
