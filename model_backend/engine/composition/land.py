"""From a composition to a label map: begin here.

``land`` decides which example images show what is asked for, what is drawn over what, and what cannot be
shown at a pixel size; ``prompt.read`` makes compositions. The result is a function of seed and place alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from model_backend.engine.composition.composition import Composition, Thing
from model_backend.engine.composition.drawing import Scale
from model_backend.engine.composition.forms import ELSE, GREEN, SETTLED, VILLAGES
from model_backend.engine.composition.label_maps import Layered
from model_backend.engine.composition.layers import Drawn, Layer
from model_backend.engine.composition.noise import UNIT
from model_backend.engine.composition.placement import Placed, on_canvas
from model_backend.engine.composition.recurrence import on_ground
from model_backend.engine.composition.streets import CENTRED, KEEP, PLAIN, VARIED, Streets
from model_backend.models.land_cover import nearest
from model_backend.schemas import Box

STREETS_TO = 2.5  # metres per pixel: streets are seen up to here
_BUILT_UP = (*SETTLED, "buildings")
_STRIP = 10  # metres of grass between water and houses


@dataclass(frozen=True)
class Land:
    """A label map of the kinds it was made for, and sentences on what it cannot show."""

    labels: Layered
    warnings: tuple[str, ...]


class _Zones:
    """Which zones there are, and which available kind shows each."""

    def __init__(self, available: Sequence[str], excluded: Sequence[str]) -> None:
        self._available = tuple(available)
        self._allowed = [kind for kind in available if kind not in excluded]
        self.labels: list[int] = []
        self.warnings: dict[str, None] = {}

    def add(self, kind: str, silent: bool = False) -> int:
        """Return a new zone that shows a kind, or what comes nearest to it."""
        shown = nearest(kind, self._allowed) or next(iter(self._allowed or self._available))
        if shown != kind and not silent:
            self.warnings[f"There are no examples of {kind} at this pixel size: {shown} is shown."] = None
        self.labels.append(self._available.index(shown))
        return len(self.labels) - 1

    def has(self, kind: str) -> bool:
        """Say whether a kind can be shown and is not excluded."""
        return kind in self._allowed


def land(
    composition: Composition, seed: int, canvas: Box | None, gsd: float, available: Sequence[str]
) -> Land:
    """Return the label map of a canvas, or (None) of endless ground, at ``gsd`` metres per pixel.

    Labels are indices into ``available``, kinds that there are examples of at this pixel size.
    """
    scale = Scale.of(gsd, seed)
    zones = _Zones(available, composition.excluded)
    drawn = []
    for thing in composition.things:
        if thing.shape == "line" and thing.kind != "water" and scale.length(thing.high) < UNIT:
            wide = f"{thing.high} m wide: less than a pixel of {gsd:g} m"
            zones.warnings[f"Left out: {thing.word}, {wide}. Choose smaller pixels to see it."] = None
        else:
            drawn.append(thing)
    things = _renumbered(composition.things, drawn)
    placed = on_ground(things, scale) if canvas is None else on_canvas(things, scale, canvas)
    layers = _Builder(composition.background, things, placed, scale, zones).layers(gsd)
    return Land(Layered(tuple(layers), tuple(zones.labels)), tuple(zones.warnings))


def _renumbered(before: Sequence[Thing], kept: Sequence[Thing]) -> list[Thing]:
    """Let things that were left out be nobody's neighbour."""
    index = {id(thing): number for number, thing in enumerate(kept)}
    return [
        replace(thing, near=None if thing.near is None else index.get(id(before[thing.near])))
        for thing in kept
    ]


class _Builder:
    """Draws layers over each other in the order in which land is made."""

    def __init__(
        self, background: str, things: Sequence[Thing], placed: Sequence[Placed], scale: Scale, zones: _Zones
    ) -> None:
        self._things, self._placed, self._scale, self._zones = things, placed, scale, zones
        self._settled: dict[int, int] = {}
        self._water: list[int] = []
        self._lakes: list[int] = []
        self._parts: list[int] = []  # of towns: streets, parks
        zone = zones.add(background)
        if background in _BUILT_UP:
            self._settled[zone] = CENTRED if background == "town" else VARIED
        self._beach = next((thing for thing in things if thing.word == "beach"), None)
        seas = [thing for thing in things if thing.kind == "water" and thing.shape == "side"]
        self._beached = "side" if seas else "round"

    def layers(self, gsd: float) -> list[Layer]:
        """Return layers: land, towns and their streets, lakes, rivers, roads, the sea, harbours."""
        found: list[Layer] = []
        pairs = [
            (thing, placed)
            for thing, placed in zip(self._things, self._placed, strict=True)
            if thing is not self._beach
        ]
        kinds = {id(thing): _rank(thing) for thing, _ in pairs}
        for rank in range(7):
            for thing, placed in pairs:
                if kinds[id(thing)] == rank:
                    found += self._drawn(thing, placed)
            if rank == 1 and gsd <= STREETS_TO and self._settled and self._zones.has("road"):
                found.append(self._streets())
        return found

    def _drawn(self, thing: Thing, placed: Placed) -> list[Layer]:
        found: list[Layer] = []
        if placed.around is not None:
            found.append(Drawn(placed.around, self._zones.add(ELSE, silent=True)))
        zone = self._zones.add(thing.kind)
        if thing.kind == "water":
            found.append(self._wet(thing, placed, zone))
            self._water.append(zone)
            if thing.shape != "line":
                self._lakes.append(zone)
        elif thing.shape == "quay":
            found.append(Drawn(placed.source, zone, over=tuple(self._water) or None))
        elif thing.shape == "line":
            dry = tuple(one for one in range(zone) if one not in self._lakes)
            found.append(Drawn(placed.source, zone, over=dry))
        else:
            found.append(Drawn(placed.source, zone))
            if thing.kind in SETTLED:
                town = thing.kind == "town" and thing.word not in VILLAGES
                self._settled[zone] = CENTRED if town else PLAIN
        return found

    def _wet(self, thing: Thing, placed: Placed, zone: int) -> Layer:
        """Draw water with what lies along its shore: a beach, or grass where there are houses."""
        if self._beach is not None and thing.shape == self._beached:
            width = max(3 * UNIT, self._scale.size(self._beach, 91))
            return Drawn(placed.source, zone, None, width, self._zones.add("sand"))
        strip = self._scale.length(_STRIP)
        if not self._settled or strip < UNIT:
            return Drawn(placed.source, zone)
        grass = self._zones.add(ELSE, silent=True)
        return Drawn(placed.source, zone, None, strip, grass, (*self._settled, *self._parts))

    def _streets(self) -> Layer:
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
        seed = self._scale.draw(1 << 30, 95)
        return Streets(road, self._settled, (*usual, *centre), self._scale.metre, seed)


def _rank(thing: Thing) -> int:
    """Return when a thing is drawn: later ones cover earlier ones."""
    if thing.kind in _BUILT_UP and thing.shape in ("round", "side"):
        return 1
    if thing.shape == "quay":
        return 6
    if thing.kind == "water":
        return {"line": 3, "side": 5}.get(thing.shape, 2)
    if thing.shape == "line":
        return 4
    return 2 if thing.shape in ("block", "strip") and thing.kind not in GREEN else 0
