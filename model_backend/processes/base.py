"""What every process has: a description, and a way from JSON to its inputs.

Knows the words of OGC API - Processes 1.0; does not know HTTP, jobs or how a process is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from model_backend import __version__
from model_backend.processes.describe import input_descriptions
from model_backend.processes.inputs import parse
from model_backend.schemas import Value

V = TypeVar("V", bound=Value)


@dataclass(frozen=True)
class Process(Generic[V]):
    """One process on offer; ``sync`` says that it may be executed while the caller waits."""

    id: str
    title: str
    text: str
    inputs: type[V]
    outputs: Mapping[str, Mapping[str, Any]]
    sync: bool
    keywords: tuple[str, ...] = field(default=())

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

    def parse(self, inputs: object) -> V:
        """Return the ``inputs`` member of an execute request as a value, or raise InvalidInput."""
        return parse(self.inputs, inputs)
