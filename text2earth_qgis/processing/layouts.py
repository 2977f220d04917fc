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
from text2earth_qgis.core.imagery.drawn.drawings import AnyLayout
from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.imagery.drawn.layout_features import FIELD, TABLES, LayoutLayer, read_layout
from text2earth_qgis.core.imagery.drawn.layout_raster import ClassLayer, class_layer, read_classes, size_of
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Layout
from text2earth_qgis.processing import parameters as shared
from text2earth_qgis.processing.parameter_reader import ParameterReader

HELP = {
    "LAYOUT": tr(
        "What lies where: polygons, lines and points of one layer, drawn over what prompt and regions "
        "ask for. Lines are as wide as such things usually are, points become a house, a tank, a tree, a "
        "pond; a number field named width gives metres instead, one named priority says what covers what."
    ),
    "LAYOUT_FIELD": tr(
        "Field of the layout that says what each feature is. Left empty, the field {field}."
    ).format(field=FIELD),
    "LAYOUT_RASTER": tr(
        "In place of a layer a raster of classes, such as land cover, in any CRS and pixel size. The "
        "part around the image is sent. Steps of coarse pixels are smoothed, and outlines of water, "
        "woods and other open land are made natural."
    ),
    "LAYOUT_TABLE": tr(
        "What the values of that field, or of the raster, are. words: words of prompts, such as lake, "
        "forest, dense houses, road. osm: values of OpenStreetMap, such as highway=primary, or "
        "residential. corine, worldcover, nlcd, cdl: codes of CORINE Land Cover, ESA WorldCover, the "
        "NLCD, the Cropland Data Layer. With words or osm the values of a raster are called as its "
        "style, or else the file, calls them."
    ),
}


def definitions() -> shared.Definitions:
    """Return the parameters."""
    return (
        QgsProcessingParameterFeatureSource(
            "LAYOUT", tr("Layout"), [QgsProcessing.SourceType.TypeVectorAnyGeometry], optional=True
        ),
        QgsProcessingParameterField(
            "LAYOUT_FIELD", tr("Field of the layout"), parentLayerParameterName="LAYOUT", optional=True
        ),
        shared.RasterInput("LAYOUT_RASTER", tr("Layout: raster of classes"), optional=True),
        shared.choice("LAYOUT_TABLE", tr("What field or raster has"), TABLES, "words"),
    )


def read(reader: ParameterReader) -> Optional[AnyLayout]:
    """Return the layout that is asked for; its features or pixels are read in the worker."""
    source = reader.polygons("LAYOUT", tr("{name}, the layout, is no layer that QGIS can read."))
    unreadable = tr("{name}, the layout, is not a raster that QGIS can read.")
    raster = reader.raster("LAYOUT_RASTER", unreadable)
    table = reader.choice("LAYOUT_TABLE") or "words"
    if raster is not None:
        if source is not None:
            raise PluginError(tr("A layout is a layer or a raster: give LAYOUT or LAYOUT_RASTER, not both."))
        return class_layer(raster, table)
    if source is None:
        return None
    name, fields = source.sourceName(), source.fields()
    field = reader.text("LAYOUT_FIELD") or FIELD
    if fields.indexOf(field) < 0:
        said = tr("The layout '{name}' has no field '{field}'.").format(name=name, field=field)
        if not reader.text("LAYOUT_FIELD"):
            said += " " + tr("Choose the one that says what each feature is.")
        raise PluginError(said)
    return LayoutLayer(name, source, source.sourceCrs(), fields, field, table)


def send(layer: AnyLayout, near: SearchArea, feedback: QgsProcessingFeedback) -> Layout:
    """Return the layout as it travels, and say how much it is."""
    if isinstance(layer, ClassLayer):
        raster, note = read_classes(layer, near, feedback.isCanceled)
        feedback.pushInfo(
            tr("The layout is sent as {size}. {note}").format(size=size_of(raster), note=note).strip()
        )
        return raster
    found = read_layout(layer, near, feedback.isCanceled)
    feedback.pushInfo(
        tr("Features of the layout that are sent: {count}.").format(count=len(found.geojson["features"]))
    )
    return found
