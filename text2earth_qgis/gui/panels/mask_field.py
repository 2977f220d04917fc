"""The mask of an edit: a polygon layer of the project or its selection, or a new one to draw on.

Says by ``changed`` whenever another mask is meant, also because its polygons changed. Reads layers and writes
none; what a new mask is made of, and the brush, is told from outside.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsMapLayer, QgsMapLayerProxyModel, QgsVectorLayer, QgsVectorLayerFeatureSource
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt import sip
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from text2earth_qgis.core.masks import Shapes
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.scratch_mask import is_mask

NO_LAYER = "No mask yet"


class MaskField(QWidget):
    """Layer, "selected only", and a button for a new mask."""

    changed = pyqtSignal()
    wanted = pyqtSignal()  # a new mask layer

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._watched: Optional[QgsVectorLayer] = None
        self.layers = QgsMapLayerComboBox()
        self.layers.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.layers.setAllowEmptyLayer(True, NO_LAYER)
        self.layers.setCurrentIndex(0)
        self.layers.setMinimumContentsLength(6)
        self.layers.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.layers.setToolTip("Polygons inside which the raster may change")
        self.new_button = QToolButton()
        self.new_button.setIcon(icon("new_mask"))
        self.new_button.setToolTip("New mask layer to draw or paint on. It is not saved with the project.")
        self.new_button.setAccessibleName("New mask layer")
        self.new_button.clicked.connect(lambda _checked=False: self.wanted.emit())
        self.only = QCheckBox("Selected features only")
        self.only.toggled.connect(lambda _checked: self.changed.emit())
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.layers, 1)
        row.addWidget(self.new_button)
        self.box = QVBoxLayout(self)
        self.box.setContentsMargins(0, 0, 0, 0)
        self.box.setSpacing(3)
        self.box.addLayout(row)
        self.box.addWidget(self.only)
        self.setFocusProxy(self.layers)
        self.layers.layerChanged.connect(self._follow)

    def layer(self) -> Optional[QgsVectorLayer]:
        """Return the chosen layer."""
        layer = self.layers.currentLayer()
        return layer if isinstance(layer, QgsVectorLayer) else None

    def choose(self, layer: QgsMapLayer) -> None:
        """Take a layer of the project as mask, all of it."""
        self.only.setChecked(False)
        self.layers.setLayer(layer)

    def missing(self) -> str:
        """Return what the user still has to give, as a sentence; empty if nothing."""
        layer = self.layer()
        if layer is None:
            return "Choose a polygon layer as mask, or make a new mask and paint on the map what may change."
        if not layer.isValid():
            return f"The mask '{layer.name()}' cannot be read. Choose another."
        if layer.featureCount() == 0:
            how = "Paint or draw on it" if is_mask(layer) else "Draw polygons, or choose another layer"
            return f"The mask '{layer.name()}' is empty. {how}."
        if self.only.isChecked() and not layer.selectedFeatureCount():
            return f"No polygon is selected in the mask '{layer.name()}'. Select some, or take all features."
        return ""

    def shapes(self) -> Optional[Shapes]:
        """Return the mask as it is now, unsaved edits included, for any thread."""
        layer = self.layer()
        if layer is None:
            return None
        ids = frozenset(layer.selectedFeatureIds()) if self.only.isChecked() else None
        return Shapes(layer.name(), QgsVectorLayerFeatureSource(layer), layer.crs(), ids)

    def close(self) -> None:
        """Hear of no layer any more."""
        self._watch(None)

    def _follow(self, _layer: Optional[QgsMapLayer]) -> None:
        self._watch(self.layer())
        self.changed.emit()

    def _watch(self, layer: Optional[QgsVectorLayer]) -> None:
        for before, method in ((self._watched, "disconnect"), (layer, "connect")):
            if before is None or sip.isdeleted(before):
                continue
            for signal in (
                before.layerModified, before.afterRollBack, before.dataChanged, before.crsChanged,
                before.selectionChanged,
            ):  # fmt: skip
                getattr(signal, method)(self._touched)
        self._watched = layer

    def _touched(self, *_what: object) -> None:
        self.changed.emit()
