"""The settings that most runs leave alone: model, canvas, CRS, sampler, steps, guidance.

Every one can be left to the model or the backend. Knows nothing of what the settings cost: the price of the
``ground`` canvas is told from outside.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsCoordinateReferenceSystem, QgsMapLayer
from qgis.gui import QgsProjectionSelectionWidget
from qgis.PyQt.QtWidgets import QLabel, QWidget

from text2earth_qgis.core.crs import crs_of
from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery.rasters import align_to, crs_text
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.pixel_sizes import PixelSizes
from text2earth_qgis.core.wire.schemas import Align, Box, GenerateInputs, Joins, Json
from text2earth_qgis.gui import words
from text2earth_qgis.gui.accessible import name_fields
from text2earth_qgis.gui.panels.fields import raster_field
from text2earth_qgis.gui.panels.model import AUTOMATIC, ModelPanel, by_example, narrow_combo, sources_box
from text2earth_qgis.gui.panels.start import StartField, has_bank

EARLIER = tr("As in the earlier run")
CONTINUED = tr("The earlier scene's")


class AdvancedPanel(ModelPanel):
    """The model's fields, and those of the picture's place."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._align: Optional[Align] = None
        self._joins: Optional[Joins] = None  # of the scene to continue, whose canvas is offered
        self.refusal = ""  # why the chosen layer cannot be aligned to, as a sentence
        self.canvas = narrow_combo()
        self.canvas.addItem(tr("This extent alone"), "extent")
        self.canvas.addItem(tr("The ground, without end"), "ground")
        self.canvas.setToolTip(
            tr(
                "This extent alone: fastest; the picture ends at its edge.\n"
                "The ground: later requests beside it, with the same settings and seed, join without a seam."
            )
        )
        self.price = QLabel()
        self.price.setWordWrap(True)
        self.price.hide()
        self.crs = QgsProjectionSelectionWidget()
        self.crs.setOptionVisible(QgsProjectionSelectionWidget.CrsOption.CrsNotSet, True)
        self.crs.setNotSetText(AUTOMATIC)
        self.crs.setToolTip(tr("Automatic: the project's if it is metric and true to scale there, else UTM."))
        self.crs.setMinimumWidth(60)
        self.crs.setCrs(QgsCoordinateReferenceSystem())
        self.align = raster_field(
            tr("No layer"),
            tr("Put the pixels exactly on those of this raster layer: its CRS, pixel size and origin."),
        )
        self.start = StartField()
        self.sources = sources_box()
        rows = (
            (tr("Begin with"), self.start),
            (tr("Canvas"), self.canvas),
            ("", self.price),
            (tr("CRS"), self.crs),
            (tr("Align to"), self.align),
        )
        for place, (title, widget) in enumerate(rows, 1):  # below the model
            self.form.insertRow(place, title, widget)
        self.form.addRow(self.sources)
        name_fields(self.form)
        self.start.changed.connect(self.changed)
        self.sources.toggled.connect(lambda _checked: self.changed.emit())
        self.grid_changed.connect(self._show_start)
        self.canvas.currentIndexChanged.connect(lambda _index: self.grid_changed.emit())
        self.crs.crsChanged.connect(lambda _crs: self.changed.emit())
        self.align.layerChanged.connect(self._follow_layer)

    def sizes(self) -> PixelSizes:
        """Return the pixel sizes that the chosen model makes."""
        return PixelSizes.of(self.card())

    def automatic_gsd(self) -> str:
        """Name the source of an automatic GSD."""
        if self.canvas.currentText() == CONTINUED:
            return tr("As the scene")
        return tr("As the layer") if self._align else AUTOMATIC

    def values(self) -> Json:
        """Return the members of ``GenerateInputs`` that these fields set."""
        crs, canvas = self.crs.crs(), self.canvas.currentData()
        continued = self.canvas.currentText() == CONTINUED
        return {
            **super().values(),
            **(self.start.values() if self._can_begin() else {}),
            "canvas": Box(**canvas) if isinstance(canvas, dict) else canvas,
            "joins": self._joins if continued else None,
            "crs": crs_text(crs) if crs.isValid() else None,
            "align": self._align,
        }

    def set_inputs(self, inputs: GenerateInputs) -> None:
        """Show the settings of an earlier run, those of the picture's place too."""
        self.set_values(inputs)
        self.start.set_values(inputs.start, inputs.start_strength)
        self._joins = inputs.joins
        self.canvas.removeItem(2)
        if inputs.joins is not None:
            canvas = inputs.canvas
            self.canvas.addItem(CONTINUED, canvas.to_json() if isinstance(canvas, Box) else canvas)
        self.canvas.setCurrentIndex(2 if inputs.joins else 1 if inputs.canvas == "ground" else 0)
        self.crs.setCrs(crs_of(inputs.crs) if inputs.crs else QgsCoordinateReferenceSystem())
        self._show_align(inputs.align)

    def memory(self) -> Json:
        """Return the settings to keep for the next session: those that do not depend on the project."""
        kept = {name: value for name, value in self.values().items() if name not in ("crs", "align", "joins")}
        start = "noise" if kept.get("start") == "samples" else kept.get("start")
        kept = {**kept, "start": start, "sources": self.sources.isChecked()}
        return {**kept, "canvas": kept["canvas"] if isinstance(kept["canvas"], str) else "extent"}

    def show_price(self, text: str) -> None:
        """Show a sentence on the cost of the canvases."""
        self.price.setText(words.unbroken(text))
        self.price.setVisible(bool(text))

    def _can_begin(self) -> bool:
        """Whether the model can begin with land by example: it is none itself, and there is such land."""
        chosen = self.model.currentData()
        named = [card for card in self._models if (card["id"] == chosen if chosen else card.get("default"))]
        return has_bank(self._models) and not any(map(by_example, named))

    def _show_start(self) -> None:
        for part in (self.start, self.form.labelForField(self.start)):
            part.setVisible(self._can_begin())

    def _show_align(self, align: Optional[Align]) -> None:
        """Show the grid of an earlier run, whose layer may be gone: an entry of its own stands for it."""
        self.align.blockSignals(True)
        self.align.setAdditionalItems([EARLIER] if align else [])
        self.align.setCurrentIndex(self.align.findText(EARLIER) if align else 0)
        self.align.blockSignals(False)
        self._align, self.refusal = align, ""
        self.grid_changed.emit()

    def _follow_layer(self, layer: Optional[QgsMapLayer]) -> None:
        if layer is None and self.align.currentText() == EARLIER:
            return
        self._align, self.refusal = None, ""
        if layer is not None:
            try:
                self._align = align_to(layer)
            except RasterRefused as error:
                self.refusal = str(error)
        self.grid_changed.emit()
