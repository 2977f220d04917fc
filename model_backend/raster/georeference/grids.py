"""Exact arithmetic on endless pixel grids: from coordinates to integers and back.

A grid is a pixel size (two decimal strings) and an anchor (x and y of a pixel corner). Coordinates are floats
and are taken for what they are, sizes are exact decimals, indices are integers of any size; nothing is
rounded in between, because a plain floor of a float quotient errs on 40 % of the exact multiples of 0.1.
Knows no CRS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor, log10

from model_backend.schemas import Box

#: Pixels by which a coordinate may miss a pixel edge and still mean it.
TOLERANCE = Fraction(1, 10**6)

Bounds = tuple[float, float, float, float]
Affine6 = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class PixelGrid:
    """An endless north-up grid: size of a pixel as decimal strings, x and y of any pixel corner."""

    pixel_size: tuple[str, str]
    anchor: tuple[float, float] = (0.0, 0.0)

    @property
    def sizes(self) -> tuple[Fraction, Fraction]:
        """Width and height of a pixel in CRS units, exactly."""
        return Fraction(self.pixel_size[0]), Fraction(self.pixel_size[1])

    def snap(self, bounds: Bounds) -> Box:
        """Return the smallest box of whole pixels, at least one, around min x, min y, max x, max y."""
        (width, height), (x0, y0) = self.sizes, self.anchor
        left, right = _outward(bounds[0], bounds[2], x0, width)
        bottom, top = _outward(bounds[1], bounds[3], y0, height)
        return Box(col=left, row=-top, width=right - left, height=top - bottom)

    def x(self, col: int) -> float:
        """Return x of the left edge of column ``col``, correctly rounded."""
        return float(Fraction(self.anchor[0]) + col * self.sizes[0])

    def y(self, row: int) -> float:
        """Return y of the upper edge of row ``row``, correctly rounded."""
        return float(Fraction(self.anchor[1]) - row * self.sizes[1])

    def bounds(self, box: Box) -> Bounds:
        """Return min x, min y, max x, max y of ``box``."""
        return (self.x(box.col), self.y(box.row + box.height), self.x(box.col + box.width), self.y(box.row))

    def transform(self, box: Box) -> Affine6:
        """Return the affine a, b, c, d, e, f of ``box``, as in rasterio."""
        width, height = (float(size) for size in self.sizes)
        return (width, 0.0, self.x(box.col), 0.0, -height, self.y(box.row))


def _outward(low: float, high: float, anchor: float, size: Fraction) -> tuple[int, int]:
    """Return the pixel edges at or outside of [low, high], at least one pixel apart."""
    first = floor((Fraction(low) - Fraction(anchor)) / size + TOLERANCE)
    last = ceil((Fraction(high) - Fraction(anchor)) / size - TOLERANCE)
    return first, max(last, first + 1)


def expand(box: Box, pixels: int) -> Box:
    """Return ``box`` with ``pixels`` more on every side."""
    more = 2 * pixels
    return Box(col=box.col - pixels, row=box.row - pixels, width=box.width + more, height=box.height + more)


def overlap(one: Box, other: Box) -> Box | None:
    """Return the pixels that two boxes share, None if there are none."""
    col, row = max(one.col, other.col), max(one.row, other.row)
    width = min(one.col + one.width, other.col + other.width) - col
    height = min(one.row + one.height, other.row + other.height) - row
    return Box(col=col, row=row, width=width, height=height) if width > 0 and height > 0 else None


def union(one: Box, other: Box) -> Box:
    """Return the smallest box around two."""
    col, row = min(one.col, other.col), min(one.row, other.row)
    right = max(one.col + one.width, other.col + other.width)
    bottom = max(one.row + one.height, other.row + other.height)
    return Box(col=col, row=row, width=right - col, height=bottom - row)


def slices_in(box: Box, outer: Box) -> tuple[slice, slice]:
    """Return rows and columns of a box inside another one's array."""
    top, left = box.row - outer.row, box.col - outer.col
    return slice(top, top + box.height), slice(left, left + box.width)


def strips(box: Box, pixels: int) -> Iterator[Box]:
    """Yield ``box`` in strips of whole rows of at most so many pixels, or of one row."""
    rows = max(1, pixels // box.width)
    for row in range(box.row, box.row + box.height, rows):
        height = min(rows, box.row + box.height - row)
        yield Box(col=box.col, row=row, width=box.width, height=height)


def decimal(value: float | Fraction, places: int = 12) -> str:
    """Return ``value`` as a plain decimal string of at most ``places`` decimals, without trailing zeros.

    A float counts as the shortest decimal that means it: 0.1 is a tenth.
    """
    exact = Fraction(repr(value)) if isinstance(value, float) else value
    text = f"{(Decimal(exact.numerator) / exact.denominator).quantize(Decimal(1).scaleb(-places)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def significant(value: float, digits: int) -> str:
    """Return ``value`` rounded to ``digits`` significant digits, as a plain decimal string."""
    return decimal(value, max(0, min(15, digits - 1 - floor(log10(value)))))


def common_anchor(anchor: Sequence[float], pixel_size: Sequence[str]) -> tuple[float, float]:
    """Return the pixel corner next to the origin, so that all corners of one grid give the same anchor.

    Rounded to about a millionth of a pixel: below that is noise of floats, which would make frames differ.
    """
    (x, y) = (_remainder(value, size) for value, size in zip(anchor, pixel_size, strict=True))
    return x, y


def _remainder(value: float, size: str) -> float:
    """Return ``value`` modulo ``size`` in [0, size), in decimals rather than in binary fractions."""
    step = Decimal(size)
    rest = (Decimal(repr(value)) % step).quantize(Decimal(1).scaleb(step.adjusted() - 6))
    return float((rest + step) % step)
