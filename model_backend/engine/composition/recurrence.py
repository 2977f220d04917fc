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
from model_backend.engine.composition.outlines.noise import DIRECTIONS, UNIT
from model_backend.engine.composition.outlines.shapes import Band, Shape
from model_backend.engine.composition.placement import Placed

_COAST = 2500  # metres: cells of the noise that parts land from sea
_APART = ("round", "block", "strip")
_LEAST = 700 * UNIT  # between parallel lines


def on_ground(things: Sequence[Thing], scale: Scale) -> list[Placed]:
    """Let things recur on the ground."""
    return [_placed(index, things, scale) for index in range(len(things))]


def _placed(index: int, things: Sequence[Thing], scale: Scale) -> Placed:
    thing = things[index]
    if thing.shape == "side":
        return Placed(Fixed((_sea(index, scale),)))
    if thing.shape == "line":
        return Placed(Fixed((_lines(index, things, scale),)))
    return _recurring(index, things, scale)


def _sea(index: int, scale: Scale) -> Band:
    wave = max(scale.length(_COAST), 400 * UNIT)
    return drawing.shore(wave, 0, 0, None, -wave // 16, scale.draw(1 << 30, index, 6))


def _lines(index: int, things: Sequence[Thing], scale: Scale) -> Band:
    thing = things[index]
    before = sum(one.shape == "line" for one in things[:index])
    width = max(2 * UNIT, scale.size(thing, index))
    period = max(40 * width, _LEAST) // min(thing.count, 3)
    direction = scale.draw(DIRECTIONS, 72) + 16 * before
    place = scale.draw(period, index, 4), scale.draw(period, index, 5)
    seed = scale.draw(1 << 30, index, 6)
    band = drawing.course(thing, width, *place, direction, seed, period // 2, scale.metre)
    return Band(*place, direction % DIRECTIONS, band.half, band.rough, period)


def _recurring(index: int, things: Sequence[Thing], scale: Scale) -> Placed:
    thing = things[index]
    beside = _moorings(things) if thing.shape == "quay" else thing.near
    root = index if beside is None or things[beside].shape not in _APART else beside
    base, seed = scale.base, scale.draw(1 << 30, root, 8)
    spacing = max(_spacing(index, things, scale), _spacing(root, things, scale))
    shore: Band | None = None
    if thing.shape == "quay" and beside is not None and root == index:
        side = things[beside].shape == "side"
        shore = _sea(beside, scale) if side else _lines(beside, things, scale)

    def size(number: int, one: int = index) -> int:
        return max(SMALLEST, scale.size(things[one], one, number))

    def shapes(row: int, col: int, number: int) -> Sequence[Shape]:
        if root != index:  # beside the one that recurs there
            down, right = drawing.step(number >> 8)
            away = size(number, root) // 2 + (size(number) * 6 // 10 if thing.shape != "quay" else 0)
            row, col = row + down * away // 1024, col + right * away // 1024
        if shore is not None:
            row, col = shore.nearest(row, col)
            if abs(shore.height(row, col)) > size(number) // 4:
                return ()
        return drawing.area(thing, size(number), row, col, number, base, thing.kind in SETTLED)

    def strips(row: int, col: int, number: int) -> tuple[Sequence[Shape], Sequence[Shape]]:
        wide = max(3 * UNIT // 2, min(scale.length(22), size(number) // 40))
        return drawing.runway(size(number), row, col, base, wide)

    if thing.shape != "strip":
        return Placed(Recurring(shapes, spacing, seed))
    return Placed(
        Recurring(lambda row, col, number: strips(row, col, number)[1], spacing, seed),
        Recurring(lambda row, col, number: strips(row, col, number)[0], spacing, seed),
    )


def _moorings(things: Sequence[Thing]) -> int | None:
    """Return at which water there are harbours."""
    waters = [(index, one.shape) for index, one in enumerate(things) if one.kind == "water"]
    found = [index for shape in ("side", "line", "round") for index, other in waters if other == shape]
    return found[0] if found else None


def _spacing(index: int, things: Sequence[Thing], scale: Scale) -> int:
    """Return how far apart things of a kind lie: the more were asked for, the closer."""
    thing = things[index]
    largest = max(SMALLEST, scale.length(thing.high))
    many = min(thing.count, 4)
    return max(largest * (7 - many) // 2, (320 - 50 * many) * UNIT)
