"""The mask of an edit: a polygon layer of the project or its selection, a raster, or a new layer to draw on.

What a new mask is made of, and the brush, is told from outside.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsMapLayer, QgsMapLayerProxyModel, QgsRasterLayer, QgsVectorLayerFeatureSource
from qgis.PyQt.QtWidgets import QWidget

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery import rasters
from text2earth_qgis.core.imagery.masks import Mask, MaskPolygons
from text2earth_qgis.core.language import tr
from text2earth_qgis.gui.canvas.scratch_mask import is_mask
from text2earth_qgis.gui.panels.drawn.polygons import PolygonField

NO_LAYER = tr("No mask yet")
KINDS = QgsMapLayerProxyModel.Filter.PolygonLayer | QgsMapLayerProxyModel.Filter.RasterLayer


class MaskField(PolygonField):
    """Layer, "selected only", and a button for a new mask. A raster is not tinted: it is a layer itself."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        tip = tr("Polygons inside which the raster may change, or a raster that is above zero there")
        super().__init__(NO_LAYER, tip, KINDS, parent)
        self.offer_new(
            tr("New mask layer"), tr("New mask layer to draw or paint on. It is not saved with the project.")
        )

        self.changed.connect(lambda: self.only.setVisible(self.raster() is None))

    def chosen(self) -> Optional[QgsMapLayer]:
        """Return the layer of the mask, of either kind."""
        return self.layer() or self.raster()

    def missing(self, edited: QgsRasterLayer) -> str:
        """Name what the form still lacks, as a sentence; empty if nothing. ``edited`` cannot be the mask."""
        layer, raster = self.layer(), self.raster()
        if raster is not None and raster.source() == edited.source():
            return tr("The mask is the raster itself. Choose the polygons to paint, or another raster.")
        if raster is not None:
            try:
                rasters.file_of(raster)
            except RasterRefused as error:
                return str(error)
            return ""
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

    def mask(self) -> Optional[Mask]:
        """Return the mask as it is now, for any thread. Raises ``RasterRefused``."""
        raster = self.raster()
        return self.shapes() if raster is None else rasters.file_of(raster)

    def shapes(self) -> Optional[MaskPolygons]:
        """Return the polygons of the mask as they are now, unsaved edits included, for any thread."""
        layer = self.layer()
        if layer is None:
            return None
        return MaskPolygons(layer.name(), QgsVectorLayerFeatureSource(layer), layer.crs(), self.ids())
