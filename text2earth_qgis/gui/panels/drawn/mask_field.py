"""The mask of an edit: a polygon layer of the project or its selection, or a new one to draw on.

What a new mask is made of, and the brush, is told from outside.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsVectorLayerFeatureSource
from qgis.PyQt.QtWidgets import QWidget

from text2earth_qgis.core.imagery.masks import MaskPolygons
from text2earth_qgis.core.language import tr
from text2earth_qgis.gui.canvas.scratch_mask import is_mask
from text2earth_qgis.gui.panels.drawn.polygons import PolygonField

NO_LAYER = tr("No mask yet")


class MaskField(PolygonField):
    """Layer, "selected only", and a button for a new mask."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(NO_LAYER, tr("Polygons inside which the raster may change"), parent=parent)
        self.offer_new(
            tr("New mask layer"), tr("New mask layer to draw or paint on. It is not saved with the project.")
        )

    def missing(self) -> str:
        """Name what the form still lacks, as a sentence; empty if nothing."""
        layer = self.layer()
        if layer is None:
            return tr(
                "Choose a polygon layer as mask, or make a new mask and paint on the map what may change."
            )
        if not layer.isValid():
            return tr("The mask '{mask}' cannot be read. Choose another.").format(mask=layer.name())
        if layer.featureCount() == 0:
            own = tr("The mask '{mask}' is empty. Paint or draw on it.")
            other = tr("The mask '{mask}' is empty. Draw polygons, or choose another layer.")
            return (own if is_mask(layer) else other).format(mask=layer.name())
        if self.only.isChecked() and not layer.selectedFeatureCount():
            return tr(
                "No polygon is selected in the mask '{mask}'. Select some, or take all features."
            ).format(mask=layer.name())
        return ""

    def shapes(self) -> Optional[MaskPolygons]:
        """Return the mask as it is now, unsaved edits included, for any thread."""
        layer = self.layer()
        if layer is None:
            return None
        return MaskPolygons(layer.name(), QgsVectorLayerFeatureSource(layer), layer.crs(), self.ids())
