"""How scratch layers look on the map: a colour for every word of their list, and the words on the features.

Only for the eye: what a colour stands for, its legend says.
"""

from __future__ import annotations

from typing import Mapping

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsLineSymbol,
    QgsMarkerSymbol,
    QgsPalLayerSettings,
    QgsRendererCategory,
    QgsSymbol,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
    QgsWkbTypes,
)
from qgis.PyQt.QtGui import QColor

# Colours of words, by what they are; those of others follow from their place in the list.
COLOURS = {
    "lake": "#3d8fd6", "pond": "#3d8fd6", "river": "#3d8fd6", "stream": "#6bb0e8", "canal": "#2f6fb0",
    "harbour": "#2b5d8a", "wetland": "#5fa8a0", "forest": "#2e7d43", "tree": "#2e7d43", "hedge": "#4c9a4f",
    "orchard": "#8bbf5a", "shrubland": "#93a85a", "grassland": "#a8cf7a", "park": "#7cc48d",
    "golf course": "#8fd694", "farmland": "#d9b95b", "sand": "#ecd9a0", "bare": "#c2a887",
    "houses": "#d98b6a", "dense houses": "#c0694d", "house": "#c0694d", "village": "#d98b6a",
    "buildings": "#a06a8c", "building": "#a06a8c", "warehouse": "#8a7aa8", "industry": "#7a6a98",
    "tank": "#6a6a7a", "parking lot": "#9a9a9a", "road": "#5a5a5a", "motorway": "#d06a3a",
    "street": "#8a8a8a", "track": "#a08060", "railway": "#303030",
}  # fmt: skip
OTHER = "#c98a1f"  # of what is no word of the list
FILL = 90  # opacity of areas, of 255


def show_words(layer: QgsVectorLayer, field: str, words: Mapping[str, str], label: str) -> None:
    """Colour features by the word in a field, and write beside them what another one says.

    ``words`` are those of the list with what they are called in the user's language.
    """
    categories = [
        QgsRendererCategory(word, _symbol(layer, COLOURS.get(word, OTHER)), shown)
        for word, shown in words.items()
    ]
    categories.append(QgsRendererCategory(None, _symbol(layer, OTHER), ""))
    layer.setRenderer(QgsCategorizedSymbolRenderer(field, categories))
    halo = QgsTextBufferSettings()
    halo.setEnabled(True)
    halo.setSize(0.8)
    text = QgsTextFormat()
    text.setSize(8)
    text.setBuffer(halo)
    settings = QgsPalLayerSettings()
    settings.fieldName = label
    settings.setFormat(text)
    layer.setLabeling(QgsVectorLayerSimpleLabeling(settings))
    layer.setLabelsEnabled(True)


def _symbol(layer: QgsVectorLayer, colour: str) -> QgsSymbol:
    tone = QColor(colour)
    line = f"{tone.red()},{tone.green()},{tone.blue()},255"
    if layer.geometryType() == QgsWkbTypes.GeometryType.PolygonGeometry:
        fill = f"{tone.red()},{tone.green()},{tone.blue()},{FILL}"
        return QgsFillSymbol.createSimple({"color": fill, "outline_color": line, "outline_width": "0.5"})
    if layer.geometryType() == QgsWkbTypes.GeometryType.LineGeometry:
        return QgsLineSymbol.createSimple({"color": line, "width": "1"})
    return QgsMarkerSymbol.createSimple({"color": line, "outline_color": "255,255,255,255", "size": "3"})
