"""The process ``edit``: a part of a raster painted anew. Its inputs become a plan here.

``prepare`` finds out what an edit comes to on its raster: where the mask lies, on which grid the model works,
which box of it, which stretch. ``plan`` prices that for the API; the worker prepares again from the same
inputs and files, and paints. Reads pixels of the box that is worked on and no others; no torch. What follows
once the pixels to paint are known (``settle``, ``priced``) serves the process ``extend`` too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model_backend.engine import cost
from model_backend.engine.diffusion.sampler import trajectory_of
from model_backend.engine.editing.active_windows import Active, canvas_around
from model_backend.engine.editing.composite import REACH, grow
from model_backend.engine.lattice import Layout
from model_backend.errors import InvalidInput, ModelUnavailable, TooLarge
from model_backend.models.card import ModelCard
from model_backend.models.registry import Entry, Registry
from model_backend.processes import regions
from model_backend.processes.base import Process
from model_backend.processes.common import check_prompts, first_seed, licence, outputs, unknown_words
from model_backend.raster import mask as masks
from model_backend.raster import stretch as stretches
from model_backend.raster.crs import crs_text
from model_backend.raster.grids import cut, overlap
from model_backend.raster.grids import grow as widened
from model_backend.raster.source import Source, describe, read, read_known
from model_backend.raster.stretch import Stretch
from model_backend.raster.working import Work, choose
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

Painting = EditInputs | ExtendInputs

_FEATHER = 6  # pixels, where the caller does not say
_MARGIN = 8  # pixels around the mask whose tone is compared
_OVERHEAD = 1 << 21  # bytes of a file besides its pixels, and of previews and records

PROCESS = Process(
    id="edit",
    title="Edit imagery",
    text="Paints a part of a raster anew from a prompt. Outside the mask every pixel stays as it is.",
    inputs=EditInputs,
    outputs=outputs(),
    sync=False,
    keywords=("inpainting", "synthetic imagery", "diffusion", "COG"),
)


@dataclass(frozen=True)
class Kind:
    """How a process that paints names what is painted: its input, a noun, and advice where it is too much."""

    process: Literal["edit", "extend"]
    field: str
    noun: str
    advice: str


EDIT = Kind("edit", "mask", "mask", "Edit it in parts.")


@dataclass(frozen=True)
class Files:
    """The stored rasters that the inputs name: paths of our own GeoTIFFs, and the source's SHA-256."""

    source: Path
    digest: str
    mask: Path | None


@dataclass(frozen=True)
class Ready:
    """What an edit comes to: ``paint`` are the pixels of the raster's box ``at`` that may change.

    ``canvas`` is a box of the grid that is worked on; ``feather`` is in ground metres.
    """

    source: Source
    at: Box
    paint: NDArray[np.bool_]
    work: Work
    canvas: Box
    stretch: Stretch
    feather: float
    warnings: tuple[str, ...]

    @property
    def spacing(self) -> tuple[float, float]:
        """Ground metres of a row and of a column of the raster."""
        return self.work.gsd.y, self.work.gsd.x

    @property
    def join(self) -> Box:
        """The raster's pixels in which the mask meets its surroundings."""
        box = overlap(widened(self.at, _MARGIN), self.source.box)
        assert box is not None
        return box

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask as an array of ``join``."""
        out = np.zeros((self.join.height, self.join.width), np.bool_)
        out[cut(self.at, self.join)] = self.paint
        return out

    @property
    def digest(self) -> str:
        """SHA-256 of the mask's box and pixels."""
        return hashlib.sha256(
            self.at.model_dump_json().encode() + np.packbits(self.paint).tobytes()
        ).hexdigest()


def prepare(inputs: EditInputs, files: Files, card: ModelCard, limits: Settings) -> Ready:
    """Return what an edit comes to. Raises InvalidInput, which says what to do, and TooLarge."""
    source = describe(files.source, inputs.bands)
    painted = _painted(inputs, files, source)
    inside = overlap(painted.box, source.box)
    work = choose(source, inside or source.box, card)
    spacing = (work.gsd.y, work.gsd.x)
    _check_reach("grow", inputs.grow, spacing)
    margin = ceil(inputs.grow / min(spacing)) + 1 if inputs.grow else 0
    near = overlap(painted.box, widened(source.box, margin))
    if near is None:
        detail = "The mask lies outside of the raster. Draw it on the raster, or check `mask.crs`."
        raise InvalidInput("mask", detail, allowed="a mask that touches the raster")
    check_pixels(widened(near, margin), EDIT, limits)
    at, paint = _tight(
        grow(painted.burn(widened(near, margin)), spacing, inputs.grow), widened(near, margin), source
    )
    feather = _FEATHER * min(spacing) if inputs.feather is None else inputs.feather
    _check_reach("feather", feather, spacing)
    return settle(inputs, EDIT, (work, at, paint, feather), card, limits)


def settle(
    inputs: Painting,
    kind: Kind,
    found: tuple[Work, Box, NDArray[np.bool_], float],
    card: ModelCard,
    limits: Settings,
) -> Ready:
    """Return what painting some pixels comes to: ``found`` are grid, box, pixels to paint in it, feather.

    Raises InvalidInput and TooLarge.
    """
    work, at, paint, feather = found
    source = work.source
    existing = source.box if work.own else None
    canvas = canvas_around(work.box(widened(at, _MARGIN)), existing, card.engine, card.vae_factor)
    check_pixels(canvas, kind, limits)
    needed = work.needs(canvas)
    assert needed is not None
    check_pixels(needed, kind, limits)
    ready = Ready(source, at, paint, work, canvas, _stretch(inputs, source, needed), feather, source.warnings)
    _check_extra(inputs, kind, ready)
    return ready


def plan(inputs: EditInputs, files: Files, registry: Registry, limits: Settings, rate: float | None) -> Plan:
    """Return what ``inputs`` come to; ``rate`` is the measured seconds per UNet evaluation, if any.

    Raises InvalidInput (a field is wrong), TooLarge (above a limit) and ModelUnavailable.
    """
    check_prompts(inputs.prompt, inputs.negative_prompt, limits)
    entry = model_of(inputs, registry)
    ready = prepare(inputs, files, entry.card, limits)
    return priced(inputs, EDIT, files, ready, entry, limits, rate, inputs.strength)


def priced(
    inputs: Painting,
    kind: Kind,
    files: Files,
    ready: Ready,
    entry: Entry,
    limits: Settings,
    rate: float | None,
    strength: float,
) -> Plan:
    """Return the plan of what is ready to be painted; raises TooLarge."""
    card = entry.card
    asked = regions.read(getattr(inputs, "regions", None), ready.work, limits)
    recipe = _recipe(inputs, kind, files, card, ready, strength).model_copy(
        update={"regions": asked.on(ready.canvas, card)}
    )
    layout = Layout(card.engine, card.vae_factor, ready.canvas)
    active = Active(layout, ready.work.mask(ready.paint, ready.at, ready.canvas))
    steps = trajectory_of(recipe, entry.schedule, card.engine, strength).lengths
    count = active.count(cost.prompts_of(recipe, layout), steps, card.engine.batch)
    evaluations = count.evaluations * inputs.variants
    if evaluations > limits.max_evaluations:
        rule = f"at most {limits.max_evaluations:,} evaluations"
        detail = f"The job takes {evaluations:,} evaluations of the model; this server runs {rule}."
        raise TooLarge(kind.field, detail, value=evaluations, allowed=rule)
    source = ready.source
    return Plan(
        recipe=recipe,
        variants=inputs.variants,
        crs=crs_text(source.crs),
        crs_name=source.crs.name,
        width=source.box.width,
        height=source.box.height,
        transform=list(source.placed)[:6],
        bbox=_bounds(source),
        gsd=ready.work.gsd,
        level=ready.work.level,
        windows=count.windows,
        window_evaluations=round(count.mean, 3),
        evaluations=evaluations,
        seconds=None if rate is None else round(evaluations * rate, 1),
        bytes=_bytes(ready) * inputs.variants,
        warnings=[
            *ready.warnings,
            *ready.work.warnings,
            *unknown_words(inputs.prompt, card),
            *asked.warnings(recipe.grid, card),
            *licence(card),
        ],
    )


def file_bytes(plan: Plan) -> int:
    """Return the disk that the file of a variant needs at most while it is made."""
    return plan.bytes // plan.variants - _OVERHEAD


def model_of(inputs: Painting, registry: Registry) -> Entry:
    """Return the model of a request: as named, else the default, else an installed one that can edit."""
    able = [entry for entry in registry.all() if entry.card.pipeline == "inpaint"]
    allowed = ", ".join(entry.card.id for entry in able)
    if inputs.model is None:
        usual = registry.default()
        installed = [entry for entry in able if entry.folder is not None]
        return usual if usual.card.pipeline == "inpaint" or not installed else installed[0]
    try:
        entry = registry.get(inputs.model)
    except ModelUnavailable as error:
        raise InvalidInput("model", str(error), value=inputs.model, allowed=allowed) from None
    if entry.card.pipeline != "inpaint":
        detail = f"{entry.card.title} cannot edit or extend imagery: it is no inpainting model."
        raise InvalidInput("model", detail, value=inputs.model, allowed=allowed)
    return entry


def _painted(inputs: EditInputs, files: Files, source: Source) -> masks.Polygons | masks.Picture:
    if isinstance(inputs.mask, Polygons):
        return masks.from_geojson(inputs.mask.geojson, inputs.mask.crs, source)
    assert files.mask is not None
    return masks.from_raster(files.mask, source)


def _tight(paint: NDArray[np.bool_], box: Box, source: Source) -> tuple[Box, NDArray[np.bool_]]:
    """Return the masked pixels of the raster in the smallest box around them."""
    inside = overlap(box, source.box)
    if inside is not None:
        paint = paint[cut(inside, box)]
        rows, cols = np.flatnonzero(paint.any(1)), np.flatnonzero(paint.any(0))
        if len(rows):
            top, left = int(rows[0]), int(cols[0])
            height, width = int(rows[-1]) + 1 - top, int(cols[-1]) + 1 - left
            at = Box(col=inside.col + left, row=inside.row + top, width=width, height=height)
            return at, paint[top : top + height, left : left + width]
    detail = "The mask covers no pixel of the raster. Draw it on the raster, or larger."
    raise InvalidInput("mask", detail, allowed="a mask that covers the centre of a pixel")


def _check_reach(field: str, metres: float, spacing: tuple[float, float]) -> None:
    most = REACH * min(spacing)
    if metres > most:
        rule = f"0 to {most:.4g} metres here ({REACH} pixels)"
        raise InvalidInput(field, f"`{field}` must be {rule}.", value=metres, allowed=rule)


def check_pixels(box: Box, kind: Kind, limits: Settings) -> None:
    """Refuse a box of more pixels than this server works on."""
    pixels = box.width * box.height
    if pixels > limits.max_edit_pixels:
        rule = f"at most {limits.max_edit_pixels:,} pixels"
        size = f"{box.width:,} x {box.height:,} = {pixels:,} pixels"
        detail = f"The {kind.noun} with its surroundings has {size}; this server takes {rule}. {kind.advice}"
        raise TooLarge(kind.field, detail, value=size, allowed=rule)


def _stretch(inputs: Painting, source: Source, box: Box) -> Stretch:
    bands = source.roles.visible
    if inputs.stretch is not None or source.dtype == np.uint8:
        none = np.empty((len(bands), 0, 0), source.dtype)
        return stretches.choose(inputs.stretch, none, np.empty((0, 0), np.bool_))
    return stretches.choose(None, read(source, box, bands), read_known(source, box))


def _check_extra(inputs: Painting, kind: Kind, ready: Ready) -> None:
    """Refuse to borrow values for other bands where there is nobody to borrow from."""
    if inputs.extra_bands != "match" or not ready.source.roles.extra:
        return
    if not (read_known(ready.source, ready.join) & ~ready.mask).any():
        rule = " or ".join(("keep", "drop") if kind is EDIT else ("drop",))
        detail = (
            f"The {kind.noun} leaves no pixels to borrow other bands' values from. {rule.capitalize()} those "
            "bands."
        )
        raise InvalidInput("extra_bands", detail, value="match", allowed=rule)


def _recipe(
    inputs: Painting, kind: Kind, files: Files, card: ModelCard, ready: Ready, strength: float
) -> Recipe:
    """Return the recipe of the first variant, with every default filled in."""
    sampler = inputs.sampler or card.sampler
    source, work = ready.source, ready.work
    warped = OutputGrid(
        crs=crs_text(source.crs),
        transform=list(source.placed)[:6],
        width=source.box.width,
        height=source.box.height,
    )
    return Recipe(
        process=kind.process,
        model=card.id,
        revision=card.revision_or_hash,
        prompt=inputs.prompt,
        negative_prompt=inputs.negative_prompt,
        frame=work.frame,
        grid=work.box(ready.at),
        canvas=ready.canvas,
        level=work.level,
        seed=first_seed(inputs.seed, inputs.variants),
        steps=inputs.steps or card.steps[sampler],
        sampler=sampler,
        guidance=card.guidance if inputs.guidance is None else inputs.guidance,
        resampled=None if work.own else warped,
        edit=EditRecipe(
            source=files.digest,
            mask=ready.digest,
            bands=list(source.roles.visible),
            stretch=[list(pair) for pair in ready.stretch.ranges],
            extra_bands=inputs.extra_bands,
            feather=ready.feather,
            strength=strength,
        ),
    )


def _bounds(source: Source) -> list[float]:
    """Return min x, min y, max x, max y of the raster's corners."""
    width, height = source.box.width, source.box.height
    x, y = source.placed @ (np.array([0, width, width, 0]), np.array([0, 0, height, height]))
    return [float(value) for value in (x.min(), y.min(), x.max(), y.max())]


def _bytes(ready: Ready) -> int:
    """Return the disk that one variant needs: a copy of the source, the patch, the file with overviews."""
    source = ready.source
    patch = ready.at.width * ready.at.height * source.count * source.dtype.itemsize
    return 3 * (source.path.stat().st_size + patch) + _OVERHEAD
