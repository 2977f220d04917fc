"""What every value that travels is: frozen and strict; and rasters, which are sent before they are named."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat


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


class UnsentRaster(Value):
    """The grid of a raster that is not here yet, north or any other way up."""

    crs: str = Field(max_length=20_000)
    transform: Annotated[list[FiniteFloat], Field(min_length=6, max_length=6)] = Field(
        description="Affine a, b, c, d, e, f as in rasterio."
    )
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    bands: Annotated[int, Field(ge=1, le=10_000)] = 3
