"""A process: what it is called and takes, what a job of it comes to, and which handler runs its blocks.

To add one, write its inputs in ``schemas``, a subclass here with its object ``PROCESS``, name that in
``processes/__init__``, and write its handler in ``jobs.handlers``. Nothing else asks which process it has;
only the ids that recipes and ``plan`` may name are listed, in ``schemas``.
Knows the words of OGC API - Processes 1.0; does not know HTTP, jobs or torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from model_backend import __version__
from model_backend.models.registry import Registry
from model_backend.processes.describe import input_descriptions
from model_backend.processes.inputs import parse
from model_backend.schemas import Plan, Upload, Value
from model_backend.settings import Settings

V = TypeVar("V", bound=Value)

UNMEASURED = 0.1  # seconds that a unit of work is taken for where none was measured


@dataclass(frozen=True)
class StoredRaster:
    """A raster that was sent here and checked: our own GeoTIFF, and the SHA-256 of its bytes."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class PlanContext:
    """What a plan depends on besides the inputs: models, limits, measured speeds, the caller's rasters."""

    registry: Registry
    limits: Settings
    #: Profile and seconds per unit of work of a model as last loaded here, by its id; None: never.
    measured: Callable[[str], tuple[Mapping[str, Any], float] | None]
    #: The raster that an input of that name means; raises InvalidInput.
    raster: Callable[[str, Upload], StoredRaster]
    #: The outputs that were asked for by name; empty: the usual ones.
    outputs: frozenset[str] = frozenset()

    def profile(self, model: str) -> Mapping[str, Any] | None:
        """Return the profile of a model, None where it never ran."""
        known = self.measured(model)
        return known[0] if known else None

    def unit_seconds(self, model: str) -> float | None:
        """Return the seconds that a unit of a model's work takes, or usually does; None: nobody knows."""
        known = self.measured(model)
        return known[1] if known else self.registry.get(model).card.unit_seconds

    def seconds(self, model: str, units: int) -> float | None:
        """Return how long so much of a model's work takes, None where nobody knows."""
        each = self.unit_seconds(model)
        return None if each is None else round(units * each, 1)


@dataclass(frozen=True)
class Workload:
    """The work that a job is cut into: the same blocks for every variant, sized in units of work.

    What a unit is, the process decides: one UNet evaluation, a tenth of a second, ...
    """

    blocks: tuple[int, ...]  # units of each block of a variant; at least one block
    variants: int = 1
    join_seconds: float | None = None  # of the step that joins a variant's blocks; None: there is none
    unit_seconds: float | None = None  # expected; None: not measured yet
    disk: int = 0  # bytes to reserve, of all variants
    plan: Plan | None = None

    @property
    def seconds(self) -> float:
        """Return how long a worker will be at it, by what is known before: what its owner is charged."""
        units = sum(max(1, units) for units in self.blocks)
        each = UNMEASURED if self.unit_seconds is None else self.unit_seconds
        return self.variants * (units * each + (self.join_seconds or 0.0))


class Process(ABC, Generic[V]):
    """One process on offer."""

    id: str
    title: str
    text: str
    keywords: tuple[str, ...] = ()
    inputs: type[V]
    outputs: Mapping[str, Mapping[str, Any]]
    sync: bool = False  # whether it may be executed while the caller waits
    #: ``module:function`` that runs a block: ``jobs.handlers.Handler``. Workers alone import it, for torch.
    handler: str

    @abstractmethod
    def workload(self, inputs: V, context: PlanContext) -> Workload:
        """Return the work of a job with these inputs.

        Raises InvalidInput (a field is wrong), TooLarge (above a limit) and ModelUnavailable.
        """

    @property
    def rasters(self) -> tuple[str, ...]:
        """The inputs that may be rasters."""
        types = {name: field.annotation for name, field in self.inputs.model_fields.items()}
        return tuple(name for name, kind in types.items() if Upload in (kind, *get_args(kind)))

    def with_uploads(
        self, inputs: Mapping[str, Any], upload: Callable[[str, object], object]
    ) -> dict[str, Any]:
        """Return inputs as sent, their rasters replaced by what ``upload`` makes of (name, value)."""
        sent = {**inputs, **{name: upload(name, inputs[name]) for name in self.rasters if name in inputs}}
        if isinstance(samples := inputs.get("samples"), list):
            found = enumerate(samples)
            sent["samples"] = [_of_source(f"samples.{number}", one, upload) for number, one in found]
        if "layout" in inputs:
            sent["layout"] = _of_source("layout", inputs["layout"], upload)
        return sent

    def parse(self, inputs: object) -> V:
        """Return the ``inputs`` member of an execute request as a value, or raise InvalidInput."""
        return parse(self.inputs, inputs)

    def summary(self) -> dict[str, Any]:
        """Return an OGC 1.0 ``processSummary`` without links, which only the API can know."""
        return {
            "id": self.id,
            "title": self.title,
            "description": self.text,
            "keywords": list(self.keywords),
            "version": __version__,
            "jobControlOptions": ["sync-execute"] * self.sync + ["async-execute", "dismiss"],
            "outputTransmission": ["value" if self.sync else "reference"],
        }

    def description(self) -> dict[str, Any]:
        """Return an OGC 1.0 ``process`` (summary, inputs, outputs) without links."""
        outputs = {name: dict(output) for name, output in self.outputs.items()}
        return self.summary() | {"inputs": input_descriptions(self.inputs), "outputs": outputs}


def _of_source(field: str, value: object, upload: Callable[[str, object], object]) -> object:
    """Return a value as sent, its raster, if it has one, replaced by what ``upload`` makes of it."""
    if isinstance(value, dict) and isinstance(value.get("value"), dict):  # OGC's qualified form
        return {**value, "value": _of_source(field, value["value"], upload)}
    if not isinstance(value, dict) or "source" not in value:  # refused when it is parsed, or no raster
        return value
    return {**value, "source": upload(f"{field}.source", value["source"])}
