"""How wide lines of a word are, and how large a single thing of it, in metres, where a map does not say."""

from __future__ import annotations

from collections.abc import Mapping

LINES: Mapping[str, float] = {
    **dict.fromkeys(("motorway", "highway", "freeway", "expressway"), 25),
    **dict.fromkeys(("road", "street"), 7),
    **dict.fromkeys(("lane", "track"), 4),
    "path": 2,
    **dict.fromkeys(("railway", "railroad"), 6),
    **dict.fromkeys(("runway", "airstrip", "airfield"), 45),
    **dict.fromkeys(("river", "water"), 20),
    "canal": 15,
    "creek": 4,
    "stream": 4,
    "brook": 3,
    **dict.fromkeys(("hedge", "hedgerow"), 4),
    **dict.fromkeys(("beach", "coast", "shore", "coastline", "shoreline"), 25),
    **dict.fromkeys(("tree", "wood", "forest"), 10),
    "pier": 6,
}
OTHER_LINE = 10.0

POINTS: Mapping[str, float] = {
    **dict.fromkeys(("house", "home", "cottage", "farmhouse"), 12),
    "villa": 18,
    **dict.fromkeys(("rowhouse", "row house", "terraced house", "detached house"), 12),
    "apartment": 25,
    **dict.fromkeys(("mobile home", "trailer", "caravan"), 8),
    "building": 20,
    **dict.fromkeys(("tower", "skyscraper"), 25),
    **dict.fromkeys(("shop", "office"), 25),
    **dict.fromkeys(("school", "hospital", "mall"), 80),
    **dict.fromkeys(("warehouse", "factory", "depot"), 60),
    "tank": 20,
    **dict.fromkeys(("tree", "bush", "shrub"), 8),
    **dict.fromkeys(("grove", "wood"), 60),
    "pond": 40,
    **dict.fromkeys(("lake", "reservoir", "lagoon"), 300),
    **dict.fromkeys(("boat", "car"), 6),
    "ship": 40,
    **dict.fromkeys(("airplane", "aeroplane"), 35),
    "quarry": 150,
    **dict.fromkeys(("parking", "parking lot", "car park", "carpark"), 40),
    "hamlet": 120,
    **dict.fromkeys(("village", "settlement"), 400),
    "town": 1500,
    "city": 4000,
}
OTHER_POINT = 50.0
ROUND = frozenset(("tank",))  # although what is built has corners
