"""The choice of a layer of the project, mostly of polygons, or of the features selected in it.

Says by ``changed`` whenever other features are meant, also because they were edited. Reads layers and writes
none; what the features are for, its users know.
"""

from __future__ import annotations

from typing import Any, Optional, Sequence

from qgis.core import QgsMapLayer, QgsMapLayerProxyModel, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from text2earth_qgis.core.language import tr
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.panels.fields import layer_field


class PolygonField(QWidget):
    """Layer and "selected only"."""

    changed = pyqtSignal()
    wanted = pyqtSignal()  # a new layer

    def __init__(
        self,
        no_layer: str,
        tip: str,
        kinds: QgsMapLayerProxyModel.Filter = QgsMapLayerProxyModel.Filter.PolygonLayer,
        parent: Optional[QWidget] = None,
    ) -> None:
        """Call the choice of none ``no_layer``; ``kinds`` of layers are offered."""
        super().__init__(parent)
        self._watched: Optional[QgsMapLayer] = None
        self.layers = layer_field(kinds, no_layer, tip)
        self.only = QCheckBox(tr("Selected features only"))
        self.only.toggled.connect(lambda _checked: self.changed.emit())
        self.row = QHBoxLayout()
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.addWidget(self.layers, 1)
        self.box = QVBoxLayout(self)
        self.box.setContentsMargins(0, 0, 0, 0)
        self.box.setSpacing(3)
        self.box.addLayout(self.row)
        self.box.addWidget(self.only)
        self.setFocusProxy(self.layers)
        self.layers.currentIndexChanged.connect(self._follow)

    def offer_new(self, name: str, tip: str) -> None:
        """Add a button that asks for a new layer."""
        button = QToolButton()
        button.setIcon(icon("new_mask"))
        button.setToolTip(tip)
        button.setAccessibleName(name)
        button.clicked.connect(lambda _checked=False: self.wanted.emit())
        self.row.addWidget(button)
        self.setTabOrder(self.layers, button)
        self.setTabOrder(button, self.only)
        self.new_button = button

    def layer(self) -> Optional[QgsVectorLayer]:
        """Return the chosen layer where it has features."""
        layer = self.layers.currentLayer()
        return layer if isinstance(layer, QgsVectorLayer) else None

    def raster(self) -> Optional[QgsRasterLayer]:
        """Return the chosen layer where it is a raster."""
        layer = self.layers.currentLayer()
        return layer if isinstance(layer, QgsRasterLayer) else None

    def ids(self) -> Optional[frozenset[int]]:
        """Return the ids of the selected features, None if all are meant."""
        layer = self.layer()
        return frozenset(layer.selectedFeatureIds()) if layer is not None and self.only.isChecked() else None

    def choose(self, layer: Optional[QgsMapLayer]) -> None:
        """Take a layer of the project, all of it; None takes none."""
        self.only.setChecked(False)
        if layer is None:
            self.layers.setCurrentIndex(0)
        else:
            self.layers.setLayer(layer)

    def close(self) -> None:
        """Follow no layer any more."""
        self._watch(None)

    def _follow(self, _index: int) -> None:
        self._watch(self.layers.currentLayer())
        self.changed.emit()

    def _watch(self, layer: Optional[QgsMapLayer]) -> None:
        for before, method in ((self._watched, "disconnect"), (layer, "connect")):
            if before is None or sip.isdeleted(before):
                continue
            for signal in _signals(before):
                getattr(signal, method)(self._touched)
        self._watched = layer

    def _touched(self, *_what: object) -> None:
        self.changed.emit()


def _signals(layer: QgsMapLayer) -> Sequence[Any]:
    """Return what a layer tells of when other features, or classes, are meant."""
    if isinstance(layer, QgsVectorLayer):
        return (
            layer.layerModified, layer.afterRollBack, layer.dataChanged, layer.crsChanged,
            layer.selectionChanged,
        )  # fmt: skip
    return (layer.rendererChanged, layer.dataChanged, layer.crsChanged)
