"""The brush's button and its size. Shows and tells what is wanted; paints nothing itself."""

from __future__ import annotations

from typing import Optional

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Json
from text2earth_qgis.gui.canvas.brush import LIMITS, METRES, PIXELS, STEP
from text2earth_qgis.gui.icons import icon

USUAL = {PIXELS: 30.0, METRES: 50.0}
TIP = tr(
    "Paint the mask on the map: drag paints, with Shift it takes away.\n"
    "[ and ] or Ctrl and the wheel change the size, Ctrl+Z undoes, Esc leaves."
)


class BrushBar(QWidget):
    """A button to take the brush, and how wide it paints."""

    wanted = pyqtSignal(bool)
    sized = pyqtSignal(float, str)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._sizes = dict(USUAL)
        self.button = QToolButton()
        self.button.setIcon(icon("brush"))
        self.button.setText(tr("Brush"))
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setCheckable(True)
        self.button.setToolTip(TIP)
        self.button.clicked.connect(self.wanted)
        self.size = QgsDoubleSpinBox()
        self.size.setDecimals(1)
        self.size.setShowClearButton(False)
        self.size.setToolTip(tr("How wide the brush paints"))
        self.size.setAccessibleName(tr("Width of the brush"))
        self.size.setMinimumWidth(50)
        self.size.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.unit = QComboBox()
        self.unit.addItem("px", PIXELS)
        self.unit.addItem("m", METRES)
        self.unit.setAccessibleName(tr("Unit of the brush's width"))
        self.unit.setToolTip(tr("px: as wide on the screen at every scale. m: as wide on the ground."))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget, share in ((self.button, 0), (self.size, 1), (self.unit, 0)):
            layout.addWidget(widget, share)
        self._show_size()
        self.unit.currentIndexChanged.connect(lambda _index: self._turn())
        self.size.valueChanged.connect(lambda _value: self._take())

    def show_active(self, active: bool) -> None:
        """Show whether the brush is in hand."""
        self.button.setChecked(active)

    def show_size(self, size: float) -> None:
        """Show a size that was changed on the map."""
        self.size.setValue(size)

    def tell(self) -> None:
        """Emit the size as it is."""
        self.sized.emit(self.size.value(), self.unit.currentData())

    def memory(self) -> Json:
        """Return the settings to keep for the next session."""
        return {"brush": dict(self._sizes), "brush_unit": self.unit.currentData()}

    def recall(self, memory: Json) -> None:
        """Show the settings that ``memory`` returned."""
        self._sizes = {unit: float(memory.get("brush", {}).get(unit, USUAL[unit])) for unit in USUAL}
        self.unit.setCurrentIndex(max(0, self.unit.findData(memory.get("brush_unit"))))
        self._show_size()
        self.tell()

    def _show_size(self) -> None:
        unit = self.unit.currentData()
        self.size.blockSignals(True)
        self.size.setRange(*LIMITS[unit])
        self.size.setValue(self._sizes[unit])
        self.size.setSingleStep(max(1.0, self._sizes[unit] * (STEP - 1)))
        self.size.blockSignals(False)

    def _turn(self) -> None:
        self._show_size()
        self.tell()

    def _take(self) -> None:
        self._sizes[self.unit.currentData()] = self.size.value()
        self.tell()
