"""Where things lie on a canvas: well inside it, apart from each other, or beside what they are to be beside.

Chance is hashed from the seed, so a canvas has one arrangement. Knows no kinds of land.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isqrt

from model_backend.engine.composition import drawing
from model_backend.engine.composition.composition import Thing
from model_backend.engine.composition.drawing import SMALLEST, Scale
from model_backend.engine.composition.forms import SETTLED
from model_backend.engine.composition.layers import Fixed, Source
from model_backend.engine.composition.outlines.noise import DIRECTIONS, UNIT
from model_backend.engine.composition.outlines.shapes import Band, Shape
from model_backend.schemas import Box

_TRIES = 48
#: The largest width of one of so many things, in percent of the canvas's shorter side.
_LARGEST = (33, 33, 30, 26, 23, 21, 19, 18, 17, 16)
_THINNEST = 2 * UNIT  # of lines: a pixel less would come apart


@dataclass(frozen=True)
class Placed:
    """Where a thing's shapes are, and those of the grass around an airport."""

    source: Source
    around: Source | None = None


@dataclass
class _Taken:
    """What is on a canvas so far: circles, and bands with half their width (None: all beyond)."""

    circles: list[tuple[int, int, int, int]] = field(default_factory=list)  # thing, row, column, radius
    bands: list[tuple[int, Band, int | None]] = field(default_factory=list)

    def clearance(
        self, row: int, col: int, radius: int, but: Sequence[tuple[int, Band, int | None]] = ()
    ) -> int:
        """Return how far a circle is from all that is there but some bands; negative: they overlap."""
        least = 1 << 60
        for _, y, x, other in self.circles:
            least = min(least, isqrt((row - y) ** 2 + (col - x) ** 2) - radius - other)
        for _, band, half in (one for one in self.bands if one not in but):
            least = min(least, _beyond(band, half, row, col) - radius)
        return least


def _beyond(band: Band, half: int | None, row: int, col: int) -> int:
    height = band.height(row, col)
    return -height if half is None else abs(height) - half


def on_canvas(things: Sequence[Thing], scale: Scale, canvas: Box) -> list[Placed]:
    """Place things on a canvas, in its frame."""
    return _Canvas(things, scale, canvas).placed()


class _Canvas:
    """A canvas that things are being placed on."""

    def __init__(self, things: Sequence[Thing], scale: Scale, canvas: Box) -> None:
        self._things, self._scale = things, scale
        self._top, self._left = canvas.row * UNIT, canvas.col * UNIT
        self._height, self._width = canvas.height * UNIT, canvas.width * UNIT
        self._side = min(self._height, self._width)
        self._base = scale.base
        self._taken = _Taken()

    def placed(self) -> list[Placed]:
        """Place what crosses the canvas first, then the coasts, then everything else."""
        found: dict[int, Placed] = {}
        for shapes in (("side",), ("line",), ("round", "block", "strip"), ("quay",)):
            for index, thing in enumerate(self._things):
                if thing.shape in shapes:
                    make = {"side": self._side_of, "line": self._line, "quay": self._quay}
                    found[index] = make.get(thing.shape, self._inside)(index, thing)
        return [found[index] for index in range(len(self._things))]

    def _middle(self, percent: int, *place: int) -> tuple[int, int]:
        """Return a place near the middle, off by at most so many percent of a side."""
        reach = self._side * percent // 100
        row = self._top + self._height // 2 - reach + self._scale.draw(2 * reach, *place, 1)
        return row, self._left + self._width // 2 - reach + self._scale.draw(2 * reach, *place, 2)

    def _side_of(self, index: int, thing: Thing) -> Placed:
        draw = self._scale.draw
        direction = 16 * draw(4, index, 3) + draw(7, index, 4) - 3
        down, right = drawing.step(direction)
        row, col = self._middle(3, index)
        far = 10 + draw(8, index, 5)  # percent of the side: what lies beyond is a good third
        row, col = row + down * self._height * far // 102400, col + right * self._width * far // 102400
        wave = self._side * (45 if thing.kind == "water" else 30) // 100
        band = drawing.shore(wave, row, col, direction % DIRECTIONS, 0, draw(1 << 30, index, 6))
        self._taken.bands.append((index, band, None))
        return Placed(Fixed((band,)))

    def _line(self, index: int, thing: Thing) -> Placed:
        draw, bands = self._scale.draw, []
        turned = 16 * ((draw(2, 81) + sum(half is not None for _, _, half in self._taken.bands)) % 2)
        for number in range(thing.count):
            row, col = self._middle(12, index, number)
            direction = turned + draw(5, index, number, 3) - 2
            if thing.count > 1:
                aside = self._side * (2 * number + 1 - thing.count) // (2 * thing.count)
                row, col = (row, col + aside) if turned == 0 else (row + aside, col)
            width = self._scale.size(thing, index, number, 4)
            band = self._course(thing, width, row, col, direction, draw(1 << 30, index, number, 5))
            self._taken.bands.append((index, band, band.half))
            bands.append(band)
        return Placed(Fixed(tuple(bands)))

    def _course(self, thing: Thing, width: int, row: int, col: int, direction: int, seed: int) -> Band:
        width = max(_THINNEST, min(width, self._side // 6))
        longest = self._side * 2 // 5
        return drawing.course(thing, width, row, col, direction, seed, longest, self._scale.metre)

    def _quay(self, index: int, thing: Thing) -> Placed:
        """Put a harbour on the shore of the sea, a river or a lake."""
        size = self._clipped(self._scale.size(thing, index), 1)
        water = [one for one in self._taken.bands if self._things[one[0]].kind == "water"]
        lakes = [one for one in self._taken.circles if self._things[one[0]].kind == "water"]
        places = [self._middle(30, index, number) for number in range(4 * _TRIES)]
        row, col = places[0]
        if water:
            band = min(water, key=lambda one: one[2] is not None)[1]
            row, col = band.nearest(*min(places, key=lambda place: abs(band.height(*place))))
        elif lakes:
            _, row, col, radius = lakes[0]
            down, right = drawing.step(self._scale.draw(DIRECTIONS, index, 3))
            row, col = row + down * radius * 6 // 10240, col + right * radius * 6 // 10240
        number = self._scale.draw(1 << 30, index, 9)
        return Placed(Fixed(tuple(drawing.area(thing, size * 5 // 4, row, col, number, self._base, True))))

    def _inside(self, index: int, thing: Thing) -> Placed:
        shapes: list[Shape] = []
        around: list[Shape] = []
        for number in range(thing.count):
            size = self._clipped(self._scale.size(thing, index, number), thing.count)
            if thing.shape == "strip":
                size = max(size, min(self._side * 6 // 10, self._scale.length(thing.high)))
            radius = drawing.reach(size) if thing.shape != "strip" else size // 3
            row, col = self._free(index, thing, number, radius)
            self._taken.circles.append((index, row, col, radius))
            chance = self._scale.draw(1 << 30, index, number, 9)
            if thing.shape == "strip":
                wide = max(3 * UNIT // 2, min(self._scale.length(22), size // 40))
                grass, strips = drawing.runway(size, row, col, self._base, wide)
                around.extend(grass)
                shapes.extend(strips)
            else:
                built = thing.kind in SETTLED
                shapes.extend(drawing.area(thing, size, row, col, chance, self._base, built))
        return Placed(Fixed(tuple(shapes)), Fixed(tuple(around)) if around else None)

    def _clipped(self, size: int, count: int) -> int:
        largest = self._side * _LARGEST[count] // 100
        return max(min(size, largest), min(SMALLEST, largest))

    def _central(self, side: int, margin: int, index: int, number: int, turn: int) -> int:
        """Return a place between two margins, more likely in the middle."""
        span = side - 2 * margin
        both = (self._scale.draw(span, index, number, turn + extra) for extra in (0, 1000))
        return margin + sum(both) // 2

    def _free(self, index: int, thing: Thing, number: int, radius: int) -> tuple[int, int]:
        """Return the best of some places for a circle: free, and near what it is to be near."""
        wanted = {thing.near} | {other for other, one in enumerate(self._things) if one.near == index}
        circles = [one for one in self._taken.circles if one[0] in wanted]
        bands = [one for one in self._taken.bands if one[0] in wanted]
        on_road = [one for one in bands if thing.kind in SETTLED and self._things[one[0]].kind == "road"]
        margin = min(radius, self._side * 2 // 5)
        best, found = -(1 << 61), self._middle(1, index)
        for turn in range(_TRIES):
            row = self._top + self._central(self._height, margin, index, number, 100 + turn)
            col = self._left + self._central(self._width, margin, index, number, 200 + turn)
            score = min(self._taken.clearance(row, col, radius, on_road), radius // 3)
            for _, y, x, other in circles[:1]:
                score -= max(0, isqrt((row - y) ** 2 + (col - x) ** 2) - radius - other) // 2
            for one in bands:
                away = _beyond(one[1], one[2], row, col)
                score -= max(0, away - (0 if one in on_road else radius)) // 2
            if score > best:
                best, found = score, (row, col)
            if best >= radius // 3:
                break
        return found
