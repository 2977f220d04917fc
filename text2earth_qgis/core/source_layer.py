"""The raster of sources as a layer: a colour for each image that pixels were copied from, unseen at first.

It would cover the result. Main thread only.
"""

from __future__ import annotations

import json

from osgeo import gdal
from qgis.core import QgsPalettedRasterRenderer, QgsProject, QgsRasterLayer
from qgis.PyQt.QtGui import QColor

from text2earth_qgis.core import layers
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.source_raster import DOMAIN

NAME = tr("Sources")
_TURN = 137.508  # degrees of hue from one image to the next: neighbours in number are apart


def add(path: str, project: QgsProject, result: QgsRasterLayer) -> QgsRasterLayer:
    """Put a raster of sources into the project, below the ``result`` whose sources it has."""
    layer = QgsRasterLayer(path, NAME, "gdal")
    if not layer.isValid():
        raise PluginError(tr("{path} is not a raster that QGIS can read.").format(path=path))
    show_images(layer)
    project.addMapLayer(layer, False)
    above = project.layerTreeRoot().findLayer(result.id())
    siblings = above.parent().children()
    above.parent().insertLayer(siblings.index(above) + 1, layer)
    hide(layer, project)
    return layer


def show_images(layer: QgsRasterLayer) -> None:
    """Give a layer a colour for each image, with its name, source and licence."""
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


def move_to_group(layer: QgsRasterLayer, project: QgsProject) -> None:
    """Move a layer that Processing has loaded to our group, unseen."""
    layers.move_to_group(layer, project)
    hide(layer, project)


def hide(layer: QgsRasterLayer, project: QgsProject) -> None:
    """Untick a layer and fold its legend."""
    node = project.layerTreeRoot().findLayer(layer.id())
    node.setItemVisibilityChecked(False)
    node.setExpanded(False)
