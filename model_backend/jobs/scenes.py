"""The stories: how a claimed block becomes results, per process.

Read ``generate`` first: plan, model, pixels, file, rows. Knows the order of things; pixels are made in
``engine``, files in ``raster``, models in ``models``. Whatever is raised here ends at the worker's loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from model_backend import processes
from model_backend.jobs import edits
from model_backend.jobs.bench import Bench, Names, learn_rate, loaded, origin
from model_backend.jobs.rows import Claim, Result
from model_backend.jobs.values import STEPS_PER_SECOND, answer, pause_of
from model_backend.raster import writer
from model_backend.schemas import Recipe

if TYPE_CHECKING:  # torch is imported with the first model, not with the worker
    from model_backend.engine.scene import Scene

PREVIEW_SIDE = 1024


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
    learn_rate(plan, bench)
    watch.say("Writing the file.")
    step = max(1, max(pixels.shape[1:]) // (2 * PREVIEW_SIDE))  # thin out first: the image may be large
    watch.picture(pixels[:, ::step, ::step].transpose(1, 2, 0))
    made = origin(scene.profile, recipe, bench, bool(claim.inputs["record_prompt"]))
    names = Names(claim, bench.folder)
    writer.write_scene(names.image, pixels, plan, recipe, made)
    return names.results("Synthetic imagery (cloud-optimized GeoTIFF)", recipe, made)


def _scene(recipe: Recipe, bench: Bench) -> Scene:
    model = loaded(recipe, bench)
    from model_backend.engine.scene import Request, Scene

    return Scene(model, Request.of(recipe))


def values(claim: Claim, bench: Bench) -> list[Result]:
    """Answer a process that makes no scene, after the pause it was asked for."""
    inputs = processes.get(claim.process).parse(claim.inputs)
    steps = STEPS_PER_SECOND * pause_of(inputs)
    for step in range(steps):
        bench.watch.step(step, 1 + steps)
        time.sleep(1 / STEPS_PER_SECOND)
    return answer(inputs, bench.settings, bench.store, bench.store.owner(claim.job))


STORIES: dict[str, Callable[[Claim, Bench], list[Result]]] = {
    "generate": generate,
    "edit": edits.run,
    "extend": edits.run,
    "echo": values,
    "plan": values,
}
