"""The kinds of land that example images show, and that prompts and layouts ask for.

One list for all scales: a bank has images of some kinds at some pixel sizes, and what it lacks is replaced by
the nearest kind it has (``instead``). Knows words, no pixels.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of land: ``words`` are what prompts call it, singular; ``instead``, what comes near it."""

    id: str
    words: tuple[str, ...]
    instead: tuple[str, ...] = ()


KINDS: tuple[Kind, ...] = (
    Kind("water", ("water", "lake", "pond", "river", "stream", "sea", "ocean", "reservoir", "canal", "bay")),
    Kind("sand", ("sand", "beach", "dune", "shore", "coast"), ("bare", "grassland")),
    Kind("wetland", ("wetland", "marsh", "swamp", "bog", "reed"), ("grassland", "forest")),
    Kind(
        "forest", ("forest", "wood", "woodland", "tree", "jungle", "rainforest"), ("shrubland", "grassland")
    ),
    Kind("shrubland", ("shrubland", "shrub", "bush", "chaparral", "scrub", "heath"), ("grassland", "forest")),
    Kind(
        "grassland",
        ("grassland", "grass", "meadow", "pasture", "lawn", "prairie", "savanna", "park"),
        ("farmland", "shrubland", "forest"),
    ),
    Kind(
        "farmland",
        ("farmland", "field", "farm", "crop", "cropland", "agriculture", "arable", "agricultural"),
        ("grassland",),
    ),
    Kind(
        "bare", ("bare", "desert", "rock", "soil", "dirt", "gravel", "quarry", "arid"), ("sand", "grassland")
    ),
    Kind("golf", ("golf",), ("grassland",)),
    Kind("houses", ("house", "housing", "residential", "suburb", "neighbourhood", "neighborhood"), ("town",)),
    Kind("dense houses", ("rowhouse", "apartment"), ("houses", "town")),
    Kind("sparse houses", ("cottage", "villa", "farmhouse", "homestead"), ("houses", "town")),
    Kind("mobile homes", ("trailer", "caravan"), ("dense houses", "houses", "town")),
    Kind(
        "buildings",
        ("building", "downtown", "office", "shop", "mall", "commercial", "tower", "school", "hospital"),
        ("dense houses", "town"),
    ),
    Kind(
        "industry",
        ("industry", "industrial", "factory", "warehouse", "tank", "refinery"),
        ("buildings", "town"),
    ),
    Kind("parking", ("parking", "carpark", "car"), ("buildings", "industry", "town")),
    Kind("harbour", ("harbour", "harbor", "marina", "port", "boat", "ship", "dock"), ("water",)),
    Kind("airport", ("airport", "runway", "airfield", "airplane", "aeroplane"), ("road", "bare")),
    Kind("road", ("road", "street", "highway", "freeway", "motorway", "path", "track"), ("bare",)),
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
