"""The parameter SOURCES that all algorithms share, and how its raster is loaded."""

from __future__ import annotations

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingParameterRasterDestination,
)

from text2earth_qgis.core import source_layer
from text2earth_qgis.core.language import tr

NAME, LABEL = "SOURCES", tr("Sources: what every pixel was copied from")
HELP = tr(
    "GeoTIFF that says for every pixel which image it was copied from: its number (the file's "
    "metadata SOURCES say whose it is, and its licence), column and row in it. On the pixels of the "
    "result. Only land by example has sources. Left empty, none is made."
)


def definition() -> QgsProcessingParameterRasterDestination:
    """Return the parameter: nothing is made unless a file is named."""
    return QgsProcessingParameterRasterDestination(NAME, LABEL, optional=True, createByDefault=False)


class SourcesPostProcessor(QgsProcessingLayerPostProcessorInterface):
    """Gives the loaded layer its name and colours, in our group, unseen: it would cover the result."""

    alive: set[SourcesPostProcessor] = set()  # Processing keeps no reference of its own

    def __init__(self) -> None:
        super().__init__()
        self.alive.add(self)

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Style the layer and move it where it belongs."""
        self.alive.discard(self)
        source_layer.show_images(layer)
        if layer.name() == LABEL:  # else the name is a model's, or the user's own
            layer.setName(source_layer.NAME)
        if context.project():
            source_layer.move_to_group(layer, context.project())
