"""Scratch layers to draw a layout or regions on: in memory, editable, with a list of words to choose.

One is made and handed to the user, who draws with QGIS's own tools; the plugin never writes to it. Knows no
widget.
"""

from __future__ import annotations

from typing import Mapping

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsDefaultValue,
    QgsEditorWidgetSetup,
    QgsProject,
    QgsVectorLayer,
)

from text2earth_qgis.core.language import tr
from text2earth_qgis.gui.canvas.scratch_look import show_words

# Words that the backend knows, as they are stored, and as they are shown.
AREAS = {
    "lake": tr("lake"), "forest": tr("forest"), "farmland": tr("farmland"), "grassland": tr("grassland"),
    "houses": tr("houses"), "dense houses": tr("dense houses"), "buildings": tr("buildings"),
    "industry": tr("industry"), "parking lot": tr("parking lot"), "park": tr("park"),
    "orchard": tr("orchard"), "shrubland": tr("shrubland"), "wetland": tr("wetland"), "sand": tr("sand"),
    "bare": tr("bare"), "golf course": tr("golf course"), "harbour": tr("harbour"),
}  # fmt: skip
LINES = {
    "road": tr("road"), "motorway": tr("motorway"), "street": tr("street"), "track": tr("track"),
    "railway": tr("railway"), "river": tr("river"), "stream": tr("stream"), "canal": tr("canal"),
    "hedge": tr("hedge"),
}  # fmt: skip
POINTS = {
    "house": tr("house"), "building": tr("building"), "warehouse": tr("warehouse"), "tank": tr("tank"),
    "tree": tr("tree"), "pond": tr("pond"), "village": tr("village"),
}  # fmt: skip
#: What a new layer is for: how it is called, its geometry, and the words to choose from.
KINDS = {
    "areas": (tr("Layout: areas"), "Polygon", AREAS),
    "lines": (tr("Layout: lines"), "LineString", LINES),
    "points": (tr("Layout: points"), "Point", POINTS),
}


def add_layout(project: QgsProject, crs: QgsCoordinateReferenceSystem, kind: str) -> QgsVectorLayer:
    """Put a new layer on top of the project and start to edit it; ``kind`` is one of ``KINDS``."""
    name, geometry, words = KINDS[kind]
    fields = "field=class:string&field=width:double&field=priority:integer"
    layer = QgsVectorLayer(f"{geometry}?{fields}", _free_name(project, name), "memory")
    layer.setCrs(crs)
    _offer(layer, words)
    layer.setFieldAlias(1, tr("width (m)"))
    show_words(layer, "class", words, "class")
    return _to_draw_on(layer, project)


def add_regions(project: QgsProject, crs: QgsCoordinateReferenceSystem) -> QgsVectorLayer:
    """Put a new layer of regions on top of the project and start to edit it.

    Its field ``words`` has the list; ``prompt`` begins with the chosen word, and may say more.
    """
    fields = "field=words:string&field=prompt:string&field=negative_prompt:string&field=priority:integer"
    layer = QgsVectorLayer(f"Polygon?{fields}", _free_name(project, tr("Regions")), "memory")
    layer.setCrs(crs)
    _offer(layer, AREAS)
    layer.setFieldAlias(0, tr("choose"))
    layer.setDefaultValueDefinition(1, QgsDefaultValue('"words"'))
    show_words(layer, "words", AREAS, "prompt")
    return _to_draw_on(layer, project)


def _offer(layer: QgsVectorLayer, words: Mapping[str, str]) -> None:
    """Give the first field of a layer a list of words to choose from."""
    choices = {"map": [{shown: word} for word, shown in words.items()]}
    layer.setEditorWidgetSetup(0, QgsEditorWidgetSetup("ValueMap", choices))
    layer.setDefaultValueDefinition(0, QgsDefaultValue(f"'{next(iter(words))}'"))


def _to_draw_on(layer: QgsVectorLayer, project: QgsProject) -> QgsVectorLayer:
    """Put a layer on top of the project and start to edit it."""
    project.addMapLayer(layer, False)
    project.layerTreeRoot().insertLayer(0, layer).setExpanded(False)
    layer.startEditing()
    return layer


def _free_name(project: QgsProject, name: str) -> str:
    names = {layer.name() for layer in project.mapLayers().values()}
    return next(text for text in (name, *(f"{name} {n}" for n in range(2, 10_000))) if text not in names)
