"""How a result is shown once Processing has loaded it: name, metadata, style, place among the layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from qgis.core import (
    QgsMapLayer,
    QgsMapLayerStyle,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProject,
    QgsRasterLayer,
)

from text2earth_qgis.core import layers
from text2earth_qgis.core.wire.schemas import Json


@dataclass(frozen=True)
class LayerPlacement:
    """How a loaded result is shown: like and above another layer, else in our group."""

    style: Optional[QgsMapLayerStyle] = None
    above: str = ""  # id of the layer
    group: str = layers.GROUP  # name of the group of both
    original: str = ""  # name of what was edited


def beside(layer: QgsRasterLayer, project: Optional[QgsProject], same_bands: bool = True) -> LayerPlacement:
    """Return the place of a result that is ``layer`` made anew: above it, and in its style if that fits."""
    style = QgsMapLayerStyle()
    style.readFromLayer(layer)
    node = project.layerTreeRoot().findLayer(layer.id()) if project else None
    group = layers.GROUP if node is None else node.parent().name()
    return LayerPlacement(style if same_bands else None, layer.id(), group, layers.original_of(layer))


class LayerPostProcessor(QgsProcessingLayerPostProcessorInterface):
    """Gives the loaded layer its style, its metadata and its place, in the main thread."""

    alive: set[LayerPostProcessor] = set()  # Processing keeps no reference of its own

    def __init__(self, recipe: Json, placement: LayerPlacement, notes: str = "") -> None:
        super().__init__()
        self._recipe, self._placement, self._notes = recipe, placement, notes
        self.alive.add(self)

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Describe the layer and move it where it belongs."""
        self.alive.discard(self)
        name = layer.name()  # the one given in a model or dialog, or ours
        if self._placement.style is not None:
            self._placement.style.writeToLayer(layer)
        else:
            layers.smooth(layer)
        layers.describe(layer, self._recipe, self._notes, self._placement.original)
        layer.setName(name)
        if context.project():
            layers.put_above(layer, self._placement.above, context.project())
