"""Painting pixels of a raster anew: what ``edit`` and ``extend`` share.

``prepare`` finds out what painting comes to on a raster: which pixels, on which grid the model works, which
box of it, which stretch. ``plan`` prices that for the API; the worker prepares again from the same inputs and
files, and paints. Reads pixels of the box that is worked on and no others; no torch.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model_backend.engine.by_example.fill_cost import has_patch
from model_backend.errors import InvalidInput, ModelUnavailable, TooLarge
from model_backend.models.card import SURROUNDINGS, ModelCard
from model_backend.models.registry import BY_EXAMPLE, Entry, Registry
from model_backend.processes import sample_inputs
from model_backend.processes.base import PlanContext
from model_backend.processes.features import drawings
from model_backend.processes.imagery import (
    SOURCE_BYTES,
    ImageryProcess,
    check_evaluations,
    example_recipe,
    licence,
    recipe_of,
    wants_sources,
)
from model_backend.processes.painting_work import canvas_of, work_of
from model_backend.processes.prompts import check_prompts, prompt_warnings
from model_backend.processes.sample_inputs import PreparedSample
from model_backend.raster.files.source import Source, read_header, read_known
from model_backend.raster.georeference.crs import crs_text
from model_backend.raster.georeference.grids import expand, overlap, slices_in
from model_backend.raster.source_stretch import source_stretch
from model_backend.raster.stretch import Stretch
from model_backend.raster.working_grid import WorkingGrid
from model_backend.schemas import (
    Box,
    EditInputs,
    EditRecipe,
    ExtendInputs,
    OutputGrid,
    Plan,
    Polygons,
    Recipe,
)
from model_backend.settings import Settings

PaintingInputs = EditInputs | ExtendInputs
P = TypeVar("P", bound=PaintingInputs)

_PAINTERS = ("inpaint", "examples")  # pipelines that can paint what a prompt asks for
_MARGIN = 8  # pixels around the painted ones whose tone is compared
_OVERHEAD = 1 << 21  # bytes of a file besides its pixels, and of previews and records


@dataclass(frozen=True)
class Target:
    """The pixels to paint: ``paint``, of the raster's box ``at``, and the grid on which the model works.

    ``feather`` is in ground metres. With ``new_land`` there is nothing under them to begin from.
    ``warnings`` are sentences for the plan.
    """

    work: WorkingGrid
    at: Box
    paint: NDArray[np.bool_]
    feather: float
    new_land: bool
    warnings: tuple[str, ...] = ()

    @property
    def source(self) -> Source:
        """The raster."""
        return self.work.source


@dataclass(frozen=True, kw_only=True)
class Prepared(Target):
    """A target with all that painting it needs: ``canvas`` is a box of the grid that is worked on."""

    sha256: str  # of the stored raster
    canvas: Box
    stretch: Stretch
    samples: tuple[PreparedSample, ...]

    @property
    def spacing(self) -> tuple[float, float]:
        """Ground metres of a row and of a column of the raster."""
        return self.work.gsd.y, self.work.gsd.x

    @property
    def join(self) -> Box:
        """The raster's pixels in which the mask meets its surroundings."""
        box = overlap(expand(self.at, _MARGIN), self.source.box)
        assert box is not None
        return box

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask as an array of ``join``."""
        out = np.zeros((self.join.height, self.join.width), np.bool_)
        out[slices_in(self.at, self.join)] = self.paint
        return out

    @property
    def digest(self) -> str:
        """SHA-256 of the mask's box and pixels."""
        return hashlib.sha256(
            self.at.model_dump_json().encode() + np.packbits(self.paint).tobytes()
        ).hexdigest()


class PaintingProcess(ImageryProcess[P]):
    """A process that paints pixels of a raster; all others stay as they are."""

    handler = "model_backend.jobs.handlers.painting:run"
    result_title: str
    field: str  # the input that says what is painted
    noun: str  # what that is called
    advice: str  # where it is too much
    other_bands: tuple[str, ...]  # what can be done with other bands than match them

    @abstractmethod
    def target(self, inputs: P, source: Source, card: ModelCard, context: PlanContext) -> Target:
        """Return which pixels of a raster are painted. Raises InvalidInput and TooLarge."""

    @abstractmethod
    def strength(self, inputs: P) -> float:
        """Return the share of the noise levels to begin with; 1 begins with noise alone."""

    def regions(self, inputs: P) -> Polygons | None:
        """Return the regions with prompts of their own, if any."""
        return None

    def prepare(self, inputs: P, card: ModelCard, context: PlanContext) -> Prepared:
        """Choose pixels, grid, canvas and stretch; raises InvalidInput and TooLarge."""
        stored = context.raster("source", inputs.source)
        target = self.target(inputs, read_header(stored.path, inputs.bands), card, context)
        work, source = target.work, target.source
        try:
            around = work.box(expand(target.at, _MARGIN))
        except InvalidInput as error:  # the grid does not know what the input is called
            raise error.named(self.field) from None
        canvas = canvas_of(around, source.box, work.own, card)
        self.check_pixels(canvas, context.limits)
        needed = work.source_box(canvas)
        assert needed is not None
        self.check_pixels(needed, context.limits)
        stretch, doubts = source_stretch(inputs.stretch, source, needed)
        known = vars(target) | {"warnings": (*target.warnings, *doubts)}
        sample_inputs.check_use(inputs.samples, card)
        samples = tuple(sample_inputs.prepare(inputs.samples, context))
        prepared = Prepared(**known, sha256=stored.sha256, canvas=canvas, stretch=stretch, samples=samples)
        if card.pipeline == "surroundings":
            self._check_known(prepared)
        else:
            self._check_extra_bands(inputs, prepared)
        return prepared

    def plan(self, inputs: P, context: PlanContext) -> Plan:
        """Plan what is painted on the raster."""
        check_prompts(inputs.prompt, inputs.negative_prompt, context.limits)
        wanted = inputs.model
        given = self.regions(inputs), inputs.layout
        if wanted is None and inputs.samples:
            wanted = BY_EXAMPLE
        elif wanted is None and not inputs.prompt.strip() and given == (None, None):
            wanted = SURROUNDINGS.id
        entry = painting_model(wanted, context.registry)
        card = entry.card
        prepared = self.prepare(inputs, card, context)
        place = drawings.Place(prepared.work, prepared.work.gsd, prepared.canvas)
        drawn = drawings.read(given, place, context)
        recipe = self._recipe(inputs, card, prepared, drawn)
        paint = prepared.work.mask_on(prepared.paint, prepared.at, prepared.canvas)
        work = work_of(recipe, prepared.canvas, paint, entry, self.strength(inputs))
        evaluations = work.units * inputs.variants
        check_evaluations(evaluations, self.field, context.limits)
        sources = wants_sources(card, context)
        source = prepared.source
        return Plan(
            recipe=recipe,
            variants=inputs.variants,
            crs=crs_text(source.crs),
            crs_name=source.crs.name,
            width=source.box.width,
            height=source.box.height,
            transform=list(source.placed)[:6],
            bbox=_bounds(source),
            gsd=prepared.work.gsd,
            level=prepared.work.level,
            windows=work.windows,
            window_evaluations=work.window_evaluations,
            evaluations=evaluations,
            seconds=context.seconds(card.id, evaluations),
            bytes=_bytes(prepared, sources=sources) * inputs.variants,
            sources=sources,
            understood=drawn.understood(),
            warnings=[
                *source.warnings,
                *prepared.warnings,
                *prepared.work.warnings,
                *prompt_warnings(recipe, entry),
                *drawn.warnings(recipe, entry),
                *licence(card),
            ],
        )

    def check_pixels(self, box: Box, limits: Settings) -> None:
        """Refuse a box of more pixels than this server works on."""
        pixels = box.width * box.height
        if pixels > limits.max_edit_pixels:
            rule = f"at most {limits.max_edit_pixels:,} pixels"
            size = f"{box.width:,} x {box.height:,} = {pixels:,} pixels"
            detail = (
                f"The {self.noun} with its surroundings has {size}; this server takes {rule}. {self.advice}"
            )
            raise TooLarge(self.field, detail, value=size, allowed=rule)

    def _check_extra_bands(self, inputs: P, prepared: Prepared) -> None:
        """Refuse to borrow values for other bands where there is nobody to borrow from."""
        if inputs.extra_bands != "match" or not prepared.source.roles.extra:
            return
        if not (read_known(prepared.source, prepared.join) & ~prepared.mask).any():
            rule = " or ".join(self.other_bands)
            detail = (
                f"The {self.noun} leaves no pixels to borrow other bands' values from. {rule.capitalize()} "
                "those bands."
            )
            raise InvalidInput("extra_bands", detail, value="match", allowed=rule)

    def _check_known(self, prepared: Prepared) -> None:
        """Refuse to fill a mask from surroundings that are not there."""
        box = prepared.work.source_box(prepared.canvas)
        assert box is not None
        known = read_known(prepared.source, box)
        known[slices_in(prepared.at, box)] &= ~prepared.paint
        if not has_patch(known):
            detail = (
                f"There is too little of the raster around the {self.noun} to fill it from. Write a prompt, "
                "so that a model paints it."
            )
            raise InvalidInput("prompt", detail, value="", allowed="a prompt")

    def _recipe(self, inputs: P, card: ModelCard, prepared: Prepared, drawn: drawings.Drawings) -> Recipe:
        source, work = prepared.source, prepared.work
        warped = OutputGrid(
            crs=crs_text(source.crs),
            transform=list(source.placed)[:6],
            width=source.box.width,
            height=source.box.height,
        )
        return recipe_of(
            inputs,
            card,
            process=self.id,
            frame=work.frame,
            grid=work.box(prepared.at),
            canvas=prepared.canvas,
            level=work.level,
            resampled=None if work.own else warped,
            edit=EditRecipe(
                source=prepared.sha256,
                mask=prepared.digest,
                bands=list(source.roles.visible),
                stretch=[list(pair) for pair in prepared.stretch.ranges],
                extra_bands=inputs.extra_bands,
                feather=prepared.feather,
                strength=self.strength(inputs),
            ),
            examples=example_recipe(work.gsd, prepared.samples) if card.by_example else None,
            **drawn.members(prepared.canvas, card),
        )


def painting_model(named: str | None, registry: Registry) -> Entry:
    """Return the model of a request: as named, else the default, else an installed one that can edit."""
    if named == SURROUNDINGS.id:
        return registry.get(named)
    able = [entry for entry in registry.all() if entry.card.pipeline in _PAINTERS]
    allowed = ", ".join(entry.card.id for entry in able)
    if named is None:
        usual = registry.default()
        installed = [entry for entry in able if entry.folder is not None]
        return usual if usual.card.pipeline in _PAINTERS or not installed else installed[0]
    try:
        entry = registry.get(named)
    except ModelUnavailable as error:
        raise InvalidInput("model", str(error), value=named, allowed=allowed) from None
    if entry.card.pipeline not in _PAINTERS:
        detail = f"{entry.card.title} cannot edit or extend imagery: it is no inpainting model."
        raise InvalidInput("model", detail, value=named, allowed=allowed)
    return entry


def file_bytes(plan: Plan) -> int:
    """Return the disk that the file of a variant needs at most while it is made."""
    return plan.bytes // plan.variants - _OVERHEAD


def _bounds(source: Source) -> list[float]:
    """Return min x, min y, max x, max y of the raster's corners."""
    width, height = source.box.width, source.box.height
    x, y = source.placed @ (np.array([0, width, width, 0]), np.array([0, 0, height, height]))
    return [float(value) for value in (x.min(), y.min(), x.max(), y.max())]


def _bytes(prepared: Prepared, *, sources: bool) -> int:
    """Return the disk that one variant needs: a copy of the source, the patch, the file with overviews.

    The same of the raster of sources, which has tiles where the patch is, and is copied once.
    """
    source = prepared.source
    each = source.count * source.dtype.itemsize + SOURCE_BYTES * sources
    patch = prepared.at.width * prepared.at.height * each
    return 3 * (source.path.stat().st_size + patch) + _OVERHEAD
