"""Where things lie on endless ground: they recur, at distances that suit their sizes.

Chance is hashed from seed and place, so the ground looks the same from wherever one comes to a place. Knows
no kinds of land and no canvas.
"""

from __future__ import annotations

from collections.abc import Sequence

from model_backend.engine.composition import drawing
from model_backend.engine.composition.composition import Thing
from model_backend.engine.composition.drawing import SMALLEST, Scale
from model_backend.engine.composition.forms import SETTLED
from model_backend.engine.composition.layers import Fixed, Recurring
from model_backend.engine.composition.noise import DIRECTIONS, UNIT
from model_backend.engine.composition.placement import Placed
from model_backend.engine.composition.shapes import Band, Both, Shape

_COAST = 2500  # metres: cells of the noise that parts land from sea
_LEAST = 700 * UNIT  # between parallel lines


def on_ground(things: Sequence[Thing], scale: Scale) -> list[Placed]:
    """Let things recur on the ground."""
    return [_placed(index, thing, things, scale) for index, thing in enumerate(things)]


def _placed(index: int, thing: Thing, things: Sequence[Thing], scale: Scale) -> Placed:
    if thing.shape == "side":
        return Placed(Fixed((_sea(index, scale),)))
    if thing.shape == "line":
        return Placed(Fixed((_lines(index, thing, scale),)))
    return _recurring(index, thing, things, scale)


def _sea(index: int, scale: Scale) -> Band:
    wave = max(scale.length(_COAST), 400 * UNIT)
    return drawing.shore(wave, 0, 0, None, -wave // 16, scale.draw(1 << 30, index, 6))


def _lines(index: int, thing: Thing, scale: Scale) -> Band:
    width = max(2 * UNIT, scale.size(thing, index))
    period = max(40 * width, _LEAST) // min(thing.count, 3)
    direction = scale.draw(DIRECTIONS, index, 3) if index == 0 else scale.draw(DIRECTIONS, 0, 3) + 16
    place = scale.draw(period, index, 4), scale.draw(period, index, 5)
    seed = scale.draw(1 << 30, index, 6)
    band = drawing.course(thing, width, *place, direction, seed, period // 2, scale.metre)
    return Band(*place, direction % DIRECTIONS, band.half, band.rough, period)


def _recurring(index: int, thing: Thing, things: Sequence[Thing], scale: Scale) -> Placed:
    base = scale.draw(DIRECTIONS, 71)
    largest = max(SMALLEST, scale.length(thing.high))
    near = 5 if thing.count == 1 else 4 if thing.count < 4 else 3
    spacing = largest * near // 2 + 2 * UNIT
    seed = scale.draw(1 << 30, index, 8)

    def size(number: int) -> int:
        return max(SMALLEST, scale.size(thing, index, number))

    if thing.shape == "strip":

        def parts(row: int, col: int, number: int) -> tuple[Sequence[Shape], Sequence[Shape]]:
            wide = max(3 * UNIT // 2, min(scale.length(22), size(number) // 40))
            return drawing.runway(size(number), row, col, base, wide)

        return Placed(
            Recurring(lambda row, col, number: parts(row, col, number)[1], spacing, seed),
            Recurring(lambda row, col, number: parts(row, col, number)[0], spacing, seed),
        )
    sea = next(
        (other for other, one in enumerate(things) if one.shape == "side" and one.kind == "water"), None
    )
    built = thing.kind in SETTLED

    def shapes(row: int, col: int, number: int) -> Sequence[Shape]:
        if thing.shape != "quay" or sea is None:
            return drawing.area(thing, size(number), row, col, number, base, built)
        band = _sea(sea, scale)
        strip = Band(0, 0, None, size(number) // 2, band.rough, offset=band.offset)
        found = drawing.area(thing, 3 * size(number), row, col, number, base, built)
        return [Both(one, strip) for one in found]

    return Placed(Recurring(shapes, 3 * spacing if thing.shape == "quay" else spacing, seed))
