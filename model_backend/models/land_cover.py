"""The kinds of land that example images show, and that prompts and layouts ask for.

One list for all scales: a bank has images of some kinds at some pixel sizes, and what it lacks is replaced by
the nearest kind it has (``instead``). Knows words, no pixels.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of land: ``words``, singular, are what prompts call it; ``instead``, what comes near it."""

    id: str
    words: tuple[str, ...]
    instead: tuple[str, ...] = ()


KINDS: tuple[Kind, ...] = (
    Kind(
        "water",
        ("water", "lake", "pond", "reservoir", "lagoon", "river", "stream", "creek", "brook", "canal")
        + ("sea", "ocean", "bay", "coast", "coastline", "shore", "shoreline", "seaside", "waterfront"),
    ),
    Kind("sand", ("sand", "beach", "dune", "sandbank", "sandy"), ("bare", "grassland")),
    Kind(
        "wetland",
        ("wetland", "marsh", "swamp", "bog", "reed", "mangrove", "peatland"),
        ("grassland", "forest"),
    ),
    Kind(
        "forest",
        ("forest", "wood", "woodland", "tree", "jungle", "rainforest", "grove", "orchard", "wooded"),
        ("shrubland", "grassland"),
    ),
    Kind(
        "shrubland",
        (
            "shrubland",
            "shrub",
            "bush",
            "chaparral",
            "scrub",
            "scrubland",
            "heath",
            "moor",
            "hedge",
            "hedgerow",
        ),
        ("forest", "grassland"),
    ),
    Kind(
        "grassland",
        ("grassland", "grass", "meadow", "pasture", "lawn", "prairie", "savanna", "savannah", "steppe")
        + ("park", "garden", "island", "clearing", "grassy"),
        ("farmland", "shrubland", "forest"),
    ),
    Kind(
        "farmland",
        ("farmland", "field", "farm", "crop", "cropland", "agriculture", "arable", "agricultural")
        + ("countryside", "rural", "vineyard", "plantation"),
        ("grassland",),
    ),
    Kind(
        "bare",
        ("bare", "desert", "rock", "rocky", "soil", "dirt", "gravel", "quarry", "arid", "mine", "wasteland"),
        ("sand", "grassland"),
    ),
    Kind("golf", ("golf", "golf course"), ("grassland",)),
    Kind(
        "houses",
        ("house", "housing", "home", "residential", "suburb", "suburban", "neighbourhood", "neighborhood"),
        ("town",),
    ),
    Kind("dense houses", ("rowhouse", "row house", "terraced house", "apartment"), ("houses", "town")),
    Kind(
        "sparse houses", ("cottage", "villa", "farmhouse", "homestead", "detached house"), ("houses", "town")
    ),
    Kind(
        "mobile homes",
        ("mobile home", "trailer", "caravan", "trailer park", "campsite"),
        ("dense houses", "houses", "town"),
    ),
    Kind(
        "buildings",
        ("building", "downtown", "office", "shop", "mall", "commercial", "tower", "school", "hospital")
        + ("skyscraper", "city centre", "city center", "town centre", "town center"),
        ("dense houses", "town"),
    ),
    Kind(
        "industry",
        ("industry", "industrial", "industrial park", "factory", "warehouse", "tank", "refinery", "depot"),
        ("buildings", "town"),
    ),
    Kind(
        "parking",
        ("parking", "parking lot", "parking space", "carpark", "car park", "car"),
        ("buildings", "industry", "town"),
    ),
    Kind("harbour", ("harbour", "harbor", "marina", "port", "boat", "ship", "dock", "pier"), ("water",)),
    Kind("airport", ("airport", "runway", "airfield", "airstrip", "airplane", "aeroplane"), ("road", "bare")),
    Kind(
        "road",
        ("road", "street", "highway", "freeway", "motorway", "expressway", "lane", "path", "track")
        + ("railway", "railroad"),
        ("bare",),
    ),
    Kind(
        "town",
        ("town", "city", "village", "settlement", "urban", "hamlet"),
        ("houses", "buildings", "industry"),
    ),
)

BY_ID = {kind.id: kind for kind in KINDS}


def nearest(kind: str, available: Collection[str]) -> str | None:
    """Return a kind itself if it is available, else what comes nearest to it; None: nothing does."""
    queue, seen = [kind], {kind}
    while queue:
        one = queue.pop(0)
        if one in available:
            return one
        fresh = [other for other in BY_ID[one].instead if other not in seen]
        seen.update(fresh)
        queue.extend(fresh)
    return None


def replaced(kind: str, shown: str) -> str:
    """Say that one kind stands for another."""
    return f"There are no examples of {kind} at this pixel size: {shown} is shown."


#: Land whose edges are never straight: outlines drawn for it are made natural.
SOFT = frozenset(("water", "sand", "wetland", "forest", "shrubland", "grassland", "bare"))

FARMLAND = "farmland"
#: Kinds whose streets and walls have a direction.
DIRECTED = frozenset(
    ("houses", "dense houses", "sparse houses", "mobile homes", "buildings", "industry", "parking", "road")
)
SAMPLE = "sample"  # the kind of land of a user's sample that nobody named
