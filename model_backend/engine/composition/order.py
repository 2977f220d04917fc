"""What is drawn over what: land, towns and their streets, lakes, rivers, roads, the sea, harbours.

Knows how kinds of land go together (a strip of grass between water and houses, a beach by the sea); where
things are is ``placement``'s and ``recurrence``'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from model_backend.engine.composition.composition import Thing
from model_backend.engine.composition.drawing import Scale
from model_backend.engine.composition.forms import BUILT_UP, ELSE, GREEN, SETTLED, VILLAGES
from model_backend.engine.composition.layers import Drawn, Layer
from model_backend.engine.composition.outlines.noise import UNIT
from model_backend.engine.composition.placement import Placed
from model_backend.engine.composition.streets import (
    CENTRED,
    KEEP,
    PLAIN,
    VARIED,
    Network,
    Settlement,
    Streets,
)
from model_backend.engine.composition.zones import Zones

_STRIP = 10  # metres of grass between water and houses


class Order:
    """Draws layers over each other in the order in which land is made."""

    def __init__(
        self, background: str, things: Sequence[Thing], placed: Sequence[Placed], scale: Scale, zones: Zones
    ) -> None:
        self._things, self._placed, self._scale, self._zones = things, placed, scale, zones
        self._network: Network | None = None
        self._beach: tuple[int, str | None] = 0, None
        self._settled: dict[int, int] = {}
        self._water: list[int] = []
        self._parts: list[int] = []  # of towns: streets, parks
        zone = zones.add(background)
        if background in BUILT_UP:
            self._settled[zone] = CENTRED if background == "town" else VARIED

    def layers(self, streets: bool, beach: int) -> list[Layer]:
        """Return the layers, with streets in towns or not, and a beach of some width by the largest water."""
        waters = {thing.shape for thing in self._things if thing.kind == "water"}
        self._beach = beach, next((shape for shape in ("side", "round", "line") if shape in waters), None)
        scale = self._scale
        self._network = Network(scale.metre, scale.base, scale.draw(1 << 30, 95)) if streets else None
        found: list[Layer] = []
        for rank in range(7):
            for thing, placed in zip(self._things, self._placed, strict=True):
                if _rank(thing) == rank:
                    found += self._drawn(thing, placed)
            if rank == 1 and self._network is not None and self._settled:
                found.append(self._streets(self._network))
        return found

    def _drawn(self, thing: Thing, placed: Placed) -> list[Layer]:
        found: list[Layer] = []
        if placed.around is not None:
            found.append(Drawn(placed.around, self._zones.add(ELSE, silent=True)))
        zone = self._zones.add(thing.kind)
        if thing.kind == "water":
            found.append(self._wet(thing, placed, zone))
            self._water.append(zone)
        elif thing.shape == "quay":
            found.append(Drawn(placed.source, zone, over=tuple(self._water) or None))
        else:
            if thing.kind in SETTLED and self._network is not None:
                found.append(Settlement(placed.source, zone, self._network))
            else:
                found.append(Drawn(placed.source, zone))
            if thing.kind in SETTLED:
                town = thing.kind == "town" and thing.word not in VILLAGES
                self._settled[zone] = CENTRED if town else PLAIN
        return found

    def _wet(self, thing: Thing, placed: Placed, zone: int) -> Layer:
        """Draw water with what lies along its shore: a beach, or grass where there are houses."""
        width, beached = self._beach
        if width and thing.shape == beached:
            return Drawn(placed.source, zone, None, max(3 * UNIT, width), self._zones.add("sand"))
        strip = self._scale.length(_STRIP)
        if not self._settled or strip < UNIT:
            return Drawn(placed.source, zone)
        grass = self._zones.add(ELSE, silent=True)
        return Drawn(placed.source, zone, None, strip, grass, (*self._settled, *self._parts))

    def _streets(self, network: Network) -> Layer:
        """Draw streets, with a few parks, and what a centre has."""
        before = len(self._zones.labels)
        park, road = self._zones.add(ELSE, silent=True), self._zones.add("road")
        usual = [park] + [KEEP] * 31
        centre = list(usual)
        if CENTRED in self._settled.values():
            for kind, lots in (("buildings", range(1, 20)), ("parking", range(20, 26))):
                if self._zones.has(kind):
                    zone = self._zones.add(kind)
                    centre[lots.start : lots.stop] = [zone] * len(lots)
        self._parts += range(before, len(self._zones.labels))
        return Streets(road, tuple(self._settled.items()), (*usual, *centre), network)


def _rank(thing: Thing) -> int:
    """Return when a thing is drawn: later ones cover earlier ones."""
    if thing.kind in BUILT_UP and thing.shape in ("round", "side"):
        return 1
    if thing.shape == "quay":
        return 6
    if thing.kind == "water":
        return {"line": 3, "side": 5}.get(thing.shape, 2)
    if thing.shape == "line":
        return 4
    return 2 if thing.shape in ("block", "strip") and thing.kind not in GREEN else 0
