"""Which model works, and how: model, sampler, steps, guidance.

Every one can be left to the backend. Knows the models' descriptions that the backend sent; the base of what
both forms fold away under "More settings".
"""

from __future__ import annotations

from typing import Optional, Union

from qgis.gui import QgsDoubleSpinBox, QgsSpinBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QFormLayout, QSizePolicy, QWidget

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import EditInputs, ExtendInputs, GenerateInputs, Json
from text2earth_qgis.gui.accessible import name_fields

SAMPLERS = {"dpm++2m": "DPM++ 2M", "euler": "Euler"}
AUTOMATIC = tr("Automatic")


NO_SOURCES = tr(
    "Only land by example has sources. Choose Automatic or land by example as the model, leave the prompt "
    "empty, or untick the raster of sources under More settings."
)


class ModelPanel(QWidget):
    """The fields, each with "automatic" as its first choice."""

    changed = pyqtSignal()
    grid_changed = pyqtSignal()  # model or layer: what bounds the GSD

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._models: list[Json] = []
        self._like = False  # samples are given, of which land by example is made
        self.model = narrow_combo()
        self.model.currentIndexChanged.connect(self._follow_model)
        self.sampler = narrow_combo()
        self.steps = QgsSpinBox()
        self.steps.setRange(0, 200)
        self.guidance = QgsDoubleSpinBox()
        self.guidance.setRange(0.9, 30.0)
        self.guidance.setDecimals(1)
        self.guidance.setSingleStep(0.5)
        self.guidance.setToolTip(tr("How closely the picture follows the prompt."))
        for spin in (self.steps, self.guidance):
            spin.setSpecialValueText(AUTOMATIC)
            spin.setClearValue(spin.minimum(), AUTOMATIC)
            spin.setValue(spin.minimum())
            spin.setMinimumWidth(60)
            spin.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            spin.valueChanged.connect(lambda _value: self.changed.emit())
        self.sampler.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.form = QFormLayout(self)
        self.form.setContentsMargins(0, 0, 0, 0)
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for title, widget in (
            (tr("Model"), self.model), (tr("Sampler"), self.sampler), (tr("Steps"), self.steps),
            (tr("Guidance"), self.guidance),
        ):  # fmt: skip
            self.form.addRow(title, widget)
        name_fields(self.form)
        self.set_models([])

    def able(self, card: Json) -> bool:
        """Whether a model can do what is asked for."""
        return True

    def set_models(self, models: list[Json]) -> None:
        """Offer the backend's models, as ``GET /models`` lists them; keep the choice if it is there."""
        chosen = self.model.currentData()
        self._models = [card for card in models if self.able(card)]
        self.model.blockSignals(True)
        self.model.clear()
        self.model.addItem(self._automatic(), None)
        for card in self._models:
            if card.get("installed"):
                self.model.addItem(card["title"], card["id"])
        self.model.setCurrentIndex(max(0, self.model.findData(chosen)))
        self.model.blockSignals(False)
        self._follow_model()

    def set_like(self, like: bool) -> None:
        """Say whether samples are given: where no model is chosen, land by example is then made."""
        if like != self._like:
            self._like = like
            self.model.setItemText(0, self._automatic())
            self._follow_model()

    def card(self) -> Json:
        """Return the description of the model that would run, {} as long as no backend has sent one."""
        chosen = self.model.currentData()
        if not chosen:
            return self._usual()
        return next((card for card in self._models if card["id"] == chosen), {})

    def values(self) -> Json:
        """Return the members of the inputs that these fields set."""
        if by_example(self.card()):
            return {"model": self.model.currentData(), "sampler": None, "steps": None, "guidance": None}
        return {
            "model": self.model.currentData(),
            "sampler": self.sampler.currentData(),
            "steps": self.steps.value() or None,
            "guidance": self.guidance.value() if self.guidance.value() >= 1 else None,
        }

    def set_values(self, inputs: Union[GenerateInputs, EditInputs, ExtendInputs]) -> None:
        """Show the settings of an earlier run."""
        self.model.setCurrentIndex(max(0, self.model.findData(inputs.model)))
        self.sampler.setCurrentIndex(max(0, self.sampler.findData(inputs.sampler)))
        self.steps.setValue(inputs.steps or 0)
        self.guidance.setValue(inputs.guidance or self.guidance.minimum())

    def memory(self) -> Json:
        """Return the settings to keep for the next session."""
        return self.values()

    def _automatic(self) -> str:
        usual = self._usual().get("title")
        return f"{AUTOMATIC} ({usual})" if usual else AUTOMATIC

    def _usual(self) -> Json:
        """Return the model that runs where none is chosen: of samples, the default, the first there is."""
        installed = [card for card in self._models if card.get("installed")]
        like = [card for card in installed if by_example(card)] if self._like else []
        usual = [card for card in self._models if card.get("default")]
        return next(iter([*like, *usual, *installed]), {})

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
        for field in (self.sampler, self.steps, self.guidance):  # land by example has none of these
            for widget in (field, self.form.labelForField(field)):
                widget.setVisible(not by_example(card))
        self.grid_changed.emit()


def by_example(card: Json) -> bool:
    """Say whether what a card describes arranges example images, and is no network."""
    return bool(card.get("pipeline") == "examples")


def sources_box() -> QCheckBox:
    """Return the choice of a raster of sources."""
    box = QCheckBox(tr("Also a raster of sources"))
    box.setToolTip(
        tr(
            "A second layer that says for every pixel which image it was copied from. Of land by example "
            "only."
        )
    )
    return box


def narrow_combo() -> QComboBox:
    """Return a combo box that may be narrower than its longest entry."""
    combo = QComboBox()
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(6)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo
