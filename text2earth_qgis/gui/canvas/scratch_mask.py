"""A scratch layer to draw a mask on: of polygons, in memory, translucent, editable.

It is the only layer of a project that the plugin ever writes to, and only by edit commands that its own undo
stack takes back. Knows no widget.
"""

from __future__ import annotations

import json
from typing import Optional

from osgeo import ogr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsFillSymbol,
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
    QgsVectorLayerUtils,
    QgsWkbTypes,
)

from text2earth_qgis.core.crs import crs_of
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Json

NAME = tr("Mask")
MARK = "text2earth/mask"  # custom property
LOOK = {
    "color": "201,138,31,25",
    "outline_color": "201,138,31,255",
    "outline_width": "0.5",
    "joinstyle": "round",
}


def add_mask(
    project: QgsProject,
    crs: QgsCoordinateReferenceSystem,
    shapes: Optional[list[QgsGeometry]] = None,
    title: str = NAME,
) -> QgsVectorLayer:
    """Put a new mask on top of the project and start to edit it; ``shapes`` are polygons it begins with."""
    names = {layer.name() for layer in project.mapLayers().values()}
    name = next(text for text in (title, *(f"{title} {n}" for n in range(2, 10_000))) if text not in names)
    layer = QgsVectorLayer("MultiPolygon", name, "memory")
    layer.setCrs(crs)
    layer.setCustomProperty(MARK, True)
    layer.setRenderer(QgsSingleSymbolRenderer(QgsFillSymbol.createSimple(LOOK)))
    features = []
    for shape in shapes or []:
        feature = QgsFeature()
        feature.setGeometry(shape)
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.updateExtents()
    project.addMapLayer(layer, False)
    project.layerTreeRoot().insertLayer(0, layer).setExpanded(False)
    layer.startEditing()
    return layer


def restore_mask(project: QgsProject, mask: Json, title: str = NAME) -> Optional[QgsVectorLayer]:
    """Put a mask as it travelled into the project as a new one; None if it was no polygons."""
    shapes, crs = shapes_of(mask), crs_of(str(mask.get("crs") or ""))
    return add_mask(project, crs, shapes, title) if shapes and crs.isValid() else None


def shapes_of(mask: Json) -> list[QgsGeometry]:
    """Return the polygons of a mask, or of an area, as it travelled; none if it was no polygons."""
    shapes = mask.get("geojson", {}).get("geometries") or []
    try:
        found = [ogr.CreateGeometryFromJson(json.dumps(shape)) for shape in shapes]
    except RuntimeError:  # how GDAL fails where its exceptions are switched on
        return []
    if None in found:
        return []
    geometries = []
    for shape in found:
        geometry = QgsGeometry()
        geometry.fromWkb(bytes(shape.ExportToWkb()))
        geometries.append(_polygons(geometry))
    return geometries


def is_mask(layer: Optional[QgsMapLayer]) -> bool:
    """Whether a layer was made here, and may be painted on."""
    return isinstance(layer, QgsVectorLayer) and bool(layer.customProperty(MARK))


def paint(layer: QgsVectorLayer, stroke: QgsGeometry, way: QgsCoordinateTransform, erase: bool) -> None:
    """Add a stroke to a mask, or take it away, as one step of the layer's undo stack.

    ``way`` leads from the stroke's CRS to the layer's. Raises ``PluginError`` if it does not get there.
    """
    placed = _placed(stroke, way)
    if not layer.isEditable() and not layer.startEditing():
        sentence = tr("The mask '{mask}' cannot be changed. Make a new mask layer.")
        raise PluginError(sentence.format(mask=layer.name()))
    near = layer.getFeatures(QgsFeatureRequest(placed.boundingBox()))
    touched = [feature for feature in near if feature.geometry().intersects(placed)]
    if erase and not touched:
        return
    layer.beginEditCommand(tr("Erase from the mask") if erase else tr("Paint on the mask"))
    if erase:
        for feature in touched:
            _change(layer, feature, _sound(feature.geometry()).difference(placed))
    else:
        whole = QgsGeometry.unaryUnion([placed, *(_sound(feature.geometry()) for feature in touched)])
        if whole.isEmpty():  # shapes that cannot be united: the stroke stands beside them
            touched, whole = [], placed
        if touched:
            _change(layer, touched[0], whole)
            layer.deleteFeatures([feature.id() for feature in touched[1:]])
        else:
            layer.addFeature(QgsVectorLayerUtils.createFeature(layer, _polygons(whole)))
    layer.endEditCommand()
    layer.triggerRepaint()


def _placed(stroke: QgsGeometry, way: QgsCoordinateTransform) -> QgsGeometry:
    """Return a stroke in the CRS of the layer."""
    placed = QgsGeometry(stroke)
    if way.isShortCircuited():
        return placed
    try:
        placed = placed.densifyByCount(1)  # a long side may bend
        placed.transform(way)
    except QgsCsException as error:
        raise PluginError(tr("The mask's CRS is not defined here. Make a new mask layer.")) from error
    return _sound(placed)


def _sound(shape: QgsGeometry) -> QgsGeometry:
    """Return a shape that can be combined: what was drawn by hand may cross itself."""
    return shape if shape.isGeosValid() else _polygons(shape.makeValid())


def _polygons(shape: QgsGeometry) -> QgsGeometry:
    """Return the polygons in a shape, as the layer holds them."""
    found = QgsGeometry(shape)
    if found.wkbType() in (QgsWkbTypes.Type.GeometryCollection, QgsWkbTypes.Type.GeometryCollectionZ):
        found.convertGeometryCollectionToSubclass(QgsWkbTypes.GeometryType.PolygonGeometry)
    found.convertToMultiType()
    return found


def _change(layer: QgsVectorLayer, feature: QgsFeature, shape: QgsGeometry) -> None:
    if shape.isEmpty():
        layer.deleteFeature(feature.id())
    else:
        layer.changeGeometry(feature.id(), _polygons(shape))
