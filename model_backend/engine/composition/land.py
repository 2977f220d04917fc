"""From a composition to a label map: ``prompt.read`` makes compositions, ``land`` their label maps.

The result is a function of seed and place alone. Says what cannot be shown at a pixel size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from model_backend.engine.composition.composition import Composition, Thing
from model_backend.engine.composition.drawing import Scale
from model_backend.engine.composition.forms import BUILT_UP, SETTLED, form_of
from model_backend.engine.composition.label_maps import Layered
from model_backend.engine.composition.order import Order
from model_backend.engine.composition.outlines.noise import UNIT
from model_backend.engine.composition.placement import on_canvas
from model_backend.engine.composition.recurrence import on_ground
from model_backend.engine.composition.zones import Zones
from model_backend.schemas import Box

STREETS_TO = 2.5  # metres per pixel: streets are seen up to here


@dataclass(frozen=True)
class Land:
    """A label map of the kinds it was made for, and sentences on what it cannot show."""

    labels: Layered
    warnings: tuple[str, ...]


def land(
    composition: Composition,
    seed: int,
    canvas: Box | None,
    gsd: float,
    available: Sequence[str],
    direction: int | None = None,
) -> Land:
    """Return the label map of a canvas, or (None) of endless ground, at ``gsd`` metres per pixel.

    Labels are indices into ``available``, kinds that there are examples of at this pixel size. ``direction``,
    in degrees, is that of what is built; without one the seed decides.
    """
    scale = Scale.of(gsd, seed, direction)
    zones = Zones(available, composition.excluded)
    drawn = []
    for thing in composition.things:
        if thing.shape == "line" and thing.kind != "water" and scale.length(thing.high) < UNIT:
            wide = f"{thing.high} m wide: less than a pixel of {gsd:g} m"
            zones.warnings[f"Left out: {thing.word}, {wide}. Choose smaller pixels to see it."] = None
        elif thing.word != "beach":  # it has no place of its own: it lies along water
            drawn.append(thing)
    streets = gsd <= STREETS_TO and zones.has("road")
    things = _renumbered(composition.things, drawn)
    if streets and canvas is not None and composition.background not in BUILT_UP:
        things += _access(things)
    placed = on_ground(things, scale) if canvas is None else on_canvas(things, scale, canvas)
    beach = next((scale.size(thing, 91) for thing in composition.things if thing.word == "beach"), 0)
    layers = Order(composition.background, things, placed, scale, zones).layers(streets, beach)
    return Land(Layered(tuple(layers), tuple(zones.labels)), tuple(zones.warnings))


def _renumbered(before: Sequence[Thing], kept: Sequence[Thing]) -> list[Thing]:
    """Let things that were left out be nobody's neighbour."""
    index = {id(thing): number for number, thing in enumerate(kept)}
    return [
        replace(thing, near=None if thing.near is None else index.get(id(before[thing.near])))
        for thing in kept
    ]


def _access(things: Sequence[Thing]) -> list[Thing]:
    """Return a road that leads through the first settlement, unless there is a road."""
    settled = [number for number, thing in enumerate(things) if thing.kind in SETTLED]
    if not settled or any(thing.kind == "road" for thing in things):
        return []
    form = form_of("road")
    return [Thing("road", "road", form.shape, form.low, form.high, 1, form.winding, settled[0])]
