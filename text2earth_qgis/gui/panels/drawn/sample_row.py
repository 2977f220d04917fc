"""One sample: an area, drawn on the map or in a layer, the raster that it lies on, and what it shows."""

from __future__ import annotations

from typing import NamedTuple, Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QFormLayout, QFrame, QHBoxLayout, QLabel, QLineEdit, QToolButton, QVBoxLayout

from text2earth_qgis.core.crs import crs_of
from text2earth_qgis.core.imagery.masks import MaskPolygons
from text2earth_qgis.core.imagery.samples import ROLE, SampleRequest, sample_of
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Json
from text2earth_qgis.gui.accessible import name_fields
from text2earth_qgis.gui.canvas.scratch_mask import shapes_of
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.panels.drawn.polygons import PolygonField
from text2earth_qgis.gui.panels.fields import raster_field
from text2earth_qgis.gui.panels.model import by_example

COLOUR = QColor(20, 150, 136)  # of samples on the map and in the form
OWN = tr("The raster to edit")
EARLIER = tr("That of the earlier run")
DRAWN = tr("Drawn on the map")


class DrawnArea(NamedTuple):
    """Polygons, and their CRS."""

    shape: QgsGeometry
    crs: QgsCoordinateReferenceSystem


class SampleRow(QFrame):
    """The fields of one sample; ``removed`` asks to take it away."""

    changed = pyqtSignal()
    removed = pyqtSignal()
    wanted = pyqtSignal()  # a new layer to draw the area on

    def __init__(self, project: QgsProject, own: str) -> None:
        """Call the raster that is worked on ``own``; empty where there is none."""
        super().__init__()
        self._project = project
        self.drawn: Optional[DrawnArea] = None
        self._has_own = bool(own)
        self.mark = QLabel()
        self.mark.setStyleSheet(
            f"background: {COLOUR.name()}; color: white; border-radius: 3px; padding: 1px 5px;"
        )
        self.raster = raster_field(
            own or tr("No raster yet"),
            tr("The raster that the area lies on; without an area, all of it is meant."),
        )
        self.area = PolygonField(
            tr("All of the raster"), tr("Polygons around what shows how it is to look, such as a pond")
        )
        self.area.offer_new(
            tr("New area"), tr("New layer to draw the area on. It is not saved with the project.")
        )
        self.words = QLineEdit()
        self.words.setPlaceholderText(tr("Such as: forest"))
        self.words.setToolTip(
            tr("What the area shows, if it is to stand for that alone. Empty: for all that is asked for.")
        )
        self.remove = QToolButton()
        self.remove.setIcon(icon("remove"))
        self.remove.setAutoRaise(True)
        self.remove.setToolTip(tr("Take this sample away"))
        self.remove.setAccessibleName(tr("Take this sample away"))
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for title, field in (
            (tr("Of raster"), self.raster), (tr("Area"), self.area), (tr("Shows"), self.words),
        ):  # fmt: skip
            form.addRow(title, field)
        name_fields(form)
        head = QHBoxLayout()
        head.addWidget(self.mark)
        head.addStretch(1)
        head.addWidget(self.remove)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 6)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addLayout(form)
        self.area.changed.connect(self.changed)
        self.area.wanted.connect(self.wanted)
        self.raster.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.words.textChanged.connect(lambda _text: self.changed.emit())
        self.remove.clicked.connect(lambda _checked=False: self.removed.emit())
        self.area.only.hide()

    def number(self, number: int) -> None:
        """Show which of the samples this is, as the map does."""
        self.mark.setText(str(number))

    def take(self, area: DrawnArea, raster: Optional[QgsMapLayer]) -> None:
        """Have an area that was drawn, on a raster if that is known."""
        self.drawn = area
        self.area.layers.setAdditionalItems([DRAWN])
        self.area.layers.setCurrentIndex(self.area.layers.findText(DRAWN))
        if raster is not None:
            self.raster.setLayer(raster)
        self.changed.emit()

    def shown(self) -> Optional[DrawnArea]:
        """Return the drawn area if it is the one that is meant."""
        return self.drawn if self.area.layers.currentText() == DRAWN else None

    def missing(self, own: Optional[QgsRasterLayer], chosen: Json) -> str:
        """Name what is wrong with the sample, as a sentence; ``chosen`` is the card of a chosen model."""
        if self.raster.currentText() == EARLIER:
            return tr(
                "The backend no longer has the sample of the earlier run. Choose its raster under Like here."
            )
        if chosen and not by_example(chosen):
            return tr(
                "The chosen model makes no use of a sample. Choose Automatic as the model, or take no sample."
            )
        layer, raster = self.area.layer(), self._layer(own)
        if layer is not None and not layer.featureCount():
            empty = tr("The area '{name}' is empty. Draw a polygon on it, or choose another layer.")
            return empty.format(name=layer.name())
        if raster is None and not self._has_own:
            return tr(
                "Choose the raster under Like here that shows how it is to look, or take that sample away."
            )
        if raster is not None and raster.providerType() != "gdal":
            no_file = tr("'{name}' has no file to take a sample of. Choose a raster under Like here.")
            return no_file.format(name=raster.name())
        return ""

    def sample(self, own: Optional[QgsRasterLayer]) -> Optional[SampleRequest]:
        """Return the sample as it is now, of the ``own`` raster if no other is chosen; None without one."""
        raster = self._layer(own)
        if raster is None:
            return None
        return sample_of(raster, self._polygons(), self.words.text(), self._project.transformContext())

    def restore(self, sample: Json, raster: Optional[QgsMapLayer]) -> None:
        """Show a sample of an earlier run, of a raster that may be gone."""
        area = sample.get("area") or {}
        shapes, crs = shapes_of(area), crs_of(str(area.get("crs") or ""))
        self.words.setText(str(sample.get("words") or ""))
        if isinstance(raster, QgsRasterLayer):
            self.raster.setLayer(raster)
        else:
            self.raster.setAdditionalItems([EARLIER])
            self.raster.setCurrentIndex(self.raster.findText(EARLIER))
        if shapes and crs.isValid():
            self.take(DrawnArea(QgsGeometry.collectGeometry(shapes), crs), None)

    def _polygons(self) -> Optional[MaskPolygons]:
        """Return the area, unsaved edits included, None for all of the raster."""
        layer, drawn = self.area.layer(), self.shown()
        if layer is not None:
            source = QgsVectorLayerFeatureSource(layer)
            return MaskPolygons(layer.name(), source, layer.crs(), self.area.ids(), ROLE)
        if drawn is None:
            return None
        held = QgsVectorLayer("MultiPolygon", DRAWN, "memory")  # of no project
        held.setCrs(drawn.crs)
        feature = QgsFeature()
        feature.setGeometry(drawn.shape)
        held.dataProvider().addFeatures([feature])
        return MaskPolygons(DRAWN, QgsVectorLayerFeatureSource(held), drawn.crs, None, ROLE)

    def _layer(self, own: Optional[QgsRasterLayer]) -> Optional[QgsRasterLayer]:
        chosen = self.raster.currentLayer()
        return chosen if isinstance(chosen, QgsRasterLayer) else own
