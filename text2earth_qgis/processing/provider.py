"""The Processing provider ``text2earth``: lists the algorithms."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from text2earth_qgis.core.paths import resource
from text2earth_qgis.processing.edit import Edit
from text2earth_qgis.processing.extend import Extend
from text2earth_qgis.processing.generate import Generate


class Text2EarthProvider(QgsProcessingProvider):
    """What Processing registers at the start of the plugin, with or without a window."""

    def id(self) -> str:
        """Return the first part of the algorithms' ids."""
        return "text2earth"

    def name(self) -> str:
        """Return the name in the toolbox."""
        return "Text2Earth"

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return QIcon(resource("icons", "text2earth.svg"))

    def loadAlgorithms(self) -> None:
        """Add the algorithms."""
        self.addAlgorithm(Generate())
        self.addAlgorithm(Edit())
        self.addAlgorithm(Extend())

    def defaultRasterFileExtension(self) -> str:
        """Return the extension of outputs without one."""
        return "tif"

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """Return the endings of results: a GeoTIFF, or the VRT of an edit over its source."""
        return ["tif", "tiff", "vrt"]
