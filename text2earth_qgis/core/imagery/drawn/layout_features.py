"""A layout as QGIS has it: features of a layer, with a field that says what each is. Any thread.

Fields named ``width`` and ``priority`` are sent too, where they are numbers: metres across of lines and
points, and which feature covers which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from qgis.core import QgsCoordinateReferenceSystem, QgsFields

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery.drawn.features import (
    DrawnLayer,
    FeatureSource,
    SearchArea,
    Words,
    read_features,
)
from text2earth_qgis.core.imagery.rasters import crs_text
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import LayoutFeatures

WORDS = Words(
    without_crs=tr("The layout '{name}' has no CRS. Set it in the properties of the layer first."),
    stopped=tr("The layout was not read."),
    too_much=tr(
        "The layout '{name}' has too many corners to be sent. Select those around the extent, simplify them "
        "or clip them."
    ),
    empty=tr("The layout '{name}' has no feature."),
    empty_here=tr("The layout '{name}' has no feature near the extent."),
    none_selected=tr("The layout '{name}' has no selected feature."),
    none_selected_here=tr("The layout '{name}' has no selected feature near the extent."),
)
FIELD = "class"  # the usual one
NUMBERS = ("width", "priority")
HARD = "hard"  # whether an outline stays as it is drawn
#: What the values of the field are, and how a list of choices calls it.
TABLES = {
    "words": tr("Words of prompts"),
    "osm": "OpenStreetMap",
    "corine": "CORINE Land Cover",
    "worldcover": "ESA WorldCover",
    "nlcd": "NLCD",
    "cdl": "Cropland Data Layer",
}


@dataclass(frozen=True)
class LayoutLayer:
    """Features for any thread, the field that says what they are, and what its values are from."""

    name: str
    source: FeatureSource
    crs: QgsCoordinateReferenceSystem
    fields: QgsFields
    field: str
    table: str = "words"
    ids: Optional[frozenset[int]] = None


def read_layout(layer: LayoutLayer, near: Optional[SearchArea], stop: Callable[[], bool]) -> LayoutFeatures:
    """Return the features of a layer as they travel: all, or those ``near`` a place.

    Raises ``RasterRefused`` with what to do.
    """
    columns = {"class": layer.fields.indexOf(layer.field)}
    if columns["class"] < 0:
        raise RasterRefused(
            tr("Choose the field of '{name}' that says what each feature is.").format(name=layer.name)
        )
    for name in NUMBERS:
        column = layer.fields.lookupField(name)
        if column >= 0 and column != columns["class"] and layer.fields.at(column).isNumeric():
            columns[name] = column
    column = layer.fields.lookupField(HARD)
    if column >= 0 and layer.fields.at(column).typeName().lower().startswith("bool"):
        columns[HARD] = column
    drawn = DrawnLayer(layer.name, layer.source, layer.crs, layer.ids)
    features = read_features(drawn, columns, WORDS, near, stop)
    if layer.table == "osm":
        for feature in features:
            _tag(feature["properties"], layer.field)
    return LayoutFeatures(
        {"type": "FeatureCollection", "features": features}, crs_text(layer.crs), layer.table
    )


def classes(layout: LayoutFeatures) -> list[str]:
    """Return what the features of a layout are, each once, in their order."""
    found = (one["properties"].get("class") for one in layout.geojson["features"])
    return list(dict.fromkeys(str(value) for value in found if value is not None))


def _tag(properties: dict[str, object], field: str) -> None:
    """Make a tag of a value, as OpenStreetMap has it: its key is the name of the field."""
    value = properties.get("class")
    if isinstance(value, str) and value.strip() and "=" not in value:
        properties["class"] = f"{field}={value}"
