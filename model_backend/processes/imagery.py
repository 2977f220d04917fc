"""What every process that makes imagery with a model shares: outputs, how a plan becomes work, the recipe.

Knows cards and limits; no grids and no pixels.
"""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

from model_backend.errors import InvalidInput, TooLarge
from model_backend.models.card import ModelCard
from model_backend.models.registry import BY_EXAMPLE, Entry
from model_backend.processes.base import PlanContext, Process, Workload
from model_backend.processes.sample_inputs import PreparedSample
from model_backend.schemas import (
    EditInputs,
    ExampleRecipe,
    ExtendInputs,
    GenerateInputs,
    GroundSampleDistance,
    Joins,
    Plan,
    Recipe,
    StartRecipe,
)
from model_backend.settings import Settings

ImageryInputs = GenerateInputs | EditInputs | ExtendInputs
I = TypeVar("I", bound=ImageryInputs)  # noqa: E741

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
SOURCES = "sources"  # the output that is made only where it is asked for
SOURCE_BYTES = 6  # of a pixel of it, compressed: usually 2, and numbers without any order take no more
_VARIANTS = 8


def _outputs() -> dict[str, dict[str, object]]:
    """Return the outputs of all variants; those after the first exist if more variants are asked for."""
    made: dict[str, dict[str, object]] = {}
    for number in range(1, _VARIANTS + 1):
        end, which = ("", "") if number == 1 else (f"_{number}", f" of variant {number}")
        link = {"type": "string", "contentEncoding": "base64", "contentMediaType": COG}
        record = {"type": "object", "contentMediaType": "application/geo+json"}
        made[f"image{end}"] = {"title": f"Cloud-optimized GeoTIFF{which}", "schema": link}
        made[f"item{end}"] = {"title": f"STAC Item{which}", "schema": record}
        made[f"recipe{end}"] = {"title": f"Recipe{which}", "schema": {"type": "object"}}
        made[f"{SOURCES}{end}"] = {
            "title": f"What every pixel was copied from{which}",
            "description": "A cloud-optimized GeoTIFF on the grid of the image: number of an image, column "
            "and row in it. Only of land by example, and only made where `outputs` names it.",
            "schema": link,
        }
    return made


class ImageryProcess(Process[I]):
    """A process that plans imagery and makes it with a model: per variant an image, its Item and recipe."""

    outputs = _outputs()

    @abstractmethod
    def plan(self, inputs: I, context: PlanContext) -> Plan:
        """Plan a job: grid, windows, cost, warnings.

        Raises InvalidInput (a field is wrong), TooLarge (above a limit) and ModelUnavailable.
        """

    def workload(self, inputs: I, context: PlanContext) -> Workload:
        """Return the work of a plan, in UNet evaluations."""
        plan = self.plan(inputs, context)
        return Workload(
            blocks=self.blocks(plan, context.registry.get(plan.recipe.model)),
            variants=plan.variants,
            join_seconds=self.join_seconds(plan),
            unit_seconds=context.unit_seconds(plan.recipe.model),
            disk=plan.bytes,
            plan=plan,
        )

    def blocks(self, plan: Plan, entry: Entry) -> tuple[int, ...]:
        """Return the evaluations of every block of a variant, in order: here one block."""
        return (plan.evaluations // plan.variants,)

    def join_seconds(self, plan: Plan) -> float | None:
        """Return about how long it takes to join the blocks of a variant, None if it has but one."""
        return None


def recipe_of(inputs: ImageryInputs, card: ModelCard, **place: Any) -> Recipe:
    """Return the recipe of the first variant: every default filled in, ``place`` being its other members."""
    sampler = inputs.sampler or card.sampler
    return Recipe(
        model=card.id,
        revision=card.revision_or_hash,
        prompt=inputs.prompt,
        negative_prompt=inputs.negative_prompt,
        seed=_first_seed(inputs.seed, inputs.variants),
        steps=inputs.steps or card.steps[sampler],
        sampler=sampler,
        guidance=card.guidance if inputs.guidance is None else inputs.guidance,
        **place,
    )


def example_recipe(
    gsd: GroundSampleDistance, samples: Sequence[PreparedSample], joins: Joins | None = None
) -> ExampleRecipe:
    """Return what land by example depends on: its pixel size, to two digits, and samples.

    A scene that joins another one has the pixel size of that.
    """
    shared = joins.examples.gsd if joins is not None and joins.examples is not None else None
    return ExampleRecipe(gsd=shared or _rounded(gsd), samples=[sample.recipe for sample in samples])


def start_recipe(
    inputs: GenerateInputs, bank: ModelCard, gsd: GroundSampleDistance, samples: Sequence[PreparedSample]
) -> StartRecipe:
    """Return the land by example that a diffusion model begins with; its pixel size is as of such land."""
    shared = inputs.joins.start.gsd if inputs.joins is not None and inputs.joins.start is not None else None
    size, (finest, coarsest) = shared or _rounded(gsd), bank.gsd
    if not finest <= size <= coarsest:
        rule = f"`noise` where pixels are not of {finest:g} to {coarsest:g} m"
        detail = f"{bank.title} has no land of {size:g} m per pixel to begin with."
        raise InvalidInput("start", detail, value=inputs.start, allowed=rule)
    return StartRecipe(
        gsd=size,
        samples=[sample.recipe for sample in samples],
        bank=bank.id,
        revision=bank.revision_or_hash,
        strength=inputs.start_strength,
    )


def _rounded(gsd: GroundSampleDistance) -> float:
    """Return the ground metres per pixel, to two digits."""
    return float(f"{(gsd.x * gsd.y) ** 0.5:.2g}")


def _first_seed(asked: int | None, variants: int) -> int:
    """Return the seed of the first variant: as asked, else a random one below 2^31."""
    seed = secrets.randbelow(2**31) if asked is None else asked
    if seed + variants > 2**53:
        rule = f"0 to {2**53 - variants}"
        raise InvalidInput(
            "seed", f"`seed` must be {rule}, so that variants have seeds.", value=seed, allowed=rule
        )
    return seed


def wants_sources(card: ModelCard, context: PlanContext) -> bool:
    """Say whether the raster of sources is asked for; all variants then have one.

    Raises InvalidInput for models that paint pixels.
    """
    wanted = any(name.partition("_")[0] == SOURCES for name in context.outputs)
    if wanted and not card.copies:
        detail = (
            f"{card.title} paints its pixels, it does not copy them: there are no sources to tell. Leave "
            f"`{SOURCES}` out of `outputs`, or make land by example ({BY_EXAMPLE} as the model)."
        )
        raise InvalidInput(f"outputs.{SOURCES}", detail, allowed="land by example")
    return wanted


def check_evaluations(evaluations: int, field: str, limits: Settings) -> None:
    """Refuse a job of more UNet evaluations than this server runs; ``field`` makes it so long."""
    if evaluations > limits.max_evaluations:
        rule = f"at most {limits.max_evaluations:,} evaluations"
        detail = f"The job takes {evaluations:,} evaluations of the model; this server runs {rule}."
        raise TooLarge(field, detail, value=evaluations, allowed=rule)


def licence(card: ModelCard) -> list[str]:
    """Return a sentence on what the result may not be used for."""
    return [f"{card.title} is not for commercial use: {card.licence}."] if card.non_commercial else []
