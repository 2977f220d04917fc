"""A scratch layer to draw a layout on: in memory, editable, with a list of words for its features.

It is made and handed to the user, who draws with QGIS's own tools; the plugin never writes to it. Knows no
widget.
"""

from __future__ import annotations

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsDefaultValue,
    QgsEditorWidgetSetup,
    QgsProject,
    QgsVectorLayer,
)

AREAS = (
    *("lake", "forest", "farmland", "grassland", "houses", "dense houses", "buildings", "industry"),
    *("parking lot", "park", "orchard", "shrubland", "wetland", "sand", "bare", "golf course", "harbour"),
)
LINES = ("road", "motorway", "street", "track", "railway", "river", "stream", "canal", "hedge")
POINTS = ("house", "building", "warehouse", "tank", "tree", "pond", "village")
#: What a new layer is called, its geometry, and the words to choose from.
KINDS = {
    "areas": ("Polygon", AREAS),
    "lines": ("LineString", LINES),
    "points": ("Point", POINTS),
}


def add_layout(project: QgsProject, crs: QgsCoordinateReferenceSystem, kind: str) -> QgsVectorLayer:
    """Put a new layer on top of the project and start to edit it; ``kind`` is one of ``KINDS``."""
    geometry, words = KINDS[kind]
    fields = "field=class:string&field=width:double&field=priority:integer"
    layer = QgsVectorLayer(f"{geometry}?{fields}", _free_name(project, f"Layout: {kind}"), "memory")
    layer.setCrs(crs)
    choices = {"map": [{word: word} for word in words]}
    layer.setEditorWidgetSetup(0, QgsEditorWidgetSetup("ValueMap", choices))
    layer.setDefaultValueDefinition(0, QgsDefaultValue(f"'{words[0]}'"))
    layer.setFieldAlias(1, "width (m)")
    project.addMapLayer(layer, False)
    project.layerTreeRoot().insertLayer(0, layer).setExpanded(False)
    layer.startEditing()
    return layer


def _free_name(project: QgsProject, name: str) -> str:
    names = {layer.name() for layer in project.mapLayers().values()}
    return next(text for text in (name, *(f"{name} {n}" for n in range(2, 10_000))) if text not in names)
