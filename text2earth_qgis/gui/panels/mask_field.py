"""The mask of an edit: a polygon layer of the project or its selection, or a new one to draw on.

What a new mask is made of, and the brush, is told from outside.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsVectorLayerFeatureSource
from qgis.PyQt.QtWidgets import QWidget

from text2earth_qgis.core.imagery.masks import MaskPolygons
from text2earth_qgis.gui.canvas.scratch_mask import is_mask
from text2earth_qgis.gui.panels.polygons import PolygonField

NO_LAYER = "No mask yet"


class MaskField(PolygonField):
    """Layer, "selected only", and a button for a new mask."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(NO_LAYER, "Polygons inside which the raster may change", parent=parent)
        self.offer_new(
            "New mask layer", "New mask layer to draw or paint on. It is not saved with the project."
        )

    def missing(self) -> str:
        """Name what the form still lacks, as a sentence; empty if nothing."""
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

    def shapes(self) -> Optional[MaskPolygons]:
        """Return the mask as it is now, unsaved edits included, for any thread."""
        layer = self.layer()
        if layer is None:
            return None
        return MaskPolygons(layer.name(), QgsVectorLayerFeatureSource(layer), layer.crs(), self.ids())
