"""The plugin's entries in the context menu of raster layers: edit it, compare it with what is below,
use its settings again.

Knows which layers are ours; what is done with one is told by signals.
"""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QObject, pyqtSignal

try:
    from qgis.PyQt.QtGui import QAction  # Qt 6
except ImportError:
    from qgis.PyQt.QtWidgets import QAction

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.layers import RECIPE
from text2earth_qgis.gui.icons import icon

MENU = "Text2Earth"


class LayerMenu(QObject):
    """Adds the entries; ``close`` takes them back."""

    edit_wanted = pyqtSignal(object)  # QgsRasterLayer
    comparison_wanted = pyqtSignal(object)  # QgsRasterLayer
    settings_wanted = pyqtSignal(object)  # QgsRasterLayer

    def __init__(self, window: QgisInterface, project: QgsProject) -> None:
        super().__init__()
        self._window, self._project = window, project
        self.edit = QAction(icon("brush"), tr("Edit with Text2Earth"), self)
        self.edit.triggered.connect(lambda _checked=False: self._tell(self.edit_wanted))
        self.compare = QAction(icon("swipe"), tr("Compare with what is below"), self)
        self.compare.triggered.connect(lambda _checked=False: self._tell(self.comparison_wanted))
        self.reuse = QAction(icon("reuse"), tr("Use its settings again"), self)
        self.reuse.triggered.connect(lambda _checked=False: self._tell(self.settings_wanted))
        raster = QgsRasterLayer().type()
        window.addCustomActionForLayerType(self.edit, MENU, raster, True)
        window.addCustomActionForLayerType(self.compare, MENU, raster, True)
        window.addCustomActionForLayerType(self.reuse, MENU, raster, False)
        self._add_layers(list(project.mapLayers().values()))
        project.layersAdded.connect(self._add_layers)

    def close(self) -> None:
        """Take the entries back."""
        self._project.layersAdded.disconnect(self._add_layers)
        for action in (self.edit, self.compare, self.reuse):
            self._window.removeCustomActionForLayerType(action)

    def _add_layers(self, layers: list[QgsMapLayer]) -> None:
        """Offer the settings of layers that have some."""
        for layer in layers:
            if isinstance(layer, QgsRasterLayer) and layer.customProperty(RECIPE):
                self._window.addCustomActionForLayer(self.reuse, layer)

    def _tell(self, signal: pyqtSignal) -> None:
        layer = self._window.layerTreeView().currentLayer()
        if isinstance(layer, QgsRasterLayer):
            signal.emit(layer)
