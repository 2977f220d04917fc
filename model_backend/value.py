"""What every value that travels is: frozen and strict."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Base of all wire values: frozen, no unknown members, no coercion from strings to numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
