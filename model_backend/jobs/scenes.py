"""The stories: how a claimed block becomes results, per process.

Read ``generate`` first: a scene is made in blocks, each a file and a row of its own, by whichever workers are
there; when all are finished, one worker joins them. Knows the order of things; pixels are made in ``engine``,
files in ``raster``, models in ``models``. Whatever is raised here ends at the worker's loop.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_backend import processes
from model_backend.engine.blocks import Blocks
from model_backend.errors import Cancelled
from model_backend.jobs import edits, space
from model_backend.jobs.context import JobContext, Names, Watch, loaded, origin
from model_backend.jobs.preview import Preview
from model_backend.jobs.rows import Claim, Piece, Result
from model_backend.jobs.values import STEPS_PER_SECOND, answer, pause_of
from model_backend.processes.generate import block_bytes, file_bytes
from model_backend.raster import writer
from model_backend.schemas import Recipe


def generate(claim: Claim, bench: JobContext) -> list[Result]:
    """Make a block of a scene, or join the blocks of one that is complete."""
    assert claim.plan is not None
    recipe = claim.plan.recipe.variant(claim.variant)
    card = bench.cache.card(recipe.model, recipe.revision)
    blocks = Blocks.of(recipe.grid, card.engine, card.vae_factor)
    if claim.part is None:
        return _join(claim, recipe, blocks, bench)
    _make(claim, recipe, blocks, bench)
    return []


def _make(claim: Claim, recipe: Recipe, blocks: Blocks, bench: JobContext) -> None:
    """Compute the pixels of a block and keep them on disk."""
    assert claim.plan is not None
    assert claim.part is not None
    box, watch = blocks[claim.part], bench.watch
    space.take(bench.folder, block_bytes(box))
    loaded(recipe, bench)
    scene = bench.cache.scene(recipe)
    goes_on = claim.part == bench.cache.next_block
    again = bench.store.begin(claim, scene.profile.digest)
    if again:
        watch.note(
            "The device or its software changed on the way, so the image was begun anew"
            f" ({again} of {len(blocks)} parts had been made)."
        )
    watch.say(
        "Making the image."
        if claim.plan.variants == 1
        else f"Making variant {claim.variant + 1} of {claim.plan.variants}."
    )
    preview = Preview(bench.folder.parent, blocks, claim.number - claim.part)
    pixels = scene.pixels(box, _Seen(watch, preview, bench.folder))
    file = bench.folder / "block.tif"
    digest = writer.write_block(file, pixels, box, recipe.frame)
    preview.keep(bench.folder, pixels.transpose(1, 2, 0))
    watch.picture(preview.picture())
    where = file.relative_to(bench.folder.parent).as_posix()
    bench.store.keep(claim, where, digest, scene.profile.approximate)
    if goes_on and watch.seconds is not None:  # else it took more evaluations than were planned
        bench.cache.measured(recipe.model, watch.seconds / claim.total)
    bench.cache.keep(claim.part + 1, blocks.rest(claim.part + 1))


def _join(claim: Claim, recipe: Recipe, blocks: Blocks, bench: JobContext) -> list[Result]:
    """Join the blocks of a variant to its file, and describe it."""
    assert claim.plan is not None
    folder = bench.folder.parent
    pieces = bench.store.pieces(claim)
    bench.watch.say("Writing the file.")
    lost = [piece.number for piece in pieces if not _is_whole(piece, folder)]
    if lost:
        bench.store.redo(claim, lost)
        raise Cancelled
    bench.watch.picture(Preview(folder, blocks, pieces[0].number).picture())
    approximate = any(piece.approximate for piece in pieces)
    made = origin(pieces[0].profile, approximate, recipe, bench, bool(claim.inputs["record_prompt"]))
    names = Names(claim, bench.folder)
    files = [(box, folder / piece.file) for box, piece in zip(blocks, pieces, strict=True)]
    with space.reserved(bench.folder, file_bytes(claim.plan)):
        writer.write_scene(names.image, files, claim.plan, recipe, made)
    return names.results("Synthetic imagery (cloud-optimized GeoTIFF)", recipe, made)


def _is_whole(piece: Piece, folder: Path) -> bool:
    """Say whether the file of a block is what was written."""
    try:
        with (folder / piece.file).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == piece.sha256
    except OSError:
        return False


@dataclass(frozen=True)
class _Seen:
    """Watches a block; what is seen of it becomes a part of what is seen of the scene."""

    watch: Watch
    preview_of: Preview
    folder: Path

    def step(self, done: int, total: int) -> None:
        """Pass it on."""
        self.watch.step(done, total)

    def preview(self, rgb: NDArray[np.uint8]) -> None:
        """Show the scene with ``rgb`` in the place of the block."""
        self.preview_of.keep(self.folder, rgb)
        self.watch.preview(self.preview_of.picture())


def values(claim: Claim, bench: JobContext) -> list[Result]:
    """Answer a process that makes no scene, after the pause it was asked for."""
    inputs = processes.get(claim.process).parse(claim.inputs)
    steps = STEPS_PER_SECOND * pause_of(inputs)
    began = time.monotonic()
    for step in range(steps):
        bench.watch.step(step, 1 + steps)
        time.sleep(max(0.0, began + (step + 1) / STEPS_PER_SECOND - time.monotonic()))
    return answer(inputs, bench.settings, bench.store, bench.store.owner(claim.job))


STORIES: dict[str, Callable[[Claim, JobContext], list[Result]]] = {
    "generate": generate,
    "edit": edits.run,
    "extend": edits.run,
    "echo": values,
    "plan": values,
}
