"""Regions and layout of a recipe as inputs again: what was drawn for a scene, from its file alone.

Any thread. A recipe keeps corners in sixteenths of a pixel of its frame; the backend finds the same again.
"""

from __future__ import annotations

import json
from typing import Iterator, Sequence

from qgis.core import QgsGeometry, QgsPointXY

from text2earth_qgis.core.imagery.drawn.drawings import Drawings
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Frame, Json, LayoutFeatures, Polygons

CLASSES = tr(
    "This was made with a raster of classes, which its file does not have. Choose it again under Layout."
)
UNNAMED = tr(
    "The file does not say what was to be seen in its regions or its layout. Choose them again under "
    "Regions and Layout."
)
PARTS = 16  # of a pixel
DIGITS = 17  # of coordinates, so that none is lost


def recorded(recipe: Json) -> Drawings:
    """Return the regions and the layout of a recipe, and what is to be said if that is not all.

    A recipe has no prompts where they were not to be recorded, and never a raster of classes.
    """
    regions, laid = (recipe.get(name) or () for name in ("regions", "layout"))
    if recipe.get("land_cover"):
        return Drawings(note=CLASSES)
    if not regions and not laid:
        return Drawings()
    try:
        frame = Frame(**recipe["frame"])
        laid = [_feature(one, frame, **{"class": one["kind"], "hard": one["hard"]}) for one in laid]
        if not recipe.get("prompt") and not laid:  # only a layout needs none; diffusion takes it as regions
            laid = [_feature(one, frame, **{"class": one["prompt"]}) for one in regions]
            regions = ()
        regions = [
            _feature(one, frame, prompt=one["prompt"], negative_prompt=one.get("negative_prompt") or "")
            for one in regions
        ]
    except (KeyError, TypeError, ValueError):
        return Drawings(note=UNNAMED)
    return Drawings(
        Polygons(_collection(regions), frame.crs) if regions else None,
        LayoutFeatures(_collection(laid), frame.crs) if laid else None,
    )


def recorded_samples(recipe: Json) -> list[Json]:
    """Return what the samples of a recipe showed; it has neither their areas nor their rasters."""
    example = recipe.get("examples") or recipe.get("start") or {}
    return [{"words": one.get("kind") or ""} for one in example.get("samples") or ()]


def _collection(features: Sequence[Json]) -> Json:
    return {"type": "FeatureCollection", "features": list(features)}


def _feature(one: Json, frame: Frame, **properties: object) -> Json:
    """Return a region, or an area of a layout, as a feature in the CRS of its frame."""
    shape = QgsGeometry()
    for ring in one["rings"]:  # inside is what an odd number of them surrounds
        area = QgsGeometry.fromPolygonXY([list(_corners(ring, frame))])
        shape = area if shape.isNull() else shape.symDifference(area)
    geometry = json.loads(shape.asJson(DIGITS))
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _corners(ring: Sequence[int], frame: Frame) -> Iterator[QgsPointXY]:
    """Yield the corners of a ring, column, row, column, row and so on."""
    (left, top), (width, height) = frame.anchor, (float(size) for size in frame.pixel_size)
    for column, row in zip(ring[::2], ring[1::2]):
        yield QgsPointXY(left + column / PARTS * width, top - row / PARTS * height)
