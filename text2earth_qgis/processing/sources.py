"""The parameter SOURCES that all algorithms share, and how its raster is shown: a colour for each image."""

from __future__ import annotations

import json

from osgeo import gdal
from qgis.core import (
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingParameterRasterDestination,
)
from qgis.PyQt.QtGui import QColor

from text2earth_qgis.core import layers
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.source_raster import DOMAIN

NAME, LABEL, LAYER = "SOURCES", tr("Sources: what every pixel was copied from"), tr("Sources")
HELP = tr(
    "GeoTIFF that says for every pixel which image it was copied from: its number (the file's "
    "metadata SOURCES say whose it is, and its licence), column and row in it. On the pixels of the "
    "result. Only land by example has sources. Left empty, none is made."
)
_TURN = 137.508  # degrees of hue from one image to the next: neighbours in number are apart


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
        file = gdal.OpenEx(layer.source(), gdal.OF_RASTER)
        about = sorted((int(key), json.loads(text)) for key, text in file.GetMetadata(DOMAIN).items())
        classes = [
            QgsPalettedRasterRenderer.Class(
                number,
                QColor.fromHsvF(number * _TURN % 360 / 360, 0.6, 0.9),
                f"{one['name']} ({one['source']}, {one['licence']})",
            )
            for number, one in about
        ]
        layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
        if layer.name() == LABEL:  # else the name is a model's, or the user's own
            layer.setName(LAYER)
        if context.project():
            layers.move_to_group(layer, context.project())
            node = context.project().layerTreeRoot().findLayer(layer.id())
            node.setItemVisibilityChecked(False)
            node.setExpanded(False)
