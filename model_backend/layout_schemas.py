"""A layout as it travels: the features or the raster of a request, and what a recipe keeps of them.

A part of ``schemas``: what lies where, drawn as areas, lines and points, or as pixels that are classes,
instead of described.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from model_backend.value import Source, Value

MOST_CLASSES = 1_000  # of a raster
Table = Literal["words", "osm", "corine", "worldcover", "nlcd", "cdl"]


class LayoutFeatures(Value):
    """What lies where: polygons, lines and points of the ground, each with a class."""

    geojson: dict[str, Any] = Field(
        description="A FeatureCollection: property `class` says what a feature is; if wanted `width`, metres "
        "across of lines and points, `hard` (true: the outline stays as it is drawn, where others are made "
        "natural) and `priority` (higher covers lower, then later covers earlier)."
    )
    crs: str = Field("OGC:CRS84", max_length=20_000, description="CRS of the coordinates.")
    table: Table = Field(
        "words", description="What classes are: words of prompts, or values of this map or product."
    )


class LayoutRaster(Value):
    """What lies where: a raster of the ground whose pixels are classes."""

    source: Source
    band: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The band with the classes; left out: the only one."
    )
    table: Table = Field(
        "words", description="What classes are: words of prompts, or values of this map or product."
    )
    classes: (
        Annotated[dict[str, Annotated[str, Field(max_length=200)]], Field(max_length=MOST_CLASSES)] | None
    ) = Field(
        None, description='Classes by pixel value, such as `{"3": "lake"}`; of others the value is the class.'
    )


def _form(layout: object) -> str:
    """Tell a raster from features, so that what is wrong with one is not said of the other."""
    has_raster = isinstance(layout, LayoutRaster) or (isinstance(layout, dict) and "source" in layout)
    return "raster" if has_raster else "features"


Layout = Annotated[
    Annotated[
        Annotated[LayoutFeatures, Tag("features")] | Annotated[LayoutRaster, Tag("raster")],
        Discriminator(_form),
    ]
    | None,
    Field(description="What lies where, over prompt and regions: drawn, not described."),
]


class LaidOut(Value):
    """A part of the frame that shows one kind of land, over all prompts."""

    kind: str = Field(description="Id of a kind of land.")
    rings: list[list[int]] = Field(description="As of a region.")
    hard: bool = Field(description="Its outline stays as it is drawn; others are made natural.")


class LaidRaster(Value):
    """A raster of classes, as far as pixels depend on it."""

    source: str = Field(description="SHA-256 of the raster, as this backend stored it.")
    band: int
    kinds: dict[str, str] = Field(description="Ids of kinds of land by pixel value; others show nothing.")
