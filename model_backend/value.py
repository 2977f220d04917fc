"""What every value that travels is: frozen and strict; and rasters, which are sent before they are named."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Value(BaseModel):
    """Base of all wire values: frozen, no unknown members, no coercion from strings to numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Upload(Value):
    """A raster that was sent to ``/uploads``."""

    upload: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


Source = Annotated[
    Upload,
    Field(description="The raster: an upload, a link to a result of an own job, or a GeoTIFF in base64."),
]
