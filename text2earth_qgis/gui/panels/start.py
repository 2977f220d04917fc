"""What a diffusion model begins with: noise, or land by example of the same prompt, painted over."""

from __future__ import annotations

from typing import Optional, Sequence

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Json
from text2earth_qgis.gui.panels.model import by_example, narrow_combo

STARTS = {
    "noise": tr("Noise"),
    "bank": tr("Land by example"),
    "samples": tr("Land like here"),
}
USUAL = 0.7  # of the noise over it


class StartField(QWidget):
    """The choice, and how much of the land is painted over."""

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.start = narrow_combo()
        for key, title in STARTS.items():
            self.start.addItem(title, key)
        self.start.setToolTip(
            tr(
                "Land by example of the same prompt says where lakes and villages lie; the model paints over "
                "it. Land like here is made of your samples."
            )
        )
        self.strength = QgsDoubleSpinBox()
        self.strength.setRange(0.05, 1.0)
        self.strength.setSingleStep(0.05)
        self.strength.setValue(USUAL)
        self.strength.setClearValue(USUAL)
        self.strength.setMinimumWidth(60)
        self.strength.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.strength.setAccessibleName(tr("Strength of the noise over it"))
        self.strength.setToolTip(tr("How much is painted over: near 0 little, 1 all but its tone."))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.start, 1)
        layout.addWidget(self.strength)
        self.setFocusProxy(self.start)
        self.start.currentIndexChanged.connect(lambda _index: self._follow())
        self.strength.valueChanged.connect(lambda _value: self.changed.emit())
        self._follow()

    def values(self) -> Json:
        """Return the members of ``GenerateInputs`` that these fields set."""
        return {"start": self.start.currentData(), "start_strength": round(self.strength.value(), 2)}

    def set_values(self, start: str, strength: float) -> None:
        """Show what an earlier run began with."""
        self.start.setCurrentIndex(max(0, self.start.findData(start)))
        self.strength.setValue(strength)

    def _follow(self) -> None:
        self.strength.setVisible(self.start.currentData() != "noise")
        self.changed.emit()


def has_bank(models: Sequence[Json]) -> bool:
    """Whether a backend has images to make land by example of."""
    return any(by_example(card) and card.get("installed") for card in models)
