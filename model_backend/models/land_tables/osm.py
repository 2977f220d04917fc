"""Tags of OpenStreetMap, in words of prompts: ``landuse=forest``, or the value alone.

A value alone means the first key that has it, in an order that suits areas, lines or single points:
``residential`` is houses as an area and a street as a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Shape = Literal["polygon", "line", "point"]

KEYS: Mapping[Shape, tuple[str, ...]] = {
    "polygon": ("landuse", "natural", "leisure", "water", "amenity", "aeroway", "building", "man_made")
    + ("waterway", "highway", "place", "railway", "barrier", "tourism"),
    "line": ("highway", "waterway", "railway", "aeroway", "barrier", "natural", "man_made", "landuse"),
    "point": (
        "building",
        "natural",
        "man_made",
        "water",
        "leisure",
        "amenity",
        "place",
        "landuse",
        "tourism",
    ),
}
ANY = "*"  # every value of a key that is not listed, as in building=yes

TAGS: Mapping[str, Mapping[str, str]] = {
    "landuse": {
        "residential": "houses",
        **dict.fromkeys(("commercial", "retail", "education", "institutional", "religious"), "buildings"),
        "industrial": "industry",
        **dict.fromkeys(("garages", "port"), "depot"),
        "military": "bare",
        **dict.fromkeys(("railway", "depot"), "depot"),
        **dict.fromkeys(("construction", "brownfield", "landfill"), "bare"),
        "quarry": "quarry",
        **dict.fromkeys(("farmland", "allotments", "greenhouse_horticulture", "plant_nursery"), "field"),
        "farmyard": "farm",
        "vineyard": "vineyard",
        "orchard": "orchard",
        "forest": "forest",
        **dict.fromkeys(("meadow", "greenfield", "animal_keeping", "paddock"), "meadow"),
        **dict.fromkeys(("grass", "village_green", "flowerbed", "recreation_ground"), "lawn"),
        "cemetery": "park",
        **dict.fromkeys(("basin", "salt_pond", "aquaculture"), "pond"),
        "reservoir": "reservoir",
    },
    "natural": {
        **dict.fromkeys(("wood", "tree_row"), "wood"),
        "tree": "tree",
        **dict.fromkeys(("scrub", "shrubbery"), "scrub"),
        **dict.fromkeys(("heath", "fell", "tundra"), "heath"),
        **dict.fromkeys(("grassland", "grass"), "grassland"),
        "water": "lake",
        **dict.fromkeys(("bay", "strait", "coastline"), "sea"),
        "wetland": "wetland",
        "mud": "wetland",
        **dict.fromkeys(("sand", "shoal"), "sand"),
        "beach": "beach",
        "dune": "dune",
        **dict.fromkeys(("bare_rock", "scree", "shingle", "rock", "stone", "cliff", "arete"), "rock"),
        **dict.fromkeys(("glacier", "bare_ground", "earth_bank"), "bare"),
    },
    "leisure": {
        **dict.fromkeys(("park", "garden", "playground", "dog_park"), "park"),
        **dict.fromkeys(("pitch", "nature_reserve", "common"), "grass"),
        "golf_course": "golf course",
        "marina": "marina",
        **dict.fromkeys(("swimming_pool", "fishing"), "pond"),
    },
    "water": {
        **{name: name for name in ("lake", "pond", "reservoir", "river", "canal", "stream", "lagoon")},
        "basin": "pond",
    },
    "waterway": {
        "river": "river",
        "riverbank": "river",
        "stream": "stream",
        "tidal_channel": "stream",
        "canal": "canal",
        **dict.fromkeys(("ditch", "drain"), "brook"),
        "dock": "dock",
    },
    "highway": {
        **dict.fromkeys(("motorway", "trunk"), "motorway"),
        **dict.fromkeys(("primary", "secondary", "tertiary", "unclassified", "road"), "road"),
        **dict.fromkeys(("motorway_link", "trunk_link", "primary_link", "secondary_link"), "road"),
        **dict.fromkeys(("residential", "living_street", "pedestrian", "tertiary_link"), "street"),
        **dict.fromkeys(("service", "track"), "track"),
        **dict.fromkeys(("path", "footway", "cycleway", "bridleway", "steps"), "path"),
    },
    "railway": {
        **dict.fromkeys(("rail", "light_rail", "tram", "narrow_gauge", "subway", "preserved"), "railway")
    },
    "aeroway": {
        "aerodrome": "airport",
        **dict.fromkeys(("runway", "taxiway"), "runway"),
        **dict.fromkeys(("apron", "helipad"), "airport"),
        **dict.fromkeys(("terminal", "hangar"), "building"),
    },
    "barrier": {"hedge": "hedge"},
    "amenity": {
        "parking": "parking lot",
        **dict.fromkeys(("school", "university", "college", "kindergarten"), "school"),
        "hospital": "hospital",
        "grave_yard": "park",
    },
    "building": {
        **dict.fromkeys(("house", "detached", "bungalow", "residential", "semidetached_house"), "house"),
        **dict.fromkeys(("apartments", "terrace", "dormitory"), "apartment"),
        **dict.fromkeys(("farm", "cabin"), "farmhouse"),
        **dict.fromkeys(("industrial", "warehouse", "hangar", "manufacture"), "warehouse"),
        "static_caravan": "caravan",
        "greenhouse": "building",
        ANY: "building",
    },
    "man_made": {
        **dict.fromkeys(("storage_tank", "silo", "gasometer", "wastewater_plant"), "tank"),
        "works": "factory",
        **dict.fromkeys(("tower", "chimney", "water_tower", "lighthouse"), "tower"),
        **dict.fromkeys(("pier", "breakwater", "quay"), "pier"),
    },
    "place": {
        "city": "city",
        "town": "town",
        "village": "village",
        **dict.fromkeys(("hamlet", "isolated_dwelling", "farm"), "hamlet"),
        **dict.fromkeys(("island", "islet"), "island"),
    },
    "tourism": {**dict.fromkeys(("camp_site", "caravan_site"), "campsite")},
}

WIDTHS: Mapping[str, float] = {  # metres, where the value says more than the word
    "motorway": 25,
    "trunk": 15,
    "primary": 12,
    "secondary": 10,
    "tertiary": 8,
    **dict.fromkeys(("motorway_link", "trunk_link", "primary_link", "secondary_link"), 8),
    "pedestrian": 6,
    "service": 5,
    "track": 4,
    "path": 2,
    "footway": 2,
    "cycleway": 3,
    "ditch": 2,
    "drain": 3,
    "runway": 45,
    "taxiway": 20,
    "tree_row": 8,
    "riverbank": 20,
}


def meaning(text: str, shape: Shape) -> tuple[str, float | None] | None:
    """Return the words that a tag or its value means, and how wide it is as a line; None: nothing here."""
    key, found, value = (part.strip() for part in text.partition("="))
    value = value if found else key
    known = bool(found) and key in TAGS  # a field may be called anything
    for one in (key,) if known else KEYS[shape]:
        values = TAGS.get(one, {})
        phrase = values.get(value) or (values.get(ANY) if known and value not in ("", "no") else None)
        if phrase:
            return phrase, WIDTHS.get(value)
    if value in TAGS and not known:  # "building", as a layer of buildings has it
        phrase = TAGS[value].get(ANY)
        return (phrase, None) if phrase else None
    return None
