"""The parameters of a layout that all algorithms share: their help, and how they are read and sent."""

from __future__ import annotations

from typing import Optional

from qgis.core import (
    QgsProcessing,
    QgsProcessingFeedback,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
)

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.imagery.drawn.layout_features import FIELD, TABLES, LayoutLayer, read_layout
from text2earth_qgis.core.wire.schemas import LayoutFeatures
from text2earth_qgis.processing import parameters as shared
from text2earth_qgis.processing.parameter_reader import ParameterReader

HELP = {
    "LAYOUT": "What lies where: polygons, lines and points of one layer, drawn over what prompt and regions "
    "ask for. Lines are as wide as such things usually are, points become a house, a tank, a tree, a pond; a "
    "number field named width gives metres instead, one named priority says what covers what.",
    "LAYOUT_FIELD": f"Field of the layout that says what each feature is. Left empty, the field {FIELD}.",
    "LAYOUT_TABLE": "What the values of that field are. words: words of prompts, such as lake, forest, dense "
    "houses, road. osm: values of OpenStreetMap, such as highway=primary, or residential. corine, "
    "worldcover, nlcd, cdl: codes of CORINE Land Cover, ESA WorldCover, the NLCD, the Cropland Data Layer.",
}


def definitions() -> shared.Definitions:
    """Return the parameters."""
    return (
        QgsProcessingParameterFeatureSource(
            "LAYOUT", "Layout", [QgsProcessing.SourceType.TypeVectorAnyGeometry], optional=True
        ),
        QgsProcessingParameterField(
            "LAYOUT_FIELD", "Field of the layout", parentLayerParameterName="LAYOUT", optional=True
        ),
        shared.choice("LAYOUT_TABLE", "What that field has", TABLES, "words"),
    )


def read(reader: ParameterReader) -> Optional[LayoutLayer]:
    """Return the layout that is asked for; its features are read in the worker."""
    source = reader.polygons("LAYOUT", "layout")
    if source is None:
        return None
    name, fields = source.sourceName(), source.fields()
    field = reader.text("LAYOUT_FIELD") or FIELD
    if fields.indexOf(field) < 0:
        hint = "" if reader.text("LAYOUT_FIELD") else " Choose the one that says what each feature is."
        raise PluginError(f"The layout '{name}' has no field '{field}'.{hint}")
    table = reader.choice("LAYOUT_TABLE") or "words"
    return LayoutLayer(name, source, source.sourceCrs(), fields, field, table)


def send(layer: LayoutLayer, near: Optional[SearchArea], feedback: QgsProcessingFeedback) -> LayoutFeatures:
    """Return the layout as it travels, and say how many features there are."""
    found = read_layout(layer, near, feedback.isCanceled)
    feedback.pushInfo(f"Features of the layout that are sent: {len(found.geojson['features'])}.")
    return found
