"""How far a raster is extended on each side: four numbers, in pixels or in metres on the ground."""

from __future__ import annotations

from typing import Optional

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core.imagery.extension import FARTHEST
from text2earth_qgis.core.imagery.reach import Reach
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Json
from text2earth_qgis.gui.icons import icon

PIXELS, METRES = "px", "m"
PLACES = {"top": (0, 0), "bottom": (0, 2), "left": (1, 0), "right": (1, 2)}


class ReachField(QWidget):
    """The numbers, a button that takes the map tool, and one that takes all land away again."""

    changed = pyqtSignal(object)  # Reach, as the user typed it
    wanted = pyqtSignal(bool)  # the map tool
    cleared = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.value = Reach()
        self._metres = (1.0, 1.0)  # on the ground, of a column and of a row
        self.button = QToolButton()
        self.button.setIcon(icon("draw_extent"))
        self.button.setText(tr("Drag on the map"))
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setCheckable(True)
        self.button.setToolTip(
            tr(
                "Drag a side or a corner of the raster's outline outward, with Shift all sides alike, or "
                "draw a rectangle that overlaps it. Ctrl+Z takes the last change back, Esc leaves."
            )
        )
        self.button.clicked.connect(self.wanted)
        self.reset = QToolButton()
        self.reset.setText(tr("Reset"))
        self.reset.setToolTip(tr("Take all new land away again"))
        self.reset.clicked.connect(lambda _checked=False: self.cleared.emit())
        self.unit = QComboBox()
        self.unit.addItem(tr("px"), PIXELS)
        self.unit.addItem(tr("m"), METRES)
        self.unit.setAccessibleName(tr("Unit of the new land"))
        self.unit.setToolTip(tr("px: pixels of the raster. m: metres on the ground."))
        self.unit.currentIndexChanged.connect(lambda _index: self._show())
        titles = {"top": tr("Top"), "left": tr("Left"), "right": tr("Right"), "bottom": tr("Bottom")}
        self.spins = {side: _spin(side, title) for side, title in titles.items()}
        numbers = QGridLayout()
        numbers.setContentsMargins(0, 0, 0, 0)
        for side, (row, column) in PLACES.items():
            label = QLabel(titles[side])
            label.setBuddy(self.spins[side])
            numbers.addWidget(label, row, column)
            numbers.addWidget(self.spins[side], row, column + 1)
            self.spins[side].valueChanged.connect(lambda value, side=side: self._typed(side, value))
        numbers.setColumnStretch(1, 1)
        numbers.setColumnStretch(3, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.button, 1)
        buttons.addWidget(self.unit)
        buttons.addWidget(self.reset)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(buttons)
        layout.addLayout(numbers)
        self._show()

    def set_grid(self, metres: Optional[tuple[float, float]], typed: bool = True) -> None:
        """Work with pixels of so many ground metres, None: there is no raster; ``typed``: numbers may be."""
        self._metres = metres or (1.0, 1.0)
        self.button.setEnabled(metres is not None)
        self.unit.setEnabled(metres is not None)
        for spin in self.spins.values():
            spin.setEnabled(metres is not None and typed)
        self._show()

    def set_value(self, reach: Reach) -> None:
        """Show how far the raster reaches."""
        self.value = reach
        self._show()

    def show_active(self, active: bool) -> None:
        """Show whether the map tool is in hand."""
        self.button.setChecked(active)

    def memory(self) -> Json:
        """Return what to keep for the next session: the unit."""
        return {"reach_unit": self.unit.currentData()}

    def recall(self, memory: Json) -> None:
        """Show what ``memory`` returned."""
        self.unit.setCurrentIndex(max(0, self.unit.findData(memory.get("reach_unit"))))

    def _size(self, side: str) -> float:
        """Return what a pixel beyond a side is in the chosen unit."""
        if self.unit.currentData() == PIXELS:
            return 1.0
        return self._metres[0] if side in ("left", "right") else self._metres[1]

    def _typed(self, side: str, value: float) -> None:
        self.value = self.value.with_side(side, value / self._size(side))
        self.reset.setEnabled(self.value != Reach())
        self.changed.emit(self.value)

    def _show(self) -> None:
        whole = self.unit.currentData() == PIXELS
        for side, spin in self.spins.items():
            size = self._size(side)
            spin.blockSignals(True)
            spin.setDecimals(0 if whole else 2)
            spin.setSuffix(" px" if whole else " m")
            spin.setRange(0, FARTHEST * size)
            spin.setSingleStep(64 * size)
            spin.setValue(getattr(self.value, side) * size)
            spin.blockSignals(False)
        self.reset.setEnabled(self.value != Reach())


def _spin(side: str, title: str) -> QgsDoubleSpinBox:
    spin = QgsDoubleSpinBox()
    spin.setShowClearButton(False)
    spin.setMinimumWidth(50)
    spin.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    spin.setAccessibleName(tr("New land: {side}").format(side=title))
    spin.setObjectName(f"reach_{side}")
    return spin
