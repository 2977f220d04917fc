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
    """What is said of a layer whose features cannot be sent, in sentences with ``{name}`` for its name.

    The last four: it has none, or none that is selected, anywhere or near the extent.
    """

    without_crs: str
    stopped: str
    too_much: str
    empty: str
    empty_here: str
    none_selected: str
    none_selected_here: str


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
    if not layer.crs.isValid():
        raise RasterRefused(words.without_crs.format(name=layer.name))
    request = QgsFeatureRequest().setSubsetOfAttributes(list(columns.values()))
    if layer.ids is not None:
        request.setFilterFids(list(layer.ids))
    box = near.within(layer.crs) if near else None
    digits = DEGREES if layer.crs.isGeographic() else LENGTHS
    features: list[Json] = []
    size = 0
    for feature in layer.source.getFeatures(request):
        if stop():
            raise Cancelled(words.stopped)
        shape = feature.geometry()
        if box is not None and not shape.isNull() and not box.intersects(shape.boundingBox()):
            continue
        made = _feature(feature, shape, columns, digits)
        size += len(json.dumps(made))
        if size > MOST:
            raise RasterRefused(words.too_much.format(name=layer.name))
        features.append(made)
    if not features:
        here = near is not None and near.alone
        if layer.ids is not None:
            said = words.none_selected_here if here else words.none_selected
        else:
            said = words.empty_here if here else words.empty
        raise RasterRefused(said.format(name=layer.name))
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
