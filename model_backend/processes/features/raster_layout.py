"""The input ``layout`` as a raster of classes: what its values mean, and what becomes of them.

Land by example reads the raster itself, for a town of ten kilometres would be more polygons than a request
may have; a recipe names it by its hash. A diffusion model gets the outlines of its classes as regions. Knows
limits and words; ``raster.class_raster`` knows values and places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from model_backend.arrays import Int64Array, UInt8Array
from model_backend.errors import InvalidInput, TooLarge
from model_backend.layout_schemas import LaidRaster, LayoutRaster
from model_backend.models.card import ModelCard
from model_backend.models.land_cover import BY_ID
from model_backend.models.registry import Entry
from model_backend.processes.base import PlanContext
from model_backend.processes.features import layout_notes
from model_backend.processes.features.land_class import EXAMPLES, LandClass, land_class
from model_backend.processes.region_inputs import MARGIN
from model_backend.raster.class_outlines import outlines, without_small
from model_backend.raster.class_raster import NOTHING, CellPlaces, ClassRaster, cell_size
from model_backend.raster.georeference.grids import expand
from model_backend.raster.working_grid import WorkingGrid
from model_backend.schemas import Box, Frame, Recipe, Region
from model_backend.settings import Settings

if TYPE_CHECKING:  # numba is imported with the first job
    from model_backend.engine.by_example.land_cover import LandCover

_FIELD = "layout"
_LOOKS = 64  # places along a side of the grid that are looked at, to tell how much is covered
_MOST_KINDS = 100
_LEAST = 3  # pixels of an area: fewer look like dirt
Where = Frame | WorkingGrid


@dataclass(frozen=True)
class RequestedRaster:
    """A raster of classes on a frame: ``labels`` of its cells are indices into ``meanings``, or NOTHING.

    ``values`` has the meaning's index of every value that has one, ``unknown`` the others.
    """

    raster: ClassRaster
    sha256: str
    table: str
    places: CellPlaces
    labels: UInt8Array
    meanings: tuple[LandClass, ...]
    values: Mapping[int, int]
    unknown: tuple[str, ...]
    limits: Settings

    @property
    def recipe(self) -> LaidRaster:
        """What pixels depend on."""
        kinds = {str(value): self.meanings[label].kind for value, label in sorted(self.values.items())}
        return LaidRaster(source=self.sha256, band=self.raster.band, kinds=kinds)

    def regions(self, canvas: Box | None, card: ModelCard) -> list[Region]:
        """Return the same as regions of a diffusion model, one for every kind; raises InvalidInput."""
        return self._outlined(canvas, card)[0]

    def understood(self) -> list[str]:
        """Return what is laid out, in plain words."""
        return layout_notes.laid_out([(one.word, one.kind) for one in self.meanings])

    def warnings(self, recipe: Recipe, entry: Entry) -> list[str]:
        """Warn of what is not seen as the raster has it."""
        said = [layout_notes.unknown(self.unknown, self.table), self._uncovered(recipe.grid)]
        if entry.card.pipeline == "surroundings":
            return [layout_notes.NOT_FOLLOWED]
        if recipe.examples is not None:
            kinds = dict.fromkeys(one.kind for one in self.meanings)
            said += layout_notes.replacements(list(kinds), entry, recipe.examples)
        else:
            step = self._outlined(recipe.canvas_box, entry.card)[1]
            said.append(
                f"{entry.card.title} takes the layout as regions, in squares of {step} pixels: what is "
                f"smaller than four of them is left out."
            )
        return [sentence for sentence in said if sentence]

    def _outlined(self, canvas: Box | None, card: ModelCard) -> tuple[list[Region], int]:
        if canvas is None:
            detail = (
                f"{card.title} takes a raster as layout on a canvas of its own only: choose the canvas "
                "`extent`, or land by example."
            )
            raise InvalidInput("canvas", detail, value="ground", allowed="extent, with this layout")
        box = expand(canvas, MARGIN * card.vae_factor)
        found, step = outlines(self._at, box, card.vae_factor, self.limits.max_region_corners)
        rings: dict[str, list[list[int]]] = {}
        for label, some in found.items():
            rings.setdefault(self.meanings[label].kind, []).extend(some)
        regions = [
            Region(prompt=BY_ID[kind].words[0], negative_prompt="", rings=some)
            for kind, some in rings.items()
        ]
        return regions, step

    def _at(self, rows: Int64Array, cols: Int64Array) -> UInt8Array:
        """Return the labels of pixels, (rows, columns)."""
        down, right = (places >> 8 for places in self.places.at(rows, cols))
        height, width = self.labels.shape
        inside = (down >= 0) & (down < height) & (right >= 0) & (right < width)
        found = self.labels[down.clip(0, height - 1), right.clip(0, width - 1)]
        return np.where(inside, found, np.uint8(NOTHING))

    def _uncovered(self, grid: Box) -> str:
        """Say how much of a grid the raster does not cover."""
        rows, cols = (
            first + np.arange(_LOOKS, dtype=np.int64) * size // _LOOKS
            for first, size in ((grid.row, grid.height), (grid.col, grid.width))
        )
        share = round(100 * float((self._at(rows, cols) != NOTHING).mean()))
        if share == 100:
            return ""
        return f"The layout covers {share} % of the area; elsewhere prompt and regions say what is seen."


def read(given: LayoutRaster, where: Where, canvas: Box | None, context: PlanContext) -> RequestedRaster:
    """Return the raster that a request names, on a frame or on the grid that is worked on.

    On the ground (no canvas) all of it is read. Raises InvalidInput that says what is wrong, and TooLarge.
    """
    stored = context.raster(f"{_FIELD}.source", given.source)
    try:
        raster = ClassRaster.of(stored.path, given.band)
        meant = _Meanings(given)
        box = _box(raster, where, canvas, context.limits)
        labels = raster.cells(box, meant.label)
        places = CellPlaces(raster.source, where, box)
    except InvalidInput as error:
        raise _of_layout(error) from None
    if not meant.classes:
        rule = f"values that are {EXAMPLES[given.table]}"
        detail = f"No value of the layout has a meaning that is known here. Allowed are {rule}."
        raise InvalidInput(f"{_FIELD}.source", detail, value=", ".join(meant.unknown[:8]), allowed=rule)
    return RequestedRaster(
        raster=raster,
        sha256=stored.sha256,
        table=given.table,
        places=places,
        labels=labels,
        meanings=tuple(meant.classes),
        values=meant.values,
        unknown=tuple(meant.unknown),
        limits=context.limits,
    )


def land_cover(recipe: Recipe, given: object, where: Where, context: PlanContext) -> LandCover | None:
    """Read the land cover that a recipe names, on the same frame or grid; None if it names none."""
    laid = recipe.land_cover
    if laid is None:
        return None
    from model_backend.engine.by_example.land_cover import LandCover

    assert isinstance(given, LayoutRaster)
    assert recipe.examples is not None
    raster = ClassRaster.of(context.raster(f"{_FIELD}.source", given.source).path, laid.band)
    box = _box(raster, where, recipe.canvas_box, context.limits)
    kinds = tuple(sorted(set(laid.kinds.values())))
    labels = {int(value): kinds.index(kind) for value, kind in laid.kinds.items()}
    cells = raster.cells(box, lambda value: labels.get(value, NOTHING))
    size = cell_size(raster.source) / recipe.examples.gsd
    return LandCover(
        cells=without_small(cells, ceil(_LEAST / size**2)),
        kinds=kinds,
        places=CellPlaces(raster.source, where, box),
        size=round(256 * size),
    )


class _Meanings:
    """What values mean, asked one by one."""

    def __init__(self, given: LayoutRaster) -> None:
        self._table, self._names = given.table, given.classes or {}
        self.classes: list[LandClass] = []
        self.values: dict[int, int] = {}
        self.unknown: list[str] = []

    def label(self, value: int) -> int:
        """Return the label of a value."""
        name = self._names.get(str(value))
        found = land_class(value if name is None else name, self._table, "polygon")
        if found is None or (found not in self.classes and len(self.classes) >= _MOST_KINDS):
            self.unknown.append(f'{value} ("{name[:40]}")' if name else str(value))
            return NOTHING
        if found not in self.classes:
            self.classes.append(found)
        self.values[value] = self.classes.index(found)
        return self.values[value]


def _box(raster: ClassRaster, where: Where, canvas: Box | None, limits: Settings) -> Box:
    """Return the cells that are read."""
    whole = raster.source.held
    box = whole if canvas is None else CellPlaces(raster.source, where, whole).around(canvas)
    if box is None:
        detail = "The raster lies outside of the area. Choose one that covers it, or check its CRS."
        raise InvalidInput("source", detail, allowed="a raster that covers the area")
    if box.width * box.height > limits.max_pixels:
        rule = f"at most {limits.max_pixels:,} pixels"
        size = f"{box.width:,} x {box.height:,}"
        advice = "Resample it to about the pixels of the scene, or cut it to the area."
        detail = f"The raster has {size} pixels there; this server takes {rule}. {advice}"
        raise TooLarge("source", detail, value=size, allowed=rule)
    return box


def _of_layout(error: InvalidInput) -> InvalidInput:
    """Return a refusal of a raster as one of the layout, for there may be other rasters."""
    detail = str(error).replace("The raster", "The raster of the layout", 1)
    made = type(error)(f"{_FIELD}.{error.field}", detail, value=error.value, allowed=error.allowed)
    return made
