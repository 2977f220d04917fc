"""The story of an edit, or of an extension: how a claimed block becomes a raster with painted pixels.

Plan, files, model, a view of what is there, the repainted view, back onto the raster's grid, joined to what
stays, other bands, file, rows. Pixels are made in ``engine``, rasters read and written in ``raster``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model_backend import processes
from model_backend.engine.editing.composite import Join, cast, continued
from model_backend.jobs import space
from model_backend.jobs.context import JobContext, Names, Reporter, learn_rate, loaded, origin
from model_backend.jobs.rows import Claim, Result
from model_backend.jobs.uploads import Uploads
from model_backend.processes import edit, extend
from model_backend.raster import spectral
from model_backend.raster.grids import overlap
from model_backend.raster.patch import Patch, picture, write_edit
from model_backend.raster.source import read, read_known
from model_backend.schemas import EditInputs, Recipe

if TYPE_CHECKING:  # torch is imported with the first model, not with the worker
    from model_backend.engine.editing.edit import Edit, View
    from model_backend.models.loader import Model


def run(claim: Claim, context: JobContext) -> list[Result]:
    """Make one variant of an edit or of an extension."""
    assert claim.plan is not None
    plan, reporter = claim.plan, context.reporter
    inputs: edit.Painting = processes.get(claim.process).parse(claim.inputs)
    recipe = plan.recipe.variant(claim.variant)
    space.take(context.folder, edit.file_bytes(plan))
    files = Uploads(context.settings).files_of(context.store.queue.owner(claim.job), inputs)
    model = loaded(recipe, context)
    ready = _ready(inputs, files, model, context)
    which = "" if plan.variants == 1 else f" variant {claim.variant + 1} of {plan.variants}"
    reporter.say(f"Painting{which}.")
    work = painter(model, recipe, ready)
    painted = work.view(reporter, overlap(recipe.grid, ready.canvas))
    learn_rate(plan, context)
    patch = join(ready, painted, recipe, reporter)
    reporter.say("Writing the file.")
    profile = work.profile
    made = origin(profile.digest, profile.approximate, recipe, context, inputs.record_prompt)
    names = Names(claim, context.folder)
    with space.reserved(context.folder, edit.file_bytes(plan)):
        bands = write_edit(names.image, ready.source, patch, plan, recipe, made)
    whole = ready.source.box
    at = ready.at.model_copy(update={"col": ready.at.col - whole.col, "row": ready.at.row - whole.row})
    reporter.picture(picture(names.image, at, *_shown(ready, recipe)))
    title = "Edited imagery" if recipe.process == "edit" else "Extended imagery"
    return names.results(f"{title} (cloud-optimized GeoTIFF)", recipe, made, bands)


def _ready(inputs: edit.Painting, files: edit.Files, model: Model, context: JobContext) -> edit.Ready:
    if isinstance(inputs, EditInputs):
        return edit.prepare(inputs, files, model.card, context.settings)
    return extend.prepare(inputs, files, model.card, context.settings)


def painter(model: Model, recipe: Recipe, ready: edit.Ready) -> Edit:
    """Return the engine's part of an edit: what is there, and what is to be made of it."""
    assert recipe.edit is not None
    from model_backend.engine.editing.edit import Canvas, Edit
    from model_backend.engine.scene import Request

    view, known = ready.work.take(ready.canvas, ready.stretch)
    if recipe.process == "extend":  # under the noise it begins with lies the tone of the land around
        view = continued(view, known)
    paint = ready.work.mask(ready.paint, ready.at, ready.canvas)
    return Edit(model, Request.of(recipe), Canvas(ready.canvas, view, paint, known), recipe.edit.strength)


def join(ready: edit.Ready, painted: View, recipe: Recipe, reporter: Reporter) -> Patch:
    """Return the raster's new values in the mask, out of a repainted view of the canvas.

    The view comes back onto the raster's grid and into its values, takes the tone of the surroundings along
    the mask's border, and is feathered inside it; band by band, so that memory stays at some 60 bytes per
    pixel of the mask's box.
    """
    source, box = ready.source, ready.join
    reporter.say("Joining it to its surroundings.")
    known = read_known(source, box)
    border = Join(ready.mask, known, ready.spacing, ready.feather, new_land=recipe.process == "extend")
    view = ready.work.back(painted, ready.canvas, box)
    values: dict[int, NDArray[Any]] = {}
    for number, band in enumerate(source.roles.visible):
        reporter.say("Joining it to its surroundings.")
        made = border.band(read(source, box, [band])[0], ready.stretch.band(view, number))
        values[band] = cast(made, source.dtype, source.nodata)
    assert recipe.edit is not None
    if recipe.edit.extra_bands == "match" and source.roles.extra:
        reporter.say("Matching the other bands.")
        values |= _borrowed(ready, known, values, border)
    return Patch(ready.at, ready.paint, values)


def _borrowed(
    ready: edit.Ready, known: NDArray[np.bool_], painted: dict[int, NDArray[Any]], border: Join
) -> dict[int, NDArray[Any]]:
    """Return values for the bands that the model does not see, feathered like the others."""
    source, box, roles = ready.source, ready.join, ready.source.roles
    rows, cols = spectral.samples(known & ~border.mask)

    def colours(bands: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        return ready.stretch.view(np.stack(bands)[:, None])[:, 0]

    near = colours([read(source, box, [band])[0, rows, cols] for band in roles.visible])
    others = np.stack([read(source, box, [band])[0, rows, cols] for band in roles.extra])
    lent = spectral.borrow([painted[band] for band in roles.visible], colours, near, others)
    values = {}
    for band, after in zip(roles.extra, lent, strict=True):
        blended = border.feathered(read(source, box, [band])[0], after)
        values[band] = cast(blended, source.dtype, source.nodata)
    return values


def _shown(ready: edit.Ready, recipe: Recipe) -> tuple[tuple[int, ...], tuple[tuple[float, float], ...]]:
    """Return the visible bands as the result numbers them, and their stretch."""
    source = ready.source
    dropped = recipe.edit is not None and recipe.edit.extra_bands == "drop"
    gone = source.roles.extra if dropped else ()
    bands = tuple(band - sum(other < band for other in gone) for band in source.roles.visible)
    return bands, ready.stretch.ranges
