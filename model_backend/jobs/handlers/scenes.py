"""The handler of ``generate``: makes a block of a scene, or joins the blocks to its file.

A scene is made in blocks, each a file and a row of its own, by whichever workers are there; when all are
finished, one worker joins them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model_backend.engine.blocks import Blocks
from model_backend.engine.makers import Credit, merged
from model_backend.errors import Cancelled
from model_backend.jobs import space
from model_backend.jobs.context import (
    JobContext,
    Reporter,
    VariantFiles,
    prepare,
    provenance_of,
)
from model_backend.jobs.desk import LocalDesk
from model_backend.jobs.files import is_as_written
from model_backend.jobs.handlers import sources
from model_backend.jobs.preview import FIRST_LOOK, SKETCHED, Preview
from model_backend.jobs.store.rows import Claim, FinishedBlock, Result
from model_backend.processes import sample_inputs
from model_backend.processes.features import raster_layout
from model_backend.processes.generate import Generate, block_bytes, file_bytes
from model_backend.processes.scene_work import blocks_of
from model_backend.raster.files import scene_writer
from model_backend.schemas import Plan, Recipe

if TYPE_CHECKING:  # numba is imported with the first job by example
    from model_backend.engine.by_example.given import Given

_CREDITS = "credits.json"  # beside the block: what its pixels were copied from


def run(process: Generate, claim: Claim, context: JobContext) -> list[Result]:
    """Make a block of a scene, or join the blocks of one that is complete."""
    assert claim.plan is not None
    recipe = claim.plan.recipe.variant(claim.variant)
    card = context.cache.card(recipe.model, recipe.revision)
    blocks = blocks_of(recipe.grid, card)
    if claim.part is None:
        return _join(claim, recipe, blocks, context)
    _make(claim, recipe, blocks, context, partial(_given, process, recipe, claim, context))
    return []


def _given(process: Generate, recipe: Recipe, claim: Claim, context: JobContext) -> Given:
    """Read the user's rasters that a job names: once for a scene, not for each of its blocks."""
    from model_backend.engine.by_example.given import Given

    inputs, known = process.parse(claim.inputs), context.plan_context(claim)
    samples = sample_inputs.prepare(inputs.samples, known)
    cover = raster_layout.land_cover(recipe, inputs.layout, recipe.frame, known)
    return Given([one.image() for one in samples], cover)


def _make(
    claim: Claim,
    recipe: Recipe,
    blocks: Blocks,
    context: JobContext,
    given: Callable[[], Given],
) -> None:
    """Compute the pixels of a block and keep them on disk."""
    assert claim.plan is not None
    assert claim.part is not None
    box, reporter = blocks[claim.part], context.reporter
    space.take(context.folder, block_bytes(box, sources=claim.plan.sources))
    prepare(recipe, context)
    scene = context.cache.scene(recipe, given)
    for sentence in scene.notes:
        reporter.note(sentence)
    goes_on = claim.part == context.cache.next_block
    again = context.desk.claims.begin(claim, scene.profile.digest)
    if again:
        reporter.note(
            "The device or its software changed on the way, so the image was begun anew"
            f" ({again} of {len(blocks)} parts had been made)."
        )
    reporter.say(
        "Making the image."
        if claim.plan.variants == 1
        else f"Making variant {claim.variant + 1} of {claim.plan.variants}."
    )
    preview = Preview(context.folder.parent, blocks, claim.number - claim.part)
    observer = _BlockObserver(reporter, preview, context.folder)
    if (sketch := scene.sketch(recipe.grid)) is not None:
        preview.begin(sketch, SKETCHED)
        reporter.picture(preview.picture())
    if (first_look := scene.overview(box, observer)) is not None:
        preview.begin(first_look, FIRST_LOOK)
        reporter.picture(preview.picture())
    pixels = scene.pixels(box, observer)
    file = context.folder / "block.tif"
    digest = scene_writer.write_block(file, pixels, box, recipe.frame)
    if claim.plan.sources and (origins := scene.origins()) is not None:
        sources.keep(context.folder, origins, box, recipe.frame)
    (context.folder / _CREDITS).write_text(json.dumps(scene.credits()), encoding="utf-8")
    preview.keep(context.folder, pixels.transpose(1, 2, 0))
    reporter.picture(preview.picture())
    where = file.relative_to(context.folder.parent).as_posix()
    context.desk.claims.record_block(claim, where, digest, scene.profile.approximate)
    only_planned = goes_on and recipe.start is None  # else there was more to do than these evaluations
    if only_planned and reporter.seconds is not None:
        context.cache.measured(recipe.model, reporter.seconds / claim.total)
    context.cache.keep(claim.part + 1, blocks.rest(claim.part + 1))


def _join(claim: Claim, recipe: Recipe, blocks: Blocks, context: JobContext) -> list[Result]:
    """Join the blocks of a variant to its file, and describe it."""
    assert claim.plan is not None
    folder, desk = context.folder.parent, context.desk
    assert isinstance(desk, LocalDesk)  # it is given to workers that have the files
    parts = desk.claims.finished_blocks(claim)
    context.reporter.say("Writing the file.")
    lost = [part.number for part in parts if not _is_whole(part, folder, claim.plan)]
    if lost:
        desk.claims.make_again(claim, lost)
        raise Cancelled
    context.reporter.picture(Preview(folder, blocks, parts[0].number).picture())
    approximate = any(part.approximate for part in parts)
    credits = _merged_credits(folder / part.file for part in parts)
    record = bool(claim.inputs["record_prompt"])
    made = provenance_of(parts[0].profile, approximate, recipe, context, record, credits)
    variant = VariantFiles(claim, context.folder)
    files = [(box, folder / part.file) for box, part in zip(blocks, parts, strict=True)]
    with space.reserved(context.folder, file_bytes(claim.plan)):
        scene_writer.write_scene(variant.image, files, claim.plan, recipe, made)
        if claim.plan.sources:
            sources.join(variant.sources, [(box, file.parent) for box, file in files], recipe, made)
    return variant.results("Synthetic imagery (cloud-optimized GeoTIFF)", recipe, made)


def _merged_credits(blocks: Iterable[Path]) -> tuple[Credit, ...]:
    """Add up what the pixels of all blocks were copied from; blocks of before it was noted have none."""
    noted = [block.with_name(_CREDITS) for block in blocks]
    texts = [path.read_text(encoding="utf-8") for path in noted if path.is_file()]
    return merged([Credit(*one) for text in texts for one in json.loads(text)])


def _is_whole(part: FinishedBlock, folder: Path, plan: Plan) -> bool:
    """Say whether the files of a block are what was written."""
    block = folder / part.file
    return is_as_written(block, part.sha256) and (not plan.sources or sources.is_whole(block.parent))


@dataclass
class _BlockObserver:
    """Reports how a block goes, and shows it in its place in the preview of the scene."""

    reporter: Reporter
    preview_of: Preview
    folder: Path
    share: float = 0.0  # of the block's steps that are done

    def step(self, done: int, total: int) -> None:
        """Pass it on."""
        self.share = min(1.0, done / max(1, total))
        self.reporter.step(done, total)

    def preview(self, rgb: NDArray[np.uint8]) -> None:
        """Show the scene with ``rgb`` in the place of the block."""
        self.preview_of.keep(self.folder, rgb, self.share)
        self.reporter.preview(self.preview_of.picture())
