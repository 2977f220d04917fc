"""The features of a GeoJSON collection: counted against the limits, each with the name that messages use.

Knows GeoJSON's outer form and the limits of a server; no geometry and no CRS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from model_backend.errors import InvalidInput, TooLarge
from model_backend.raster.pixel_places import corners
from model_backend.settings import Settings


@dataclass(frozen=True)
class Words:
    """How messages speak of one input: ``field`` is its name, ``one`` what they call a feature of it.

    ``subject`` and ``has`` begin a sentence about all of it; ``empty`` is one; ``parts`` are counted.
    """

    field: str
    one: str
    subject: str
    has: str
    empty: str
    parts: str
    allowed: str


@dataclass(frozen=True)
class Feature:
    """One feature: its name in messages, the dotted ``field`` it is, and what it holds."""

    words: Words
    name: str
    field: str
    geometry: Any
    properties: Mapping[str, Any]

    def number(self, key: str, low: float | None = None, high: float | None = None) -> float | None:
        """Return a number of the feature, None where it says none; refused below or above a limit."""
        value = self.properties.get(key)
        if value is None:
            return None
        known = isinstance(value, int | float) and not isinstance(value, bool)
        if not known or abs(value) > 1e300 or not isfinite(value):
            self._refuse(key, f"a `{key}` that is no number", value, "a finite number")
        if (low is not None and value <= low) or (high is not None and value > high):
            self._refuse(key, f"a `{key}` of {value:g}", value, f"more than {low:g}, up to {high:g}")
        return float(value)

    def flag(self, key: str) -> bool:
        """Return whether the feature says that something holds; refused if it says neither yes nor no."""
        value = self.properties.get(key)
        if value is not None and not isinstance(value, bool):
            self._refuse(key, f"a `{key}` that is neither true nor false", value, "true or false")
        return bool(value)

    def _refuse(self, key: str, has: str, value: object, allowed: str) -> None:
        detail = f"{self.words.one} {self.name} has {has}; allowed is {allowed}."
        raise InvalidInput(
            f"{self.field}.properties.{key}", detail, value=str(value)[:200], allowed=allowed
        ) from None


def features(geojson: Mapping[str, Any], words: Words, limits: Settings) -> list[Feature]:
    """Return the features of a collection, refused if they are none or too many."""
    found = geojson.get("features")
    field = f"{words.field}.geojson"
    if geojson.get("type") != "FeatureCollection" or not isinstance(found, list):
        detail = f"{words.subject} must be {words.allowed}."
        raise InvalidInput(field, detail, value=str(geojson.get("type"))[:200], allowed=words.allowed)
    if not found:
        raise InvalidInput(field, words.empty, allowed=words.allowed)
    total = corners([_member(one, "geometry") for one in found])
    for count, most, what in (
        (len(found), limits.max_regions, words.parts),
        (total, limits.max_region_corners, "corners"),
    ):
        if count > most:
            rule = f"at most {most:,} {what}"
            detail = f"{words.has} {count:,} {what}; this server takes {rule}. Simplify or select some."
            raise TooLarge(field, detail, value=count, allowed=rule)
    return [_feature(number, one, words) for number, one in enumerate(found)]


def _feature(number: int, one: object, words: Words) -> Feature:
    field = f"{words.field}.geojson.features.{number}"
    known = _member(one, "id")
    name = str(known)[:40] if isinstance(known, str | int) and str(known).strip() else f"number {number + 1}"
    if _member(one, "type") != "Feature":
        raise InvalidInput(field, f"{words.one} {name} is no GeoJSON Feature.", allowed=words.allowed)
    properties = _member(one, "properties")
    held = properties if isinstance(properties, Mapping) else {}
    return Feature(words, name, field, _member(one, "geometry"), held)


def _member(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None
