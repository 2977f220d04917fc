"""Regions as QGIS has them: polygons of a layer, with fields that say what is to be seen there.

They travel as GeoJSON in the layer's own CRS; what becomes of them, and which of them cannot be used, the
backend says by the ids that features have here. Any thread.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from typing import Any, Callable, Iterable, Optional, Protocol

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsFields,
    QgsGeometry,
    QgsRectangle,
)

from text2earth_qgis.core.errors import Cancelled, RasterRefused
from text2earth_qgis.core.imagery.rasters import crs_text
from text2earth_qgis.core.wire.schemas import Json, Polygons

MOST = 900_000  # characters of GeoJSON: a request may have a little more
DEGREES, LENGTHS = 9, 4  # digits after the point: a tenth of a millimetre
AROUND = 1.0  # times the extent, on every side, in which regions of a picture of that extent alone are sent


class FeatureSource(Protocol):
    """What features come from: a snapshot of a layer, or what a toolbox parameter names."""

    def getFeatures(self, request: QgsFeatureRequest) -> Iterable[QgsFeature]:
        """Return the features that a request asks for."""


@dataclass(frozen=True)
class RegionLayer:
    """Polygons for any thread, and the names of their fields; ``ids`` is a selection of them."""

    name: str
    source: FeatureSource
    crs: QgsCoordinateReferenceSystem
    fields: QgsFields
    prompt: str
    negative: str = ""
    priority: str = ""
    ids: Optional[frozenset[int]] = None


@dataclass(frozen=True)
class SearchArea:
    """Where regions are looked for: a box in a CRS, and the user's transformations."""

    box: QgsRectangle
    crs: QgsCoordinateReferenceSystem
    context: QgsCoordinateTransformContext

    def within(self, crs: QgsCoordinateReferenceSystem) -> Optional[QgsRectangle]:
        """Return the surroundings of the box in another CRS, None where they cannot be told."""
        wide = QgsRectangle(self.box)
        wide.grow(AROUND * max(wide.width(), wide.height()))
        try:
            found = QgsCoordinateTransform(self.crs, crs, self.context).transformBoundingBox(wide)
        except QgsCsException:
            return None
        corners = (found.xMinimum(), found.yMinimum(), found.xMaximum(), found.yMaximum())
        return found if all(map(isfinite, corners)) else None


def read_regions(layer: RegionLayer, near: Optional[SearchArea], stop: Callable[[], bool]) -> Polygons:
    """Return the polygons of a layer as they travel: all, or those ``near`` a place.

    Raises ``RasterRefused`` with what to do.
    """
    if not layer.crs.isValid():
        raise RasterRefused(
            f"The regions '{layer.name}' have no CRS. Set it in the properties of the layer first."
        )
    names = {"prompt": layer.prompt, "negative_prompt": layer.negative, "priority": layer.priority}
    columns = {key: layer.fields.indexOf(name) for key, name in names.items() if name}
    if columns.get("prompt", -1) < 0:
        raise RasterRefused(f"Choose the field of '{layer.name}' that says what each region shows.")
    request = QgsFeatureRequest().setSubsetOfAttributes(list(columns.values()))
    if layer.ids is not None:
        request.setFilterFids(list(layer.ids))
    box = near.within(layer.crs) if near else None
    digits = DEGREES if layer.crs.isGeographic() else LENGTHS
    features: list[Json] = []
    size = 0
    for feature in layer.source.getFeatures(request):
        if stop():
            raise Cancelled("The regions were not read.")
        shape = feature.geometry()
        if box is not None and not shape.isNull() and not box.intersects(shape.boundingBox()):
            continue
        made = _feature(feature, shape, columns, digits)
        size += len(json.dumps(made))
        if size > MOST:
            raise RasterRefused(
                f"The regions '{layer.name}' have too many corners to be sent. Select those around the "
                "extent, simplify them or clip them."
            )
        features.append(made)
    if not features:
        where = " near the extent" if near else ""
        which = "selected polygon" if layer.ids is not None else "polygon"
        raise RasterRefused(f"The regions '{layer.name}' have no {which}{where}.")
    features.sort(key=lambda one: one["id"])  # a selection comes in any order; the later one is seen
    return Polygons({"type": "FeatureCollection", "features": features}, crs_text(layer.crs))


def prompts(regions: Polygons) -> list[str]:
    """Return the prompts of regions as they travel, each once, in the order of the features."""
    found = (str(one["properties"].get("prompt") or "").strip() for one in regions.geojson["features"])
    return [prompt for prompt in dict.fromkeys(found) if prompt]


def _feature(feature: QgsFeature, shape: QgsGeometry, columns: dict[str, int], digits: int) -> Json:
    values = {key: _plain(feature[column]) for key, column in columns.items()}
    return {
        "type": "Feature",
        "id": feature.id(),
        "geometry": None if shape.isNull() else json.loads(_flat(shape).asJson(digits)),
        "properties": {key: value for key, value in values.items() if value is not None},
    }


def _flat(shape: QgsGeometry) -> QgsGeometry:
    """Return a shape with straight edges and two coordinates."""
    plain = QgsGeometry(shape.constGet().segmentize())
    plain.get().dropZValue()
    plain.get().dropMValue()
    return plain


def _plain(value: Any) -> Any:
    """Return a field's value as JSON has it: text, number, or None for NULL.

    JSON has no NaN and no infinity: they travel as text, which the backend refuses by the region's name.
    """
    if isinstance(value, (str, int)) or (isinstance(value, float) and isfinite(value)):
        return value
    return None if value is None or value == NULL else str(value)
