"""What the bits of land by example depend on besides the recipe."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from typing import Any

from model_backend.models.identity import digest


@dataclass(frozen=True)
class ExampleProfile:
    """The bank's revision (None: the raster alone) and libraries: no device, and nothing is approximate."""

    bank: str | None
    approximate: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return all of it and its digest, ready for JSON."""
        decoded = {} if self.bank is None else {"bank": self.bank, "pillow": _version("pillow")}
        libraries = {name: _version(name) for name in ("numpy", "numba")}
        members = {"device": "cpu", "method": "by example"} | libraries | decoded
        return members | {"digest": digest(members)}

    @property
    def digest(self) -> str:
        """SHA-256 over all of it."""
        return str(self.to_dict()["digest"])


def _version(library: str) -> str:
    return importlib.metadata.version(library)
