"""What the handlers share: where they report to, what they work with, how results are named and described.

Knows the store's rows and a job's folder; pixels are made in ``engine``, files in ``raster``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from model_backend.arrays import UInt8Array
from model_backend.engine.makers import Credit
from model_backend.engine.progress import ProgressListener
from model_backend.jobs.cache import ModelCache
from model_backend.jobs.desk import Desk
from model_backend.jobs.store.rows import Claim, Result
from model_backend.models.card import ModelCard
from model_backend.models.registry import Registry
from model_backend.processes.base import PlanContext
from model_backend.processes.imagery import COG, SOURCES
from model_backend.processes.prompts import prompt_warnings
from model_backend.raster.files import provenance
from model_backend.schemas import Plan, Recipe
from model_backend.settings import Settings


class Reporter(ProgressListener, Protocol):
    """Where a handler reports to; ``step`` and ``say`` raise Cancelled when the job is not to go on."""

    def say(self, message: str) -> None:
        """Tell the owner what is being done."""

    def picture(self, rgb: UInt8Array) -> None:
        """Make (height, width, 3 or 4) the preview."""

    def note(self, sentence: str) -> None:
        """Add a sentence to what the owner reads at the end."""

    @property
    def seconds(self) -> float | None:
        """Return how long all steps took, as far as measured."""


@dataclass(frozen=True)
class JobContext:
    """What a handler works with; files go into ``folder``, which is the attempt's own."""

    settings: Settings
    registry: Registry
    desk: Desk
    cache: ModelCache
    reporter: Reporter
    folder: Path

    def plan_context(self, claim: Claim) -> PlanContext:
        """Return what the process of a claimed job may look at to plan it again."""
        raster = partial(self.desk.raster, claim.job)
        return PlanContext(self.registry, self.settings, self.desk.profiles.of, raster)


def prepare(recipe: Recipe, context: JobContext) -> None:
    """Have all loaded that a scene needs, and tell the owner which words of the prompts it will not heed."""
    if context.registry.get(recipe.model).card.by_example:
        context.reporter.say("Choosing example images.")
    else:
        if not context.cache.has(recipe.model, recipe.revision):
            context.reporter.say(f"Loading the model {recipe.model}.")
        context.cache.get(recipe.model, recipe.revision)
    for sentence in prompt_warnings(recipe, context.registry.get(recipe.model)):
        context.reporter.note(sentence)


def learn_rate(plan: Plan, context: JobContext) -> None:
    """Remember how long an evaluation took, once all steps of a variant are done."""
    if context.reporter.seconds is not None:
        context.cache.measured(plan.recipe.model, context.reporter.seconds * plan.variants / plan.evaluations)


def provenance_of(
    profile: str,
    approximate: bool,
    recipe: Recipe,
    context: JobContext,
    record_prompt: bool,
    credits: Sequence[Credit] = (),
) -> provenance.Provenance:
    """Return what files say of where their pixels come from; ``profile`` is a digest."""
    whole = sum(one.pixels for one in credits)
    card = context.cache.card(recipe.model, recipe.revision)
    return provenance.Provenance(
        model=card.title,
        licence=card.licence,
        attribution=_attribution(recipe, card, context),
        profile=profile,
        approximate=approximate,
        created=datetime.now(UTC),
        record_prompt=record_prompt,
        by_example=card.copies,
        sources=tuple((one.source, one.licence, round(one.pixels / whole, 4)) for one in credits),
    )


def _attribution(recipe: Recipe, card: ModelCard, context: JobContext) -> str:
    """Return to whom credit is due: for the model, and for the land that it began with."""
    if recipe.start is None:
        return card.attribution
    bank = context.cache.card(recipe.start.bank, recipe.start.revision)
    return "; ".join(text for text in (card.attribution, bank.attribution) if text)


@dataclass(frozen=True)
class VariantFiles:
    """Names and records of a variant's outputs and files: ``image``, then ``image_2``, ..."""

    claim: Claim
    folder: Path

    @property
    def image(self) -> Path:
        """Where the image is to be written."""
        return self.folder / (self._output("image") + ".tif")

    @property
    def sources(self) -> Path:
        """Where the raster of its sources is to be written, if it is asked for."""
        return self.folder / (self._output(SOURCES) + ".tif")

    def results(
        self, title: str, recipe: Recipe, made: provenance.Provenance, bands: dict[str, Any] | None = None
    ) -> list[Result]:
        """Write Item and recipe beside the image and return the outputs of the variant."""
        plan = self.claim.plan
        assert plan is not None
        sources = f"./{self.sources.name}" if plan.sources else None
        item_id = f"{self.claim.job}-{self._output('image')}"
        item = provenance.stac_item(item_id, f"./{self.image.name}", plan, recipe, made, bands, sources)
        self._dump("item", item)
        self._dump("recipe", provenance.recorded(recipe, made))
        found = [
            file_result(self._output("image"), title, COG, self.image),
            file_result(self._output("item"), "STAC Item", "application/geo+json", self._record("item")),
            file_result(self._output("recipe"), "Recipe", "application/json", self._record("recipe")),
        ]
        if plan.sources:
            what = "What every pixel was copied from (cloud-optimized GeoTIFF)"
            found.append(file_result(self._output(SOURCES), what, COG, self.sources))
        return found

    def _output(self, kind: str) -> str:
        return kind if self.claim.variant == 0 else f"{kind}_{self.claim.variant + 1}"

    def _record(self, kind: str) -> Path:
        return self.folder / f"{self._output(kind)}.json"

    def _dump(self, kind: str, value: dict[str, Any]) -> None:
        self._record(kind).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def file_result(output: str, title: str, media: str, path: Path) -> Result:
    """Describe a file in an attempt's folder as an output."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    where = path.relative_to(path.parents[1]).as_posix()
    return Result(output, title, media, file=where, bytes=path.stat().st_size, sha256=digest)
