"""Captions of the training windows: class names with synonyms, and attributes measured on the pixels.

An attribute is only said where it is true of the window (its mean colour), so prompts like "green fields"
mean something. Knows words; does not know tokens or networks.
"""

from __future__ import annotations

import re

import numpy as np

from model_backend.arrays import UInt8Array

PHRASES: dict[str, tuple[str, ...]] = {
    # EuroSAT, 8 m
    "AnnualCrop": ("annual crops", "cropland", "arable fields", "farmland with annual crops"),
    "Forest": ("a forest", "dense forest", "woodland", "trees"),
    "HerbaceousVegetation": ("herbaceous vegetation", "natural grassland", "wild grass and shrubs"),
    "Highway": ("a highway", "a motorway", "a highway through fields", "a main road"),
    "Industrial": ("an industrial area", "factories and warehouses", "industrial buildings"),
    "Pasture": ("a pasture", "meadows", "grazing land"),
    "PermanentCrop": ("permanent crops", "orchards and vineyards", "an orchard", "vineyards"),
    "Residential": ("a residential area", "houses and streets", "a town", "a suburb"),
    "River": ("a river", "a wide river", "a river through the land"),
    "SeaLake": ("open water", "a lake", "the sea", "water"),
    # UC Merced, 0.5 and 1 m
    "agricultural": ("agricultural land", "a crop field", "farmland", "fields with furrows"),
    "airplane": ("an airplane", "airplanes at an airport", "a parked aircraft"),
    "baseballdiamond": ("a baseball diamond", "a baseball field"),
    "beach": ("a beach", "a sandy beach and the sea", "a shore with waves"),
    "buildings": ("buildings", "large buildings", "office buildings", "a city centre"),
    "chaparral": ("chaparral", "scattered shrubs", "shrubland", "dry land with bushes"),
    "denseresidential": (
        "a dense residential area",
        "a residential area",
        "dense housing",
        "houses close together",
    ),
    "forest": ("a forest", "dense forest", "woodland", "trees"),
    "freeway": ("a freeway", "a freeway with cars", "a motorway", "a multi lane road"),
    "golfcourse": ("a golf course", "a golf course with bunkers", "a lawn with sand bunkers"),
    "harbor": ("a harbor", "boats in a harbor", "a marina with boats"),
    "intersection": ("an intersection", "a road intersection", "a street crossing"),
    "mediumresidential": ("a residential area", "a medium density residential area", "houses with gardens"),
    "mobilehomepark": ("a mobile home park", "rows of mobile homes", "a trailer park"),
    "overpass": ("an overpass", "a road bridge over a road", "a highway overpass"),
    "parkinglot": ("a parking lot", "parked cars", "a car park"),
    "river": ("a river", "a river with trees", "a river between trees"),
    "runway": ("a runway", "an airport runway", "runway markings"),
    "sparseresidential": ("a sparse residential area", "a residential area", "a house with trees", "a villa"),
    "storagetanks": ("storage tanks", "oil tanks", "round storage tanks"),
    "tenniscourt": ("a tennis court", "tennis courts"),
}
"""What each class may be called; the first phrase is the one evaluation asks for."""

_TEMPLATES = (
    "{}",
    "{}",
    "{}",
    "a satellite image of {}",
    "an aerial image of {}",
    "{} seen from above",
    "an aerial photo of {}",
)
_ATTRIBUTES = ("bright", "dark", "green", "brown", "blue", "grey")
_STOP = {
    "a",
    "an",
    "and",
    "at",
    "from",
    "in",
    "of",
    "over",
    "seen",
    "the",
    "through",
    "to",
    "with",
    "between",
}


def words() -> tuple[str, ...]:
    """Return the words of all captions that carry meaning, sorted: what the model card lists."""
    text = " ".join((*(phrase for phrases in PHRASES.values() for phrase in phrases), *_ATTRIBUTES))
    return tuple(sorted(set(re.findall(r"[a-z]+", text)) - _STOP))


def corpus() -> tuple[str, ...]:
    """Return every sentence part that captions are made of: what the tokenizer is trained on."""
    return (*(p for phrases in PHRASES.values() for p in phrases), *_TEMPLATES, *_ATTRIBUTES)


def attributes(pixels: UInt8Array) -> tuple[str, ...]:
    """Return the words for colours that are true of a window (3, h, w), by its mean colour."""
    red, green, blue = pixels.reshape(3, -1).mean(1)
    light = (red + green + blue) / 3
    found = []
    if light > 150:
        found.append("bright")
    if light < 65:
        found.append("dark")
    if green > red + 8 and green > blue + 8:
        found.append("green")
    if red > green + 8 and green > blue + 4:
        found.append("brown")
    if blue > red + 12 and blue > green - 4:
        found.append("blue")
    if max(red, green, blue) - min(red, green, blue) < 10:
        found.append("grey")
    return tuple(found)


def caption(name: str, pixels: UInt8Array, rng: np.random.Generator) -> str:
    """Return a random true caption of a window (3, h, w) of class ``name``."""
    phrases = PHRASES[name]
    text = _TEMPLATES[rng.integers(len(_TEMPLATES))].format(phrases[rng.integers(len(phrases))])
    found = attributes(pixels)
    if found and rng.random() < 0.3:
        text += ", " + found[rng.integers(len(found))]
    return text


def plain(name: str) -> str:
    """Return the prompt that evaluation uses for a class."""
    return PHRASES[name][0]
