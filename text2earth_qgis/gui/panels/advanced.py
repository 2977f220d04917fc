"""The settings that most runs leave alone: model, canvas, CRS, sampler, steps, guidance.

Every one can be left to the model or the backend. Knows the models' descriptions that the backend sent and
nothing of what the settings cost: the price of the ``ground`` canvas is told from outside.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsCoordinateReferenceSystem, QgsMapLayer, QgsMapLayerProxyModel
from qgis.gui import QgsDoubleSpinBox, QgsMapLayerComboBox, QgsProjectionSelectionWidget, QgsSpinBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QLabel, QSizePolicy, QWidget

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.rasters import align_to, crs_text
from text2earth_qgis.core.schemas import Align, GenerateInputs, Json
from text2earth_qgis.gui.ground import crs_of

SAMPLERS = {"dpm++2m": "DPM++ 2M", "euler": "Euler"}
AUTOMATIC = "Automatic"
EARLIER = "As in the earlier run"


class AdvancedPanel(QWidget):
    """The fields, each with "automatic" as its first choice."""

    changed = pyqtSignal()
    grid_changed = pyqtSignal()  # model or layer: what bounds the GSD

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._models: list[Json] = []
        self._align: Optional[Align] = None
        self.refusal = ""  # why the chosen layer cannot be aligned to, as a sentence
        self.model = _combo()
        self.model.currentIndexChanged.connect(self._follow_model)
        self.canvas = _combo()
        self.canvas.addItem("This extent alone", "extent")
        self.canvas.addItem("The ground, without end", "ground")
        self.canvas.setToolTip(
            "This extent alone: fastest; the picture ends at its edge.\n"
            "The ground: later requests beside it, with the same settings and seed, join without a seam."
        )
        self.price = QLabel()
        self.price.setWordWrap(True)
        self.price.hide()
        self.crs = QgsProjectionSelectionWidget()
        self.crs.setOptionVisible(QgsProjectionSelectionWidget.CrsOption.CrsNotSet, True)
        self.crs.setNotSetText(AUTOMATIC)
        self.crs.setToolTip("Automatic: the project's if it is metric and true to scale there, else UTM.")
        self.crs.setMinimumWidth(60)
        self.crs.setCrs(QgsCoordinateReferenceSystem())
        self.align = QgsMapLayerComboBox()
        self.align.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.align.setAllowEmptyLayer(True, "No layer")
        self.align.setCurrentIndex(0)
        self.align.setMinimumContentsLength(6)
        self.align.setToolTip(
            "Put the pixels exactly on those of this raster layer: its CRS, pixel size and origin."
        )
        self.sampler = _combo()
        self.steps = QgsSpinBox()
        self.steps.setRange(0, 200)
        self.guidance = QgsDoubleSpinBox()
        self.guidance.setRange(0.9, 30.0)
        self.guidance.setDecimals(1)
        self.guidance.setSingleStep(0.5)
        self.guidance.setToolTip("How closely the picture follows the prompt.")
        for spin in (self.steps, self.guidance):
            spin.setSpecialValueText(AUTOMATIC)
            spin.setClearValue(spin.minimum(), AUTOMATIC)
            spin.setValue(spin.minimum())
            spin.setMinimumWidth(60)
        for field in (self.align, self.steps, self.guidance):
            field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._lay_out()
        self.set_models([])
        for combo in (self.canvas, self.sampler):
            combo.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.crs.crsChanged.connect(lambda _crs: self.changed.emit())
        self.align.layerChanged.connect(self._follow_layer)
        self.steps.valueChanged.connect(lambda _value: self.changed.emit())
        self.guidance.valueChanged.connect(lambda _value: self.changed.emit())

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for title, widget in (
            ("Model", self.model), ("Canvas", self.canvas), ("", self.price), ("CRS", self.crs),
            ("Align to", self.align), ("Sampler", self.sampler), ("Steps", self.steps),
            ("Guidance", self.guidance),
        ):  # fmt: skip
            form.addRow(title, widget)

    def set_models(self, models: list[Json]) -> None:
        """Offer the backend's models, as ``GET /models`` lists them; keep the choice if it is there."""
        chosen = self.model.currentData()
        self._models = models
        self.model.blockSignals(True)
        self.model.clear()
        default = next((card["title"] for card in models if card.get("default")), "")
        self.model.addItem(f"{AUTOMATIC} ({default})" if default else AUTOMATIC, None)
        for card in models:
            if card.get("installed"):
                self.model.addItem(card["title"], card["id"])
        self.model.setCurrentIndex(max(0, self.model.findData(chosen)))
        self.model.blockSignals(False)
        self._follow_model()

    def card(self) -> Json:
        """Return the description of the model that would run, {} as long as no backend has sent one."""
        chosen = self.model.currentData()
        wanted = (card for card in self._models if (card["id"] == chosen if chosen else card.get("default")))
        return next(wanted, {})

    def gsd_range(self) -> tuple[float, float]:
        """Return the finest and the coarsest ground metres per pixel of that model."""
        finest, coarsest = self.card().get("gsd") or (0.5, 200.0)
        return float(finest), float(coarsest)

    def levels(self) -> list[int]:
        """Return the levels that model was trained at, [] if it has none."""
        return list(self.card().get("levels") or [])

    def automatic_gsd(self) -> str:
        """Return what an automatic GSD comes to, in words."""
        return "As the layer" if self._align else AUTOMATIC

    def values(self) -> Json:
        """Return the members of ``GenerateInputs`` that these fields set."""
        crs = self.crs.crs()
        return {
            "model": self.model.currentData(),
            "canvas": self.canvas.currentData(),
            "crs": crs_text(crs) if crs.isValid() else None,
            "align": self._align,
            "sampler": self.sampler.currentData(),
            "steps": self.steps.value() or None,
            "guidance": self.guidance.value() if self.guidance.value() >= 1 else None,
        }

    def set_values(self, inputs: GenerateInputs) -> None:
        """Show the settings of an earlier run."""
        self.model.setCurrentIndex(max(0, self.model.findData(inputs.model)))
        self.canvas.setCurrentIndex(1 if inputs.canvas == "ground" else 0)
        self.crs.setCrs(crs_of(inputs.crs) if inputs.crs else QgsCoordinateReferenceSystem())
        self._show_align(inputs.align)
        self.sampler.setCurrentIndex(max(0, self.sampler.findData(inputs.sampler)))
        self.steps.setValue(inputs.steps or 0)
        self.guidance.setValue(inputs.guidance or self.guidance.minimum())

    def memory(self) -> Json:
        """Return what is worth remembering for the next session: what does not depend on the project."""
        return {name: value for name, value in self.values().items() if name not in ("crs", "align")}

    def show_price(self, text: str) -> None:
        """Say what the canvases cost."""
        self.price.setText(text)
        self.price.setVisible(bool(text))

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

    def _follow_model(self, *_index: object) -> None:
        card = self.card()
        self.model.setToolTip(self.model.currentText())
        sampler = self.sampler.currentData()
        self.sampler.blockSignals(True)
        self.sampler.clear()
        usual = SAMPLERS.get(card.get("sampler", ""))
        self.sampler.addItem(f"{AUTOMATIC} ({usual})" if usual else AUTOMATIC, None)
        for key, title in SAMPLERS.items():
            self.sampler.addItem(title, key)
        self.sampler.setCurrentIndex(max(0, self.sampler.findData(sampler)))
        self.sampler.blockSignals(False)
        guidance = card.get("guidance")
        self.guidance.setSpecialValueText(f"{AUTOMATIC} ({guidance:g})" if guidance else AUTOMATIC)
        self.grid_changed.emit()


def _combo() -> QComboBox:
    """Return a combo box that may be narrower than its longest entry."""
    combo = QComboBox()
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(6)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo
