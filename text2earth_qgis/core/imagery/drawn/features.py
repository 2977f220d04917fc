"""Features of a layer as they travel: GeoJSON in the layer's own CRS, with the fields that are asked for.

What becomes of them, and which of them cannot be used, the backend says by the ids that features have here.
Any thread.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from typing import Any, Callable, Iterable, NamedTuple, Optional, Protocol

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsRectangle,
)

from text2earth_qgis.core.errors import Cancelled, RasterRefused
from text2earth_qgis.core.wire.schemas import Json

MOST = 900_000  # characters of GeoJSON: a request may have a little more
DEGREES, LENGTHS = 9, 4  # digits after the point: a tenth of a millimetre
AROUND = 1.0  # times the extent, on every side, in which features of a picture of that extent alone are sent


class FeatureSource(Protocol):
    """What features come from: a snapshot of a layer, or what a toolbox parameter names."""

    def getFeatures(self, request: QgsFeatureRequest) -> Iterable[QgsFeature]:
        """Return the features that a request asks for."""


class DrawnLayer(NamedTuple):
    """Features for any thread; ``ids`` is a selection of them."""

    name: str
    source: FeatureSource
    crs: QgsCoordinateReferenceSystem
    ids: Optional[frozenset[int]] = None


class Words(NamedTuple):
    """How messages speak of a layer: what it is, its verb, and what one of its features is called."""

    subject: str
    has: str
    part: str


@dataclass(frozen=True)
class SearchArea:
    """What is asked for: a box in a CRS, and the user's transformations.

    A picture that is not made ``alone`` joins others: all features are sent for it.
    """

    box: QgsRectangle
    crs: QgsCoordinateReferenceSystem
    context: QgsCoordinateTransformContext
    alone: bool = True

    def within(self, crs: QgsCoordinateReferenceSystem) -> Optional[QgsRectangle]:
        """Return the surroundings of the box in another CRS, None where features anywhere are meant."""
        if not self.alone:
            return None
        wide = QgsRectangle(self.box)
        wide.grow(AROUND * max(wide.width(), wide.height()))
        try:
            found = QgsCoordinateTransform(self.crs, crs, self.context).transformBoundingBox(wide)
        except QgsCsException:
            return None
        corners = (found.xMinimum(), found.yMinimum(), found.xMaximum(), found.yMaximum())
        return found if all(map(isfinite, corners)) else None


def read_features(
    layer: DrawnLayer,
    columns: dict[str, int],
    words: Words,
    near: Optional[SearchArea],
    stop: Callable[[], bool],
) -> list[Json]:
    """Return the features of a layer as they travel: all, or those ``near`` a place.

    ``columns`` are fields by the names that they travel under. Raises ``RasterRefused`` with what to do.
    """
    who = f"{words.subject} '{layer.name}'"
    if not layer.crs.isValid():
        raise RasterRefused(f"{who} {words.has} no CRS. Set it in the properties of the layer first.")
    request = QgsFeatureRequest().setSubsetOfAttributes(list(columns.values()))
    if layer.ids is not None:
        request.setFilterFids(list(layer.ids))
    box = near.within(layer.crs) if near else None
    digits = DEGREES if layer.crs.isGeographic() else LENGTHS
    features: list[Json] = []
    size = 0
    for feature in layer.source.getFeatures(request):
        if stop():
            raise Cancelled(f"{words.subject} {'were' if words.has == 'have' else 'was'} not read.")
        shape = feature.geometry()
        if box is not None and not shape.isNull() and not box.intersects(shape.boundingBox()):
            continue
        made = _feature(feature, shape, columns, digits)
        size += len(json.dumps(made))
        if size > MOST:
            raise RasterRefused(
                f"{who} {words.has} too many corners to be sent. Select those around the extent, simplify "
                "them or clip them."
            )
        features.append(made)
    if not features:
        where = " near the extent" if near and near.alone else ""
        which = f"selected {words.part}" if layer.ids is not None else words.part
        raise RasterRefused(f"{who} {words.has} no {which}{where}.")
    features.sort(key=lambda one: one["id"])  # a selection comes in any order; the later one is seen
    return features


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

    JSON has no NaN and no infinity: they travel as text, which the backend refuses by the feature's name.
    """
    if isinstance(value, (str, int)) or (isinstance(value, float) and isfinite(value)):
        return value
    return None if value is None or value == NULL else str(value)
