"""The stories: how a claimed block becomes results, per process.

Read ``generate`` first: plan, model, pixels, file, rows. Knows the order of things; pixels are made in
``engine``, files in ``raster``, models in ``models``. Whatever is raised here ends at the worker's loop.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model_backend import processes
from model_backend.jobs.cache import ModelCache
from model_backend.jobs.rows import Claim, Result
from model_backend.jobs.store import Store
from model_backend.jobs.values import STEPS_PER_SECOND, answer, pause_of
from model_backend.processes.generate import COG
from model_backend.raster import provenance, writer
from model_backend.schemas import Plan, Recipe
from model_backend.settings import Settings

if TYPE_CHECKING:  # torch is imported with the first model, not with the worker
    from model_backend.engine.scene import Scene

PREVIEW_SIDE = 1024


class Watch(Protocol):
    """Where a story reports to; ``step`` and ``say`` raise Cancelled when the job is not to go on."""

    def say(self, message: str) -> None:
        """Tell the owner what is being done."""

    def step(self, done: int, total: int) -> None:
        """Record evaluations done, of how many."""

    def preview(self, rgb: NDArray[np.uint8]) -> None:
        """Offer (height, width, 3) as preview."""

    def picture(self, rgb: NDArray[np.uint8]) -> None:
        """Make (height, width, 3) the preview."""

    def note(self, sentence: str) -> None:
        """Add a sentence to what the owner reads at the end."""

    @property
    def seconds(self) -> float | None:
        """Return how long all steps took, as far as measured."""


@dataclass(frozen=True)
class Bench:
    """What a story works with; files go into ``folder``, which is the attempt's own."""

    settings: Settings
    store: Store
    cache: ModelCache
    watch: Watch
    folder: Path


def generate(claim: Claim, bench: Bench) -> list[Result]:
    """Make one variant: load the model, compute the pixels, write the file, describe it."""
    assert claim.plan is not None
    plan, watch = claim.plan, bench.watch
    recipe = plan.recipe.model_copy(update={"seed": plan.recipe.seed + claim.number})
    scene = _scene(recipe, bench)
    watch.say(
        "Making the image."
        if plan.variants == 1
        else f"Making variant {claim.number + 1} of {plan.variants}."
    )
    pixels = scene.pixels(recipe.grid, watch)
    if watch.seconds is not None:
        bench.cache.measured(recipe.model, watch.seconds * plan.variants / plan.evaluations)
    watch.say("Writing the file.")
    step = max(1, max(pixels.shape[1:]) // (2 * PREVIEW_SIDE))  # thin out first: the image may be large
    watch.picture(pixels[:, ::step, ::step].transpose(1, 2, 0))
    origin = _origin(scene, recipe, bench, bool(claim.inputs["record_prompt"]))
    return _write(pixels, plan, recipe, origin, _Names(claim, bench.folder))


def _scene(recipe: Recipe, bench: Bench) -> Scene:
    if not bench.cache.has(recipe.model, recipe.revision):
        bench.watch.say(f"Loading the model {recipe.model}.")
    from model_backend.engine.scene import Request, Scene

    model = bench.cache.get(recipe.model, recipe.revision)
    for field, text in (("prompt", recipe.prompt), ("negative prompt", recipe.negative_prompt)):
        lost = model.tokens_lost(text)
        if lost:
            bench.watch.note(
                f"The {field} is longer than the model reads: its last {lost} tokens were ignored."
            )
    return Scene(model, Request.of(recipe))


def _origin(scene: Scene, recipe: Recipe, bench: Bench, record_prompt: bool) -> provenance.Provenance:
    card = bench.cache.get(recipe.model, recipe.revision).card
    return provenance.Provenance(
        model=card.title,
        licence=card.licence,
        attribution=card.attribution,
        profile=scene.profile.digest,
        approximate=scene.profile.approximate,
        created=datetime.now(UTC),
        record_prompt=record_prompt,
    )


@dataclass(frozen=True)
class _Names:
    """Names of a variant's outputs and files: ``image``, then ``image_2``, ..."""

    claim: Claim
    folder: Path

    def output(self, kind: str) -> str:
        return kind if self.claim.number == 0 else f"{kind}_{self.claim.number + 1}"

    def result(self, kind: str, title: str, media: str, ending: str) -> Result:
        """Describe a file that lies in the folder."""
        path = self.folder / (self.output(kind) + ending)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        where = path.relative_to(self.folder.parent).as_posix()
        return Result(self.output(kind), title, media, file=where, bytes=path.stat().st_size, sha256=digest)


def _write(
    pixels: NDArray[np.uint8], plan: Plan, recipe: Recipe, origin: provenance.Provenance, names: _Names
) -> list[Result]:
    image = names.output("image") + ".tif"
    writer.write_scene(names.folder / image, pixels, plan, recipe, origin)
    item = provenance.stac_item(
        f"{names.claim.job}-{names.output('image')}", f"./{image}", plan, recipe, origin
    )
    _dump(names.folder / f"{names.output('item')}.json", item)
    _dump(names.folder / f"{names.output('recipe')}.json", provenance.recorded(recipe, origin))
    return [
        names.result("image", "Synthetic imagery (cloud-optimized GeoTIFF)", COG, ".tif"),
        names.result("item", "STAC Item", "application/geo+json", ".json"),
        names.result("recipe", "Recipe", "application/json", ".json"),
    ]


def _dump(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def values(claim: Claim, bench: Bench) -> list[Result]:
    """Answer a process that makes no scene, after the pause it was asked for."""
    inputs = processes.get(claim.process).parse(claim.inputs)
    steps = STEPS_PER_SECOND * pause_of(inputs)
    for step in range(steps):
        bench.watch.step(step, 1 + steps)
        time.sleep(1 / STEPS_PER_SECOND)
    return answer(inputs, bench.settings, bench.store)


STORIES: dict[str, Callable[[Claim, Bench], list[Result]]] = {
    "generate": generate,
    "echo": values,
    "plan": values,
}
