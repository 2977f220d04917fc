"""How large the things of a landscape are and what outline they have: a pond is round, a river crosses.

Sizes are metres across, of lines their width. Knows words and kinds, no pixels.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from model_backend.models.land_cover import KINDS

#: round: a natural outline; block: straight edges; line: from side to side; side: one side of the scene;
#: quay: where water meets land; strip: a runway with its grass.
Shape = Literal["round", "block", "line", "side", "quay", "strip"]


class Form(NamedTuple):
    """What a word's thing looks like; ``covers``: it can be what everything else lies in."""

    shape: Shape
    low: int
    high: int
    covers: bool = False
    winding: int = 0  # percent of what is usual for a line: 0 is straight


_OF_KIND: dict[str, Form] = {
    "water": Form("round", 300, 1500),
    "sand": Form("round", 100, 500, covers=True),
    "wetland": Form("round", 200, 800, covers=True),
    "forest": Form("round", 200, 1500, covers=True),
    "shrubland": Form("round", 200, 1000, covers=True),
    "grassland": Form("round", 150, 800, covers=True),
    "farmland": Form("round", 300, 1500, covers=True),
    "bare": Form("round", 100, 800, covers=True),
    "golf": Form("round", 500, 1000, covers=True),
    "houses": Form("round", 150, 600, covers=True),
    "dense houses": Form("round", 150, 500, covers=True),
    "sparse houses": Form("round", 150, 600, covers=True),
    "mobile homes": Form("block", 100, 300, covers=True),
    "buildings": Form("block", 60, 200, covers=True),
    "industry": Form("block", 150, 500, covers=True),
    "parking": Form("block", 60, 150),
    "harbour": Form("quay", 200, 500),
    "airport": Form("strip", 1500, 3000),
    "road": Form("line", 7, 9, winding=35),
    "town": Form("round", 1000, 3000, covers=True),
}

_OF_WORD: dict[str, Form] = {
    "pond": Form("round", 30, 120),
    "lagoon": Form("round", 100, 500),
    "reservoir": Form("round", 300, 1500),
    "river": Form("line", 15, 60, winding=100),
    "stream": Form("line", 4, 10, winding=120),
    "creek": Form("line", 3, 8, winding=130),
    "brook": Form("line", 3, 6, winding=130),
    "canal": Form("line", 15, 40, winding=10),
    **dict.fromkeys(
        ("sea", "ocean", "bay", "coast", "coastline", "shore", "shoreline", "seaside", "waterfront"),
        Form("side", 0, 0),
    ),
    "beach": Form("side", 25, 60),
    "tree": Form("round", 20, 80, covers=True),
    "wood": Form("round", 100, 600, covers=True),
    "grove": Form("round", 50, 200),
    "orchard": Form("block", 80, 300, covers=True),
    **dict.fromkeys(("hedge", "hedgerow"), Form("line", 3, 6, winding=20)),
    "island": Form("round", 100, 600),
    "clearing": Form("round", 60, 300),
    "lawn": Form("round", 40, 200, covers=True),
    "park": Form("round", 100, 500, covers=True),
    "field": Form("block", 150, 500, covers=True),
    "crop": Form("block", 150, 500, covers=True),
    "vineyard": Form("block", 100, 400, covers=True),
    "quarry": Form("round", 100, 400),
    "mine": Form("round", 200, 800),
    **dict.fromkeys(("village", "settlement"), Form("round", 300, 700)),
    "hamlet": Form("round", 100, 250),
    "city": Form("round", 3000, 8000, covers=True),
    "warehouse": Form("block", 60, 150),
    "tank": Form("block", 30, 80),
    "factory": Form("block", 80, 250),
    "depot": Form("block", 80, 200),
    "tower": Form("block", 30, 60),
    **dict.fromkeys(("school", "hospital", "mall"), Form("block", 80, 200)),
    **dict.fromkeys(("highway", "freeway", "motorway", "expressway"), Form("line", 25, 25, winding=12)),
    "railway": Form("line", 8, 12, winding=15),
    "railroad": Form("line", 8, 12, winding=15),
    **dict.fromkeys(("path", "track", "lane"), Form("line", 3, 4, winding=70)),
    **dict.fromkeys(("airfield", "airstrip", "runway"), Form("strip", 600, 1500)),
}

#: Words for land without a number: there is more than one patch of it.
MASSES = frozenset(
    (
        "sand",
        "wetland",
        "marsh",
        "forest",
        "woodland",
        "jungle",
        "rainforest",
        "shrubland",
        "chaparral",
        "scrub",
    )
    + (
        "scrubland",
        "grassland",
        "grass",
        "prairie",
        "savanna",
        "steppe",
        "farmland",
        "cropland",
        "agriculture",
    )
    + ("bare", "soil", "dirt", "gravel", "housing", "residential", "industry", "industrial", "commercial")
)

#: What a kind's things usually lie in, where the prompt names nothing that could be it.
SURROUNDINGS: dict[str, str] = {
    "town": "farmland",
    "road": "farmland",
    "parking": "buildings",
    "industry": "buildings",
    "harbour": "houses",
    "farmland": "grassland",
}
ELSE = "grassland"

#: Kinds with streets between their blocks, at fine scales.
SETTLED = ("houses", "dense houses", "sparse houses", "town")

#: Kinds that towns, water and buildings lie on.
GREEN = ("sand", "wetland", "forest", "shrubland", "grassland", "farmland", "bare", "golf")

BUILT_UP = (*SETTLED, "buildings")

#: Settlements without a centre of large buildings.
VILLAGES = ("village", "hamlet", "settlement")

#: What else must not be seen when a kind is not wanted.
IMPLIED: dict[str, tuple[str, ...]] = {
    "water": ("harbour",),
    "houses": ("dense houses", "sparse houses", "mobile homes"),
    "town": ("houses", "dense houses", "sparse houses", "mobile homes", "buildings", "industry", "parking"),
    "buildings": ("industry", "houses", "dense houses", "sparse houses", "mobile homes", "town"),
}

KIND_OF: dict[str, str] = {word: kind.id for kind in KINDS for word in kind.words}


def form_of(word: str) -> Form:
    """Return the form of a word of ``KINDS``."""
    return _OF_WORD.get(word) or _OF_KIND[KIND_OF[word]]
