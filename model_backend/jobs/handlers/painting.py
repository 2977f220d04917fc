"""The handler of ``edit`` and ``extend``: writes a raster with painted pixels.

The model repaints a view of what is there; that comes back onto the raster's grid, is joined to what stays,
and other bands get values too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import Float32Array
from model_backend.engine.by_example.profile import ExampleProfile
from model_backend.engine.editing.composite import Join, cast, continued
from model_backend.engine.makers import Credit, EditCanvas, EditMaker, Origins
from model_backend.jobs import space
from model_backend.jobs.context import (
    JobContext,
    Reporter,
    VariantFiles,
    learn_rate,
    prepare,
    provenance_of,
)
from model_backend.jobs.handlers import sources
from model_backend.jobs.store.rows import Claim, Result
from model_backend.processes.features import raster_layout
from model_backend.processes.painting import P, PaintingProcess, Prepared, file_bytes
from model_backend.raster import extra_bands
from model_backend.raster.files.edit_writer import Patch, preview_pixels, write_edit
from model_backend.raster.files.source import read, read_known
from model_backend.raster.georeference.grids import overlap
from model_backend.raster.value_warnings import leaves_range
from model_backend.schemas import Plan, Recipe

if TYPE_CHECKING:  # torch and numba are imported with the first job, not with the worker
    from model_backend.engine.by_example.land_cover import LandCover
    from model_backend.models.loader import Model


def run(process: PaintingProcess[P], claim: Claim, context: JobContext) -> list[Result]:
    """Make one variant."""
    assert claim.plan is not None
    plan, reporter = claim.plan, context.reporter
    inputs = process.parse(claim.inputs)
    recipe = plan.recipe.variant(claim.variant)
    space.take(context.folder, file_bytes(plan))
    card = context.cache.card(recipe.model, recipe.revision)
    known = context.plan_context(claim)
    prepared = process.prepare(inputs, card, known)
    cover = raster_layout.land_cover(recipe, inputs.layout, prepared.work, known)
    if card.pipeline != "surroundings":
        prepare(recipe, context)
    one, place = plan.variants == 1, claim.variant + 1
    reporter.say("Painting." if one else f"Painting variant {place} of {plan.variants}.")
    methods: dict[str, _Method] = {
        "surroundings": _from_surroundings,
        "examples": partial(_by_example, cover=cover),
    }
    painted = methods.get(card.pipeline, _by_model)(plan, prepared, recipe, context)
    reporter.say("Writing the file.")
    made = provenance_of(
        painted.profile, painted.approximate, recipe, context, inputs.record_prompt, painted.credits
    )
    files = VariantFiles(claim, context.folder)
    with space.reserved(context.folder, file_bytes(plan)):
        bands = write_edit(files.image, prepared.source, painted.patch, plan, recipe, made)
        if painted.origins is not None:
            mask = prepared.at, prepared.paint
            sources.write(files.sources, prepared.source, mask, painted.origins, recipe, made)
    whole = prepared.source.box
    at = prepared.at.model_copy(
        update={"col": prepared.at.col - whole.col, "row": prepared.at.row - whole.row}
    )
    reporter.picture(preview_pixels(files.image, at, *_shown(prepared, recipe)))
    return files.results(f"{process.result_title} (cloud-optimized GeoTIFF)", recipe, made, bands)


class _Painted(NamedTuple):
    """New pixels, what their bits depend on (a digest), and where they were copied from, if they were."""

    patch: Patch
    profile: str
    approximate: bool = False
    credits: tuple[Credit, ...] = ()
    origins: Origins | None = None


_Method = Callable[[Plan, Prepared, Recipe, JobContext], _Painted]


def _by_model(plan: Plan, prepared: Prepared, recipe: Recipe, context: JobContext) -> _Painted:
    """Paint with a diffusion model."""
    work = edit_of(context.cache.get(recipe.model, recipe.revision), recipe, prepared)
    view = work.view(context.reporter, overlap(recipe.grid, prepared.canvas))
    learn_rate(plan, context)
    profile = work.profile
    return _Painted(join(prepared, view, recipe, context.reporter), profile.digest, profile.approximate)


def _by_example(
    plan: Plan, prepared: Prepared, recipe: Recipe, context: JobContext, cover: LandCover | None
) -> _Painted:
    """Paint with example images. Numba is imported with the first such job."""
    from model_backend.engine.by_example.edit import ExampleEdit
    from model_backend.engine.by_example.given import Given

    canvas = canvas_of(prepared)
    bank, threads = context.cache.bank(recipe), context.settings.threads
    given = Given([sample.image() for sample in prepared.samples], cover)
    work = ExampleEdit(bank, recipe, canvas, threads, given)
    for sentence in work.notes:
        context.reporter.note(sentence)
    view = work.view(context.reporter, overlap(recipe.grid, prepared.canvas))
    _learn(plan, work.profile.to_dict(), context)
    patch = join(prepared, view, recipe, context.reporter)
    origins = work.origins() if plan.sources else None
    return _Painted(patch, work.profile.digest, credits=work.credits(), origins=origins)


def _from_surroundings(plan: Plan, prepared: Prepared, recipe: Recipe, context: JobContext) -> _Painted:
    """Fill from the surroundings. Numba is imported with the first such job."""
    from model_backend.engine.by_example.scene import use_threads
    from model_backend.jobs.handlers.filling import filled

    use_threads(context.settings.threads)
    profile = ExampleProfile(bank=None)
    patch, origins = filled(prepared, recipe, context.reporter)
    _learn(plan, profile.to_dict(), context)
    credits = tuple(Credit(image.source, image.licence, image.pixels) for image in origins.images)
    return _Painted(patch, profile.digest, credits=credits, origins=origins if plan.sources else None)


def _learn(plan: Plan, profile: dict[str, Any], context: JobContext) -> None:
    """Remember how long a unit of work took."""
    if context.reporter.seconds is not None:
        rate = context.reporter.seconds * plan.variants / plan.evaluations
        context.desk.profiles.record(plan.recipe.model, profile["device"], profile, rate)


def edit_of(model: Model, recipe: Recipe, prepared: Prepared) -> EditMaker:
    """Set up the engine's edit of a prepared raster."""
    assert recipe.edit is not None
    from model_backend.engine.editing.edit import Edit

    canvas = canvas_of(prepared)
    if prepared.new_land:  # under the noise it begins with lies the tone of the land around
        canvas = replace(canvas, view=continued(canvas.view, canvas.known))
    return Edit(model, recipe, canvas, recipe.edit.strength)


def canvas_of(prepared: Prepared) -> EditCanvas:
    """Read what is worked on of a prepared raster."""
    view, known = prepared.work.read_view(prepared.canvas, prepared.stretch)
    paint = prepared.work.mask_on(prepared.paint, prepared.at, prepared.canvas)
    return EditCanvas(prepared.canvas, view, paint, known)


def join(prepared: Prepared, painted: Float32Array, recipe: Recipe, reporter: Reporter) -> Patch:
    """Return the raster's new values in the mask, out of a repainted view of the canvas.

    The view comes back onto the raster's grid and into its values, takes the tone of the surroundings along
    the mask's border, and is feathered inside it; band by band, so that memory stays at some 60 bytes per
    pixel of the mask's box.
    """
    source, box = prepared.source, prepared.join
    reporter.say("Joining it to its surroundings.")
    known = read_known(source, box)
    border = Join(prepared.mask, known, prepared.spacing, prepared.feather, new_land=prepared.new_land)
    view = prepared.work.onto_source(painted, prepared.canvas, box)
    values: dict[int, NDArray[Any]] = {}
    stays = known & ~prepared.mask
    for number, band in enumerate(source.roles.visible):
        reporter.say("Joining it to its surroundings.")
        there = read(source, box, [band])[0]
        made = border.band(there, prepared.stretch.band(view, number))
        values[band] = cast(made, source.dtype, source.nodata, source.highest)
        if source.dtype != np.uint8 and leaves_range(values[band], there[stays]):
            reporter.note(f"Some painted values of band {band} are far beyond those around them.")
    assert recipe.edit is not None
    if recipe.edit.extra_bands == "match" and source.roles.extra:
        reporter.say("Matching the other bands.")
        values |= _borrowed(prepared, known, values, border)
    return Patch(prepared.at, prepared.paint, values)


def _borrowed(
    prepared: Prepared, known: NDArray[np.bool_], painted: dict[int, NDArray[Any]], border: Join
) -> dict[int, NDArray[Any]]:
    """Return values for the bands that the model does not see, feathered like the others."""
    source, box, roles = prepared.source, prepared.join, prepared.source.roles
    rows, cols = extra_bands.samples(known & ~border.mask)

    def colours(bands: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        return prepared.stretch.view(np.stack(bands)[:, None])[:, 0]

    near = colours([read(source, box, [band])[0, rows, cols] for band in roles.visible])
    others = np.stack([read(source, box, [band])[0, rows, cols] for band in roles.extra])
    if (whole := np.isfinite(others).all(0)).any():  # where no pixel has all bands, they stay without values
        near, others = near[:, whole], others[:, whole]
    lent = extra_bands.match([painted[band] for band in roles.visible], colours, near, others)
    values = {}
    for band, after in zip(roles.extra, lent, strict=True):
        blended = border.feathered(read(source, box, [band])[0], after)
        values[band] = cast(blended, source.dtype, source.nodata, source.highest)
    return values


def _shown(prepared: Prepared, recipe: Recipe) -> tuple[tuple[int, ...], tuple[tuple[float, float], ...]]:
    """Return the visible bands as the result numbers them, and their stretch."""
    source = prepared.source
    dropped = recipe.edit is not None and recipe.edit.extra_bands == "drop"
    gone = source.roles.extra if dropped else ()
    bands = tuple(band - sum(other < band for other in gone) for band in source.roles.visible)
    return bands, prepared.stretch.ranges
