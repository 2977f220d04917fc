"""Like here: an area of a raster that shows what is painted by example, and in words what it is.

Only for backends that have images to make land by example of. The sample of an earlier run is gone from the
backend; its area and words are shown again, its raster if that is still in the project.
"""

from __future__ import annotations

from typing import Optional, Sequence

from qgis.core import (
    QgsMapLayer,
    QgsMapLayerProxyModel,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayerFeatureSource,
)
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QLabel, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from text2earth_qgis.core.imagery.masks import MaskPolygons
from text2earth_qgis.core.imagery.samples import ROLE, SampleRequest, sample_of
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Json
from text2earth_qgis.gui.accessible import name_fields
from text2earth_qgis.gui.canvas.scratch_mask import restore_mask
from text2earth_qgis.gui.panels.model import by_example
from text2earth_qgis.gui.panels.polygons import PolygonField

AREA_NAME = tr("Like here")
OWN = tr("The raster to edit")
EARLIER = tr("That of the earlier run")
UNABLE = tr("The backend has no images to make land by example of. Install the model open-land there.")
GONE = tr("The backend no longer has the sample of the earlier run. Choose its raster under Like here.")
OTHER_MODEL = tr(
    "The chosen model makes no use of a sample. Choose Automatic as the model, or take no sample."
)


class LikeHerePanel(QWidget):
    """Area, raster and words; a sentence instead, where the backend cannot use them."""

    changed = pyqtSignal()

    def __init__(self, project: QgsProject, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._project = project
        self.area = PolygonField(
            tr("No area"), tr("Polygons around what shows how it is to look, such as a pond")
        )
        self.area.offer_new(
            tr("New area"), tr("New layer to draw the area on. It is not saved with the project.")
        )
        self.raster = QgsMapLayerComboBox()
        self.raster.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.raster.setAllowEmptyLayer(True, OWN)
        self.raster.setCurrentIndex(0)
        self.raster.setMinimumContentsLength(6)
        self.raster.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.raster.setToolTip(tr("The raster that the area lies on; without an area, all of it is meant."))
        self.words = QLineEdit()
        self.words.setPlaceholderText(tr("Such as: forest"))
        self.words.setToolTip(
            tr("What the area shows, if it is to stand for that alone. Empty: for all that is asked for.")
        )
        self.form = QWidget()
        form = QFormLayout(self.form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for title, field in (
            (tr("Area"), self.area),
            (tr("Of raster"), self.raster),
            (tr("Shows"), self.words),
        ):
            form.addRow(title, field)
        name_fields(form)
        self.said = QLabel(UNABLE)
        self.said.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.form)
        layout.addWidget(self.said)
        self.area.changed.connect(self.changed)
        self.raster.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.words.textChanged.connect(lambda _text: self.changed.emit())
        self.set_models(())

    def set_models(self, models: Sequence[Json]) -> None:
        """Show the fields if one of the backend's models can use them."""
        able = any(by_example(card) and card.get("installed") for card in models)
        self.form.setVisible(able)
        self.said.setVisible(not able)

    def missing(self, own: Optional[QgsRasterLayer], chosen: Json) -> str:
        """Name what is wrong with the sample, as a sentence; ``chosen`` is the card of a chosen model."""
        layer = self.area.layer()
        if not self._asked():
            return ""
        if self.raster.currentText() == EARLIER:
            return GONE
        if chosen and not by_example(chosen):
            return OTHER_MODEL
        if layer is not None and not layer.featureCount():
            return tr("The area '{layer}' is empty. Draw a polygon on it, or choose another layer.").format(
                layer=layer.name()
            )
        raster = self._layer(own)
        if raster is not None and raster.providerType() != "gdal":
            return tr("'{raster}' has no file to take a sample of. Choose a raster under Like here.").format(
                raster=raster.name()
            )
        return ""

    def sample(self, own: QgsRasterLayer) -> Optional[SampleRequest]:
        """Return the sample as it is now, of the ``own`` raster if no other is chosen; None if none is."""
        raster, layer = self._layer(own), self.area.layer()
        if not self._asked() or raster is None:
            return None
        area = layer and MaskPolygons(
            layer.name(), QgsVectorLayerFeatureSource(layer), layer.crs(), self.area.ids(), ROLE
        )
        return sample_of(raster, area, self.words.text(), self._project.transformContext())

    def restore(self, sample: Optional[Json], raster: Optional[QgsMapLayer]) -> None:
        """Show the sample of an earlier run, of a raster that may be gone; None shows none."""
        area = restore_mask(self._project, (sample or {}).get("area") or {}, AREA_NAME)
        self.area.choose(area)
        self.words.setText(str((sample or {}).get("words") or ""))
        lost = sample is not None and not isinstance(raster, QgsRasterLayer)
        self.raster.setAdditionalItems([EARLIER] if lost else [])
        if isinstance(raster, QgsRasterLayer):
            self.raster.setLayer(raster)
        else:
            self.raster.setCurrentIndex(self.raster.findText(EARLIER) if lost else 0)

    def _asked(self) -> bool:
        """Whether the backend can use a sample, and an area or another raster is chosen."""
        able = not self.form.isHidden()
        return able and (self.area.layer() is not None or self.raster.currentIndex() > 0)

    def _layer(self, own: Optional[QgsRasterLayer]) -> Optional[QgsRasterLayer]:
        chosen = self.raster.currentLayer()
        return chosen if isinstance(chosen, QgsRasterLayer) else own
