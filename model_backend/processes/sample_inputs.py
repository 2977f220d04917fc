"""Samples: which pixels of which raster show what land by example is to look like."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_backend.arrays import BoolArray, UInt8Array
from model_backend.engine.composition.prompt import read as read_words
from model_backend.engine.synthesis.parameters import SAMPLE_MARGIN, SIDE, Parameters
from model_backend.errors import InvalidInput, TooLarge
from model_backend.models.card import SURROUNDINGS as OWN_GRID
from model_backend.models.card import ModelCard
from model_backend.models.land_cover import SAMPLE
from model_backend.processes.base import PlanContext
from model_backend.raster import mask
from model_backend.raster.files.source import Source, read, read_header, read_known
from model_backend.raster.georeference.grids import expand, overlap, slices_in
from model_backend.raster.source_stretch import source_stretch
from model_backend.raster.stretch import Stretch
from model_backend.raster.working_grid import working_grid_for
from model_backend.schemas import Box, Sample, SampleRecipe

if TYPE_CHECKING:  # numba is imported with the first job
    from model_backend.engine.by_example.samples import SampleImage

_MOST = 2048 * 2048  # pixels of a sample
_LEAST = SIDE << (Parameters().levels - 1)  # pixels along a side


@dataclass(frozen=True)
class PreparedSample:
    """A sample on its raster's own grid: ``area`` are pixels of ``box``."""

    source: Source
    sha256: str
    box: Box
    area: BoolArray
    stretch: Stretch
    gsd: float
    kind: str
    name: str

    @property
    def recipe(self) -> SampleRecipe:
        """What pixels depend on."""
        place = self.box.model_dump_json().encode()
        return SampleRecipe(
            source=self.sha256,
            area=hashlib.sha256(place + np.packbits(self.area).tobytes()).hexdigest(),
            kind=None if self.kind == SAMPLE else self.kind,
            bands=list(self.source.roles.visible),
            stretch=[list(pair) for pair in self.stretch.ranges],
        )

    def image(self) -> SampleImage:
        """Read its pixels."""
        from model_backend.engine.by_example.samples import SampleImage

        view = self.stretch.view(read(self.source, self.box, self.source.roles.visible)).clip(0, 1)
        rgb: UInt8Array = np.rint(255 * view).astype(np.uint8).transpose(1, 2, 0)
        known = read_known(self.source, self.box)
        return SampleImage(
            np.ascontiguousarray(rgb),
            self.area & known,
            known,
            self.kind,
            self.gsd,
            self.name,
            self.box.row,
            self.box.col,
        )


def check_use(samples: Sequence[Sample] | None, card: ModelCard, advice: str = "") -> None:
    """Refuse samples that a model makes no use of; ``advice`` says what to do besides."""
    if samples and not card.by_example:
        detail = f"{card.title} makes no use of samples: land by example does. Choose that as the model"
        raise InvalidInput("samples", f"{detail}{advice}.", allowed="nothing, with this model")


def prepare(samples: Sequence[Sample] | None, context: PlanContext) -> list[PreparedSample]:
    """Look at the samples of a request. Raises InvalidInput and TooLarge that name the sample."""
    return [_prepared(number, sample, context) for number, sample in enumerate(samples or ())]


def _prepared(number: int, sample: Sample, context: PlanContext) -> PreparedSample:
    field = f"samples.{number}"
    stored = context.raster(f"{field}.source", sample.source)
    try:
        source = read_header(stored.path, sample.bands)
        box, area = _area(sample, source)
        known = read_known(source, box)
        stretch, _ = source_stretch(sample.stretch, source, box)
        gsd = working_grid_for(source, box, OWN_GRID).gsd
    except InvalidInput as error:
        raise error.within(field) from None
    if not (area & known).any():
        detail = f"Sample {field.partition('.')[2]} has no pixels with values."
        raise InvalidInput(f"{field}.area", detail, allowed="an area on the raster")
    mean, kind, name = (gsd.x * gsd.y) ** 0.5, _kind(field, sample.words), f"sample {number + 1}"
    return PreparedSample(source, stored.sha256, box, area, stretch, mean, kind, name)


def _area(sample: Sample, source: Source) -> tuple[Box, BoolArray]:
    """Return the part of the raster that is read, and in it the pixels that are meant."""
    if sample.area is None:
        box = source.box
        area = np.ones((box.height, box.width), np.bool_) if _fits(box) else np.zeros((0, 0), np.bool_)
    else:
        polygons = mask.from_geojson(sample.area.geojson, sample.area.crs, source)
        inside = overlap(polygons.box, source.box)
        if inside is None:
            raise InvalidInput(
                "area", "The area lies outside of the raster.", allowed="an area on the raster"
            )
        box = overlap(expand(inside, max(SAMPLE_MARGIN, _LEAST // 2)), source.box) or inside
        area = np.zeros((0, 0), np.bool_)
        if _fits(box):
            area = np.zeros((box.height, box.width), np.bool_)
            area[slices_in(inside, box)] = polygons.rasterize(inside)
    if not _fits(box):
        rule = f"at most {_MOST:,} pixels"
        size = f"{box.width:,} x {box.height:,} pixels"
        raise TooLarge("area", f"The sample has {size}; it may have {rule}.", value=size, allowed=rule)
    if min(box.width, box.height) < _LEAST:
        rule = f"a raster of at least {_LEAST} x {_LEAST} pixels"
        size = f"{box.width:,} x {box.height:,}"
        raise InvalidInput(
            "area", f"The sample's surroundings have {size} pixels: it needs {rule}.", allowed=rule
        )
    return box, area


def _fits(box: Box) -> bool:
    return box.width * box.height <= _MOST


def _kind(field: str, words: str) -> str:
    """Return the kind of land that words mean, SAMPLE where there are none."""
    if not words.strip():
        return SAMPLE
    reading = read_words(words)
    if reading.unknown or not reading.understood:
        detail = f"{words!r} is no kind of land that can be shown."
        raise InvalidInput(f"{field}.words", detail, value=words, allowed="a kind of land, such as `forest`")
    things = reading.composition.things
    return reading.composition.background if reading.background or not things else things[0].kind
