"""The process ``generate``: imagery of an extent from a prompt. Makes the plan of a scene.

The plan is the only owner of snapping, defaults, cost and limits: the API makes it when a job is submitted,
the worker follows it, the plugin shows it. Pure arithmetic: nothing is allocated, no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from model_backend import ENGINE_VERSION
from model_backend.engine import lattice
from model_backend.engine.diffusion.sampler import trajectory_of
from model_backend.errors import InvalidInput, ModelUnavailable, TooLarge
from model_backend.models.card import ModelCard
from model_backend.models.identity import digest
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
    start_recipe,
    wants_sources,
)
from model_backend.processes.prompts import check_prompts, prompt_warnings, understood
from model_backend.processes.sample_inputs import PreparedSample
from model_backend.processes.scene_work import canvas_of, work_of
from model_backend.raster.georeference.placement import Placement, place
from model_backend.schemas import Box, GenerateInputs, Joins, Plan, Recipe, StartRecipe
from model_backend.settings import Settings

_COLOUR_BYTES = 3  # of a pixel
_PREVIEW_BYTES = 2 * 1024 * 1024  # the thumbnails of the blocks among them
_FILE_OVERHEAD = 64 * 1024
_OVERVIEWS = 1 / 3  # of the pixels of a file, and once more as long as they are made
_INCOMPRESSIBLE = 1.01  # what compression may add to pixels that are noise
_JOIN_SECONDS = 1e-7  # per pixel, to join blocks to a file: measured on two cores


class Generate(ImageryProcess[GenerateInputs]):
    """Makes imagery of an extent."""

    id = "generate"
    title = "Generate imagery"
    text = "Makes synthetic overhead imagery of an extent from a prompt, as a georeferenced layer."
    keywords = ("synthetic imagery", "diffusion", "COG")
    inputs = GenerateInputs
    handler = "model_backend.jobs.handlers.scenes:run"

    def plan(self, inputs: GenerateInputs, context: PlanContext) -> Plan:
        """Plan a scene; nothing is allocated, and read is only what lies where."""
        limits = context.limits
        check_prompts(inputs.prompt, inputs.negative_prompt, limits)
        entry = _model(inputs, context.registry)
        card = entry.card
        bank = _bank(inputs, card, context.registry)
        samples = _samples(inputs, card, context)
        placement = _placement(inputs, card, limits)
        canvas = _canvas(inputs, placement, card, limits)
        where = drawings.Place(placement.frame, placement.gsd, canvas)
        drawn = drawings.read((inputs.regions, inputs.layout), where, context)
        recipe = recipe_of(
            inputs,
            card,
            frame=placement.frame,
            grid=placement.grid,
            canvas="ground" if canvas is None else canvas,
            level=placement.level,
            resampled=placement.output,
            examples=example_recipe(placement.gsd, samples, inputs.joins) if card.by_example else None,
            start=None if bank is None else start_recipe(inputs, bank, placement.gsd, samples),
            **drawn.members(canvas, card),
        )
        work = work_of(recipe, entry)
        evaluations = work.units * inputs.variants
        check_evaluations(evaluations, _longest(inputs), limits)
        sources = wants_sources(card, context)
        return Plan(
            recipe=recipe,
            variants=inputs.variants,
            crs=placement.crs,
            crs_name=placement.crs_name,
            width=placement.width,
            height=placement.height,
            transform=list(placement.transform),
            bbox=list(placement.bbox),
            gsd=placement.gsd,
            level=placement.level,
            windows=work.windows,
            window_evaluations=work.window_evaluations,
            evaluations=evaluations,
            seconds=context.seconds(card.id, evaluations),
            bytes=_bytes(placement, sources=sources) * inputs.variants,
            sources=sources,
            understood=[*understood(recipe, bank or card), *drawn.understood()],
            warnings=[
                *placement.warnings,
                *_ignored(inputs, card),
                *_cost_warnings(recipe, entry, work.units),
                *_start_notes(recipe, entry, inputs.joins),
                *_continuation_warnings(inputs, card, canvas, context.profile(card.id)),
                *prompt_warnings(recipe, entry),
                *drawn.warnings(recipe, entry),
                *licence(card),
            ],
        )

    def blocks(self, plan: Plan, entry: Entry) -> tuple[int, ...]:
        """Return the work of the blocks that a scene is cut into."""
        return work_of(plan.recipe, entry).blocks

    def join_seconds(self, plan: Plan) -> float:
        """Return the time of the join, which grows with the pixels of the file."""
        return plan.width * plan.height * _JOIN_SECONDS


PROCESS = Generate()


def block_bytes(box: Box, *, sources: bool) -> int:
    """Return the disk that the pixels of a box need at most, and those of its sources."""
    each = _COLOUR_BYTES + SOURCE_BYTES * sources
    return round(each * box.width * box.height * _INCOMPRESSIBLE) + _FILE_OVERHEAD


def file_bytes(plan: Plan) -> int:
    """Return the disk that the files of a variant need at most while they are made."""
    resampled = plan.recipe.resampled is not None
    return _file_bytes(plan.width, plan.height, resampled=resampled, sources=plan.sources)


def _placement(inputs: GenerateInputs, card: ModelCard, limits: Settings) -> Placement:
    """Return where a scene lies; one that continues another keeps its level. Raises TooLarge."""
    placement, joins = place(inputs, card), inputs.joins
    file = Box(col=0, row=0, width=placement.width, height=placement.height)
    for box in (placement.grid, file):
        _check_pixels(box, "extent.bbox", limits)
    if joins is None or joins.level == placement.level:
        return placement
    if joins.level not in (card.levels or (None,)):
        rule = ", ".join(map(str, card.levels)) if card.levels else "null"
        detail = f"{card.title} does not have the level of the scene to continue; it has {rule}."
        raise InvalidInput("joins.level", detail, value=joins.level, allowed=rule)
    return replace(placement, level=joins.level)


def _continuation_warnings(
    inputs: GenerateInputs, card: ModelCard, canvas: Box | None, profile: Mapping[str, Any] | None
) -> list[str]:
    """Warn if the scene to continue was made by an engine or on a profile that gives other pixels."""
    joins = inputs.joins
    if joins is None:
        return []
    if joins.engine != ENGINE_VERSION:
        return [
            f"The scene to continue was made by version {joins.engine} of the engine, this is version "
            f"{ENGINE_VERSION}: the new scene will be similar, but the two will not join."
        ]
    if profile is None or joins.profile is None:
        return []
    if not card.by_example:
        batch = lattice.Layout(card.engine, card.vae_factor, canvas).batch(int(profile["batch"]))
        profile = {**profile, "batch": batch}
    if digest(profile) == joins.profile:
        return []
    return [
        "The scene to continue was computed on other hardware, software or weights: where the two meet, "
        "pixels may differ a little."
    ]


def _start_notes(recipe: Recipe, entry: Entry, joins: Joins | None) -> list[str]:
    """Say what a start does, and if the scene to continue has another one."""
    said, start = [], recipe.start
    if start is not None:
        lengths = trajectory_of(recipe, entry.schedule, entry.card.engine).lengths
        said.append(
            f"The image begins with land by example of the same prompt{_like(start)} under noise of strength "
            f"{start.strength:g}: {sum(map(sum, lengths))} of {recipe.steps} steps are made."
        )
    if joins is not None and joins.start != start:
        said.append(
            "The scene to continue has another `start`, or its example images were others: the new scene "
            "will be similar, but the two will not join."
        )
    return said


def _like(start: StartRecipe) -> str:
    """Say what the land of a start looks like, if not like the bank alone."""
    if not start.samples:
        return ""
    return ", made like your sample," if len(start.samples) == 1 else ", made like your samples,"


def _model(inputs: GenerateInputs, registry: Registry) -> Entry:
    """Return the model of a request, installed or not; an inpainting model can generate too."""
    if inputs.model is None:
        alone = inputs.samples and inputs.start != "samples"
        return registry.get(BY_EXAMPLE) if alone else registry.default()
    try:
        return registry.get(inputs.model)
    except ModelUnavailable as error:
        known = ", ".join(entry.card.id for entry in registry.all())
        raise InvalidInput("model", str(error), value=inputs.model, allowed=known) from None


def _samples(inputs: GenerateInputs, card: ModelCard, context: PlanContext) -> list[PreparedSample]:
    """Look at the samples; refuse those of no use, and a start with samples of which there are none."""
    if inputs.start != "samples":
        sample_inputs.check_use(inputs.samples, card, ", or begin with them (`start`: `samples`)")
    elif not inputs.samples and not card.by_example:
        detail = "The image is to begin with samples, but there are none: give one, or another `start`."
        raise InvalidInput("samples", detail, allowed="1 to 8 samples")
    return sample_inputs.prepare(inputs.samples, context)


def _bank(inputs: GenerateInputs, card: ModelCard, registry: Registry) -> ModelCard | None:
    """Return the bank that a diffusion model begins with; ModelUnavailable if it is not there."""
    if inputs.start == "noise" or card.by_example:
        return None
    entry = registry.get(BY_EXAMPLE)
    entry.require()
    return entry.card


def _check_pixels(box: Box, field: str, limits: Settings) -> None:
    """Refuse a box of more pixels than this server makes."""
    pixels = box.width * box.height
    if pixels > limits.max_pixels:
        rule = f"at most {limits.max_pixels:,} pixels"
        size = f"{box.width:,} x {box.height:,} = {pixels:,} pixels"
        detail = (
            f"The scene has {size}; this server makes {rule}. Draw a smaller extent or ask for a coarser GSD."
        )
        raise TooLarge(field, detail, value=size, allowed=rule)


def _longest(inputs: GenerateInputs) -> str:
    """Return the field that makes a job the longest."""
    return "canvas" if inputs.canvas == "ground" else "variants" if inputs.variants > 1 else "extent.bbox"


def _canvas(inputs: GenerateInputs, placement: Placement, card: ModelCard, limits: Settings) -> Box | None:
    """Return the box on which windows are laid, None for the endless ground."""
    if inputs.canvas == "ground":
        return None
    whole = canvas_of(placement.grid, card)
    if inputs.canvas == "extent":
        _check_pixels(whole, "extent.bbox", limits)
        return whole
    canvas = inputs.canvas
    _check_pixels(canvas, "canvas", limits)
    if not _contains(canvas, placement.grid):
        grid = placement.grid
        right, below = grid.col + grid.width, grid.row + grid.height
        rule = f"a box around columns {grid.col} to {right} and rows {grid.row} to {below}"
        detail = (
            "The canvas does not contain the extent: draw it inside the layer it shall agree with. Beyond, "
            "extend that layer; only scenes on the ground canvas have no end."
        )
        raise InvalidInput("canvas", detail, value=canvas.model_dump(), allowed=rule)
    if canvas_of(canvas, card) != canvas:
        detail = "The canvas does not consist of whole windows of this model: it belongs to another model."
        raise InvalidInput("canvas", detail, value=canvas.model_dump(), allowed="a canvas of the same model")
    return canvas


def _ignored(inputs: GenerateInputs, card: ModelCard) -> list[str]:
    """Say which inputs mean something to networks only."""
    names = [name for name in ("steps", "sampler", "guidance") if getattr(inputs, name) is not None]
    names += ["start"] if inputs.start != "noise" else []
    if not card.by_example or not names:
        return []
    return [f"Land by example has no {', '.join(names)}: what was given is ignored."]


def _contains(outer: Box, inner: Box) -> bool:
    """Say whether ``inner`` lies within ``outer``."""
    return (
        outer.col <= inner.col
        and outer.row <= inner.row
        and inner.col + inner.width <= outer.col + outer.width
        and inner.row + inner.height <= outer.row + outer.height
    )


def _cost_warnings(recipe: Recipe, entry: Entry, evaluations: int) -> list[str]:
    """Say how much more work the ground canvas and the regions take here."""
    card, said = entry.card, []
    unit = "units of work" if card.by_example else "evaluations"
    if recipe.canvas == "ground":
        usual = work_of(recipe.model_copy(update={"canvas": canvas_of(recipe.grid, card)}), entry).units
        said = [
            f"The ground canvas takes {evaluations:,} {unit} instead of {usual:,} "
            f"({evaluations / usual:.1f} times as long); in return, scenes of one recipe join without a seam."
        ]
    if recipe.regions:
        plain = work_of(recipe.model_copy(update={"regions": None}), entry).units
        if evaluations > plain:
            said.append(
                f"The regions take {evaluations:,} {unit} instead of {plain:,} "
                f"({evaluations / plain:.1f} times as long)."
            )
    return said


def _bytes(placement: Placement, *, sources: bool) -> int:
    """Return the disk that one variant needs at most: blocks, the files while they are made, pictures."""
    resampled = placement.output is not None
    made = _file_bytes(placement.width, placement.height, resampled=resampled, sources=sources)
    return block_bytes(placement.grid, sources=sources) + made + _PREVIEW_BYTES


def _file_bytes(width: int, height: int, *, resampled: bool, sources: bool) -> int:
    pixels = width * height * (1 + 2 * _OVERVIEWS + (1 if resampled else 0))
    return round((_COLOUR_BYTES + SOURCE_BYTES * sources) * pixels * _INCOMPRESSIBLE) + _FILE_OVERHEAD
