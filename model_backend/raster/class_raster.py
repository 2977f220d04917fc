"""A raster whose pixels are classes: what values it has, and which of its pixels lies at a pixel of a frame.

Its pixels are called cells, since they may be of any size and CRS. Knows values and places; not what a value
means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, hypot
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import BoolArray, Float64Array, Int64Array, UInt8Array
from model_backend.errors import InvalidInput
from model_backend.raster.files.source import Source, read, read_header, read_known
from model_backend.raster.georeference import geodesy
from model_backend.raster.georeference.grids import expand, overlap, slices_in, strips
from model_backend.raster.pixel_places import laid
from model_backend.raster.working_grid import WorkingGrid
from model_backend.schemas import Box, Frame

NOTHING = 255  # label of cells that show nothing
MOST = 1_000  # classes
UNIT = 256  # parts of a cell
_STRIP = 1 << 22  # cells that are read at a time
_TABLE = 1 << 16  # values that are looked up in a table
_KNOT = 32  # pixels between places that are reckoned exactly
_FINE = 65_536  # parts of a cell, at those
_BENT = 0.25  # cells, or pixels where those are larger, that a place between them may be off
_FAR = 1 << 28  # cells: beyond, places are not on the raster
_NOWHERE = -(1 << 40)
_LOOKS = 33  # places along a side of a box that it is found by
_MARGIN = 4  # cells around a box, of which its outlines are made


@dataclass(frozen=True)
class ClassRaster:
    """A raster and its band of classes."""

    source: Source

    @classmethod
    def of(cls, path: Path, band: int | None) -> ClassRaster:
        """Return the classes of a stored raster; raises InvalidInput for ``source`` or ``band``."""
        try:
            source = read_header(path, None if band is None else [band], codes=True)
        except InvalidInput as error:
            raise (error.named("band") if error.field == "bands" else error) from None
        others = [number for number in range(1, source.count + 1) if number != source.roles.alpha]
        if band is None and len(others) > 1:
            rule = f"one of {', '.join(map(str, others))}"
            detail = (
                f"The raster has {len(others)} bands: name the one with the classes. A picture of a map has "
                "colours and no classes."
            )
            raise InvalidInput("band", detail, allowed=rule)
        return cls(source)

    @property
    def band(self) -> int:
        """The number of the band."""
        return self.source.roles.visible[0]

    def cells(self, box: Box, label_of: Callable[[int], int]) -> UInt8Array:
        """Return the labels of the cells of a box, (height, width); NOTHING where there is no value.

        Every value is asked for once. Raises InvalidInput for ``source`` if values are no classes.
        """
        out = np.full((box.height, box.width), NOTHING, np.uint8)
        labels: dict[int, int] = {}
        for part in strips(box, _STRIP):
            values, known = self._read(part)
            if not known.any():
                continue
            fresh = [value for value in _distinct(values[known]) if value not in labels]
            if len(labels) + len(fresh) > MOST:
                detail = (
                    f"The raster has more than {MOST:,} different values here: measurements, not classes. "
                    "Classify it first (in QGIS: Reclassify by table)."
                )
                raise InvalidInput("source", detail, allowed=f"a raster of at most {MOST:,} classes")
            labels |= {value: label_of(value) for value in fresh}
            out[slices_in(part, box)] = np.where(known, _looked_up(values, labels), NOTHING)
        return out

    def _read(self, box: Box) -> tuple[Int64Array, BoolArray]:
        values, known = read(self.source, box, [self.band])[0], read_known(self.source, box)
        if values.dtype.kind == "f":
            odd = values[known][values[known] != np.rint(values[known])]
            if len(odd) or np.abs(values[known]).max(initial=0) > 2**53:
                detail = (
                    f"The raster has values such as {float(odd[0] if len(odd) else values[known].max()):g}, "
                    "which are no classes. Classify it first (in QGIS: Reclassify by table)."
                )
                raise InvalidInput("source", detail, allowed="a raster of whole numbers")
            values = np.where(known, values, 0)
        return values.astype(np.int64), known


class CellPlaces:
    """Which cell of a raster lies at a pixel of a frame, or of the grid that an edit works on.

    Exact at every 32nd pixel, along straight lines between those, in whole numbers; where that would be off,
    at every pixel. So it is a function of the place alone.
    """

    def __init__(self, source: Source, where: Frame | WorkingGrid, begin: Box) -> None:
        """Count cells from the corner of ``begin``; raises InvalidInput if nothing leads there."""
        crs, self._transform = laid(where)
        own, transform = source.ground
        self._cells = ~transform
        self._held, self._begin = source.held, begin
        self._same = crs.equals(own, ignore_axis_order=True)
        try:
            self._way = geodesy.transformer(crs, own)
        except geodesy.NotDefined as error:
            raise InvalidInput("source", f"The raster cannot be laid on the scene: {error}.") from None

    def at(self, rows: Int64Array, cols: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Return rows and columns of cells at the middle of pixels, (rows, columns) each, in 1/256 cell."""
        down, right = _knots(rows), _knots(cols)
        y, x = self._exact(down * _KNOT, right * _KNOT)
        middle = self._exact(down[:-1] * _KNOT + _KNOT / 2, right[:-1] * _KNOT + _KNOT / 2)
        bent = _bent((y, x), middle)
        begin = _FINE * self._begin.row, _FINE * self._begin.col
        found = [
            _between(_whole(knots, _FINE) - first, (rows, down), (cols, right)) * UNIT // _FINE
            for knots, first in zip((y, x), begin, strict=True)
        ]
        if bent.any():
            here = bent[rows // _KNOT - down[0]][:, cols // _KNOT - right[0]]
            exact = self._exact(rows + 0.5, cols + 0.5)
            for values, there, first in zip(found, exact, (self._begin.row, self._begin.col), strict=True):
                values[here] = (_whole(there, UNIT) - UNIT * first)[here]
        return found[0], found[1]

    def around(self, box: Box) -> Box | None:
        """Return the cells of the raster that the pixels of a box may show, None if there are none."""
        y, x = self._exact(
            np.linspace(box.row, box.row + box.height, _LOOKS),
            np.linspace(box.col, box.col + box.width, _LOOKS),
        )
        known = (np.abs(y) < _FAR) & (np.abs(x) < _FAR)
        if not known.any():
            return None
        (top, bottom), (left, right) = (_span(values[known]) for values in (y, x))
        return overlap(
            expand(Box(col=left, row=top, width=right - left, height=bottom - top), _MARGIN), self._held
        )

    def _exact(self, rows: NDArray[Any], cols: NDArray[Any]) -> tuple[Float64Array, Float64Array]:
        """Return rows and columns of cells at places of the frame, not finite where there are none."""
        col, row = np.meshgrid(np.asarray(cols, np.float64), np.asarray(rows, np.float64))
        x, y = self._transform @ (col, row)
        if not self._same:
            x, y = self._way.transform(x, y)
        with np.errstate(invalid="ignore"):
            right, down = self._cells @ (np.asarray(x), np.asarray(y))
        return np.asarray(down), np.asarray(right)


def cell_size(source: Source) -> float:
    """Return ground metres along a side of a cell in the middle of a raster; raises InvalidInput."""
    crs, transform = source.ground
    x, y = transform @ (source.width / 2, source.height / 2)
    sides = hypot(transform.a, transform.d), hypot(transform.b, transform.e)
    try:
        return float(geodesy.scale_at(crs, x, y, sides).mean)
    except geodesy.NotDefined as error:
        raise InvalidInput("source", f"The raster cannot be measured: {error}.") from None


def _distinct(values: Int64Array) -> list[int]:
    low = int(values.min())
    if int(values.max()) - low < _TABLE:
        return [low + int(step) for step in np.flatnonzero(np.bincount(values - low))]
    return [int(value) for value in np.unique(values)]


def _looked_up(values: Int64Array, labels: dict[int, int]) -> UInt8Array:
    """Return the label of every value; of those without one, any."""
    known = np.array(sorted(labels), np.int64)
    table = np.array([labels[int(value)] for value in known], np.uint8)
    found: UInt8Array = table[np.searchsorted(known, values).clip(0, len(known) - 1)]
    return found


def _knots(places: Int64Array) -> Int64Array:
    """Return the knots around evenly spaced pixels, in order."""
    return np.arange(int(places[0]) // _KNOT, int(places[-1]) // _KNOT + 2)


def _whole(values: Float64Array, parts: int) -> Int64Array:
    """Return values in whole parts; what is not finite or too large is nowhere."""
    usable = np.abs(values) < 8 * _FAR  # which what is not finite is not
    whole: Int64Array = np.rint(np.where(usable, values, 0) * parts).astype(np.int64)
    whole[~usable] = _NOWHERE
    return whole


def _between(
    knots: Int64Array, rows: tuple[Int64Array, Int64Array], cols: tuple[Int64Array, Int64Array]
) -> Int64Array:
    """Return the values at the middle of pixels, on straight lines between knots."""
    (pixels, first), (pixels_across, first_across) = (
        (places // _KNOT - runs[0], 2 * (places % _KNOT) + 1) for places, runs in (rows, cols)
    )
    whole = 2 * _KNOT
    along = knots[:, pixels_across] * (whole - first_across) + knots[:, pixels_across + 1] * first_across
    share = first[:, None]
    found: Int64Array = (along[pixels] * (whole - share) + along[pixels + 1] * share) // whole**2
    return found


def _bent(knots: tuple[Float64Array, Float64Array], middle: tuple[Float64Array, Float64Array]) -> BoolArray:
    """Return between which knots straight lines are off, or a knot is nowhere."""
    off = np.zeros(middle[0].shape, np.bool_)
    with np.errstate(invalid="ignore"):
        steps = [np.hypot(*(np.diff(one, axis=axis) for one in knots)) / _KNOT for axis in (0, 1)]
        pixel = np.maximum(steps[0][:, :-1], steps[1][:-1])
        for values, there in zip(knots, middle, strict=True):
            mean = (values[:-1, :-1] + values[:-1, 1:] + values[1:, :-1] + values[1:, 1:]) / 4
            near = np.abs(mean - there) <= _BENT * np.maximum(1, pixel)
            off |= ~(near & (np.abs(mean) < _FAR))
    return off


def _span(values: Float64Array) -> tuple[int, int]:
    """Return whole numbers around values, and a little more, since between the places looked at they bend."""
    low, high = float(values.min()), float(values.max())
    more = (high - low) / _LOOKS
    return floor(low - more), max(ceil(high + more), floor(low - more) + 1)
