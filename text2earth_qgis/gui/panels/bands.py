"""Which bands of a raster the model sees and paints, how it sees their values, and what becomes of others.

Knows the raster layer that is edited and reads no file.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsRasterLayer
from qgis.gui import QgsRasterBandComboBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QSizePolicy, QWidget

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery import crops
from text2earth_qgis.core.language import tr
from text2earth_qgis.gui.accessible import name_fields
from text2earth_qgis.gui.panels.model import narrow_combo

DISPLAYED, CHOSEN = "displayed", "chosen"
STRETCHES = {"displayed": tr("As displayed"), "2-98 %": tr("2 to 98 % of the values")}
EXTRA = {"match": tr("Match the surroundings"), "keep": tr("Leave as they are"), "drop": tr("Drop")}


class BandsPanel(QWidget):
    """The fields; each begins with what suits most rasters."""

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.which = narrow_combo()
        self.which.addItem(tr("As displayed"), DISPLAYED)
        self.which.addItem(tr("These:"), CHOSEN)
        self.which.setToolTip(tr("The bands that the model sees and paints"))
        self.rgb = [QgsRasterBandComboBox() for _ in range(3)]
        self._stretch = narrow_combo()
        self._stretch.setEditable(True)
        self._stretch.addItems(list(STRETCHES.values()))
        self._stretch.setToolTip(
            tr(
                "Values that the model sees as black and white: those set by hand in the layer's style, else "
                "what suits the mask's surroundings; 2 to 98 % of these; or min,max or "
                "min,max;min,max;min,max"
            )
        )
        self.extra = narrow_combo()
        for key, text in EXTRA.items():
            self.extra.addItem(text, key)
        self.extra.setToolTip(
            tr(
                "Other bands in the mask, such as infrared: values of pixels nearby of similar colour, what "
                "is there, or no such bands in the result"
            )
        )
        self.form = QFormLayout(self)
        self.form.setContentsMargins(0, 0, 0, 0)
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self.form.addRow(tr("RGB bands"), self.which)
        for title, band in zip((tr("Red"), tr("Green"), tr("Blue")), self.rgb):
            band.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            band.setMinimumContentsLength(6)
            band.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            self.form.addRow(title, band)
            band.bandChanged.connect(lambda _band: self.changed.emit())
        self.form.addRow(tr("Stretch"), self._stretch)
        self.form.addRow(tr("Other bands"), self.extra)
        name_fields(self.form)
        self.which.currentIndexChanged.connect(lambda _index: self._show_bands())
        self._stretch.currentTextChanged.connect(lambda _text: self.changed.emit())
        self.extra.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self._show_bands()

    def set_layer(self, layer: Optional[QgsRasterLayer]) -> None:
        """Offer the bands of a raster."""
        self.which.setCurrentIndex(0)
        for number, band in enumerate(self.rgb, 1):
            band.setLayer(layer)
            if layer is not None and layer.bandCount() >= number:
                band.setBand(number)

    def bands(self) -> Optional[list[int]]:
        """Return one band or three, None for those that are displayed."""
        if self.which.currentData() == DISPLAYED:
            return None
        chosen = [band.currentBand() for band in self.rgb]
        return chosen[:1] if len(set(chosen)) == 1 else chosen

    def stretch(self) -> str:
        """Return the stretch as ``edit_request.EditRequest`` has it."""
        text = self._stretch.currentText().strip()
        return next((key for key, title in STRETCHES.items() if title == text), text)

    def missing(self) -> str:
        """Name what is wrong with the choices, as a sentence; empty if nothing."""
        bands = self.bands()
        if bands and len(set(bands)) not in (1, 3):
            return tr("Choose three different bands for red, green and blue, or one band three times.")
        if self.stretch() not in STRETCHES:
            try:
                crops.stretch_from_text(self.stretch(), tuple(bands or ()))
            except RasterRefused as error:
                return str(error)
        return ""

    def _show_bands(self) -> None:
        shown = self.which.currentData() == CHOSEN
        for band in self.rgb:
            band.setVisible(shown)
            self.form.labelForField(band).setVisible(shown)
        self.changed.emit()
