"""From a thing and a place to shapes: a lake's outline, a runway with its taxiway, a river's course.

Lengths are in 1/256 pixel, except a thing's own, which are metres. Knows forms, no kinds of land and no
canvas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model_backend.engine.composition.composition import Thing
from model_backend.engine.composition.outlines.noise import DIRECTIONS, STEPS, UNIT
from model_backend.engine.composition.outlines.shapes import Band, Block, Roughness, Round, Shape
from model_backend.engine.synthesis.hashing import below, mix

_RIVER = 14 * UNIT  # width: narrower water, by example, is broken or not seen at all
SMALLEST = 24 * UNIT  # across, of anything but lines
_NATURAL = (30, 25, 12, 5, 2)  # heights of noises, in percent of the width
_BUILT = (14, 17, 8, 3)
_SHORE = (34, 17, 8, 4, 2, 1)  # in percent of the first noise's cells
_WANDERS, _WINDS = 55, 75  # heights of a line's noises, in percent of their cells
_OCTAVES = 6
_MOST_WINDING = 150  # percent: more, and lines run into themselves


@dataclass(frozen=True)
class Scale:
    """How long a kilometre is, and chance."""

    kilometre: int
    seed: int
    direction: int | None = None  # in which what is built runs, in degrees

    @classmethod
    def of(cls, gsd: float, seed: int, direction: int | None = None) -> Scale:
        """Return the scale of pixels so many metres wide."""
        return cls(max(1, round(1000 * UNIT / gsd)), seed & 0xFFFFFFFF, direction)

    @property
    def metre(self) -> int:
        """A metre; too short where pixels are large."""
        return max(1, self.kilometre // 1000)

    @property
    def base(self) -> int:
        """The usual direction of what is built."""
        if self.direction is None:
            return self.draw(DIRECTIONS, 71)
        return (self.direction * DIRECTIONS + 180) // 360

    def length(self, metres: int) -> int:
        """Return a length of metres."""
        return metres * self.kilometre // 1000

    def draw(self, limit: int, *place: int) -> int:
        """Return a number from 0 to limit - 1 that belongs to up to three numbers."""
        a, b, c = (*place, 0, 0, 0)[:3]
        return int(below(int(mix(self.seed, a, b, c)), max(1, limit)))

    def size(self, thing: Thing, *place: int) -> int:
        """Return the width of one such thing."""
        low, high = self.length(thing.low), self.length(thing.high)
        return low + self.draw(high - low + 1, *place)


def area(thing: Thing, size: int, row: int, col: int, number: int, base: int, built: bool) -> Sequence[Shape]:
    """Return the outline of a thing ``size`` across around a place; ``number`` is chance, ``base`` the usual
    direction of straight edges."""
    draw = Scale(1, number).draw
    if thing.shape == "block":
        across = size * (60 + draw(40, 1)) // 200
        direction = base + 16 * draw(2, 2)
        return (Block(row, col, size // 2, across, direction % DIRECTIONS),)
    percents = _BUILT if built else _NATURAL
    rough = Roughness.of(size, percents, draw(1 << 30, 4))
    stretch = 1024 + draw(160 if built else 320, 3)
    return (Round(row, col, size // 2, stretch, draw(DIRECTIONS, 5), rough),)


def reach(size: int) -> int:
    """Return how far a thing of a size may go from its centre."""
    return size // 2 * 5 // 4


def runway(size: int, row: int, col: int, base: int, wide: int) -> tuple[Sequence[Shape], Sequence[Shape]]:
    """Return the grass of an airport, and on it runway, taxiway, the ways between them and an apron."""
    down, right = step(base)

    def block(along: int, aside: int, length: int, width: int) -> Block:
        y = row + (down * along + right * aside) // 1024
        x = col + (right * along - down * aside) // 1024
        return Block(y, x, length, max(width, UNIT), base)

    half = size // 2
    aside = max(size // 14, 4 * wide)
    grass = (block(0, aside // 2, half + 2 * wide, aside + 3 * wide),)
    strips = [block(0, 0, half, wide), block(0, aside, half * 9 // 10, wide // 2)]
    strips += [block(end * half * 8 // 10, aside // 2, wide // 2, aside // 2) for end in (-1, 0, 1)]
    apron = block(-half // 3, aside + aside // 2 + wide // 2, half // 4, aside // 2)
    return grass, (*strips, apron)


def course(
    thing: Thing, width: int, row: int, col: int, direction: int, seed: int, longest: int, metre: int
) -> Band:
    """Return a line through a place, across a direction; no bend is wider than ``longest``.

    It wanders a little over long ways, and winds as it is natural for its width.
    """
    if thing.kind == "water":
        width = max(width, _RIVER)
    natural = 22 * width if thing.kind == "water" else 300 * metre + 12 * width
    first, last = max(16 * UNIT, longest).bit_length() - 1, max(16 * UNIT, natural // 2).bit_length() - 1
    shifts = tuple(range(first, min(first, last) - 1, -1))[:_OCTAVES]
    winding = min(thing.winding, _MOST_WINDING)
    percents = (_WINDS if 1 << shift <= natural else _WANDERS for shift in shifts)
    heights = tuple(
        (winding * percent << shift) // 10_000 for percent, shift in zip(percents, shifts, strict=True)
    )
    return Band(row, col, direction % DIRECTIONS, width // 2, Roughness(shifts, heights, seed))


def shore(wave: int, row: int, col: int, direction: int | None, offset: int, seed: int) -> Band:
    """Return all that lies beyond an irregular line."""
    return Band(row, col, direction, None, Roughness.of(wave, _SHORE, seed), offset=offset)


def step(direction: int) -> tuple[int, int]:
    """Return rows and columns of a step of 1024 in a direction."""
    down, right = STEPS[direction % DIRECTIONS]
    return int(down), int(right)
