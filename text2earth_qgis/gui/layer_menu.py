"""The plugin's entries in the context menu of raster layers: edit it, compare it, and of what we made more.

Knows which layers are ours, also by their files alone; what is done with one is told by signals.
"""

from __future__ import annotations

import json
from pathlib import Path

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

try:
    from qgis.PyQt.QtGui import QAction  # Qt 6
except ImportError:
    from qgis.PyQt.QtWidgets import QAction

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.layers import RECIPE, path_of, recipe_of
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.results import open_folder

MENU = "Text2Earth"
BELOW, BOTH = tr("Compare with what is below"), tr("Compare the two layers")


class LayerMenu(QObject):
    """Adds the entries; ``close`` takes them back."""

    edit_wanted = pyqtSignal(object)  # QgsRasterLayer
    comparison_wanted = pyqtSignal(list)  # QgsMapLayer: one with what is below it, or two
    settings_wanted = pyqtSignal(object)  # QgsRasterLayer
    remake_wanted = pyqtSignal(object)  # QgsRasterLayer

    def __init__(self, window: QgisInterface, project: QgsProject) -> None:
        super().__init__()
        self._window, self._project = window, project
        self.compare = self._action("swipe", BELOW)
        self.compare.triggered.connect(lambda _checked=False: self._compare())
        self.edit = self._action("brush", tr("Edit with Text2Earth"))
        self.further = self._action("brush", tr("Edit this further"))
        for action in (self.edit, self.further):
            action.triggered.connect(lambda _checked=False: self._tell(self.edit_wanted))
        self.remake = self._action("run", tr("Make again"))
        self.remake.triggered.connect(lambda _checked=False: self._tell(self.remake_wanted))
        self.reuse = self._action("reuse", tr("Use its settings"))
        self.reuse.triggered.connect(lambda _checked=False: self._tell(self.settings_wanted))
        self.folder = self._action("zoom", tr("Open folder"))
        self.folder.triggered.connect(lambda _checked=False: self._open_folder())
        self._of_ours = (self.further, self.remake, self.reuse, self.folder)
        raster = QgsRasterLayer().type()
        window.addCustomActionForLayerType(self.compare, MENU, raster, True)
        for action in (self.edit, *self._of_ours):
            window.addCustomActionForLayerType(action, MENU, raster, False)
        self._unknown: list[str] = []  # ids of layers whose files are still to be looked at
        self._looking = QTimer(self)
        self._looking.timeout.connect(self._look)
        self._add_layers(list(project.mapLayers().values()))
        project.layersAdded.connect(self._add_layers)
        window.layerTreeView().selectionModel().selectionChanged.connect(self._name_comparison)

    def close(self) -> None:
        """Take the entries back."""
        self._looking.stop()
        self._window.layerTreeView().selectionModel().selectionChanged.disconnect(self._name_comparison)
        self._project.layersAdded.disconnect(self._add_layers)
        for action in (self.compare, self.edit, *self._of_ours):
            self._window.removeCustomActionForLayerType(action)

    def _action(self, symbol: str, text: str) -> QAction:
        return QAction(icon(symbol), text, self)

    def _add_layers(self, layers: list[QgsMapLayer]) -> None:
        """Offer what fits: our own layers know their recipe, or their files do."""
        for layer in layers:
            if not isinstance(layer, QgsRasterLayer):
                continue
            local = layer.providerType() == "gdal" and Path(path_of(layer)).is_file()
            if layer.customProperty(RECIPE) or not local:
                self._offer(layer)
            else:
                self._unknown.append(layer.id())
                self._looking.start(0)

    def _look(self) -> None:
        """Look at the file of one layer: a project may have hundreds."""
        layer = self._project.mapLayer(self._unknown.pop(0)) if self._unknown else None
        if not self._unknown:
            self._looking.stop()
        if layer is not None:
            recipe = recipe_of(layer)
            if recipe is not None:
                layer.setCustomProperty(RECIPE, json.dumps(recipe, ensure_ascii=False, sort_keys=True))
            self._offer(layer)

    def _offer(self, layer: QgsRasterLayer) -> None:
        for action in self._of_ours if layer.customProperty(RECIPE) else (self.edit,):
            self._window.addCustomActionForLayer(action, layer)

    def _name_comparison(self, *_selection: object) -> None:
        self.compare.setText(BOTH if len(self._window.layerTreeView().selectedLayers()) == 2 else BELOW)

    def _compare(self) -> None:
        chosen = self._window.layerTreeView().selectedLayers()
        if len(chosen) != 2:
            chosen = [layer for layer in [self._window.layerTreeView().currentLayer()] if layer is not None]
        if chosen:
            self.comparison_wanted.emit(chosen)

    def _open_folder(self) -> None:
        layer = self._window.layerTreeView().currentLayer()
        if layer is not None:
            open_folder(path_of(layer))

    def _tell(self, signal: pyqtSignal) -> None:
        layer = self._window.layerTreeView().currentLayer()
        if isinstance(layer, QgsRasterLayer):
            signal.emit(layer)
