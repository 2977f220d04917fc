"""A layout as it travels: the features of a request, and what a recipe keeps of them.

A part of ``schemas``: what lies where, drawn as areas, lines and points instead of described.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from model_backend.value import Value


class LayoutFeatures(Value):
    """What lies where: polygons, lines and points of the ground, each with a class."""

    geojson: dict[str, Any] = Field(
        description="A FeatureCollection: property `class` says what a feature is; if wanted `width`, metres "
        "across of lines and points, and `priority` (higher covers lower, then later covers earlier)."
    )
    crs: str = Field("OGC:CRS84", max_length=20_000, description="CRS of the coordinates.")
    table: Literal["words", "osm", "corine", "worldcover", "nlcd", "cdl"] = Field(
        "words", description="What classes are: words of prompts, or values of this map or product."
    )


Layout = Annotated[
    LayoutFeatures | None,
    Field(description="What lies where, over prompt and regions: drawn, not described."),
]


class LaidOut(Value):
    """A part of the frame that shows one kind of land, over all prompts."""

    kind: str = Field(description="Id of a kind of land.")
    rings: list[list[int]] = Field(description="As of a region.")
    hard: bool = Field(description="Its outline stays as it is drawn; others are made natural.")
