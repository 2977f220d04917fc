"""Pixel sizes side by side, each with the time that it takes: a row of buttons of which one is chosen."""

from __future__ import annotations

from typing import Optional, Sequence

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QWidget

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Plan
from text2earth_qgis.gui import words
from text2earth_qgis.gui.panels.plan import pixels
from text2earth_qgis.gui.planning.choices import Choice

NEAR = 0.005  # share by which a size may differ from one that is offered and still is it


class ChoiceRow(QWidget):
    """The buttons; hidden where there is nothing to choose. ``chosen`` carries ground metres per pixel."""

    chosen = pyqtSignal(float)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.buttons: list[QPushButton] = []
        self._sizes: list[float] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(4)
        self.setAccessibleName(tr("Pixel sizes and the time that they take"))
        self.hide()

    def offer(self, found: Sequence[Choice]) -> None:
        """Offer these sizes, coarsest first."""
        while len(self.buttons) < len(found):
            self.buttons.append(self._button(len(self.buttons)))
        self._sizes = [size for size, _ in found]
        for number, button in enumerate(self.buttons):
            button.setVisible(number < len(found))
        for button, (size, plan) in zip(self.buttons, found):
            metres = tr("{metres} m").format(metres=words.significant(size))
            button.setText(f"{metres}\n{time(plan)}")
            button.setAccessibleName(f"{metres}, {time(plan)}")
            button.setToolTip(f"{pixels(plan.width, plan.height, plan.ground)} · {time(plan)}")
        self.setEnabled(True)
        self.setVisible(len(found) > 1)

    def mark(self, size: Optional[float]) -> None:
        """Show which size is made."""
        for button, offered in zip(self.buttons, self._sizes):
            button.setChecked(size is not None and abs(offered - size) <= NEAR * size)

    def _button(self, number: int) -> QPushButton:
        button = QPushButton()
        button.setCheckable(True)
        button.setMinimumWidth(40)
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        button.clicked.connect(lambda _checked: self._choose(number))
        self._row.addWidget(button, 1)
        return button

    def _choose(self, number: int) -> None:
        self.mark(self._sizes[number])
        self.chosen.emit(self._sizes[number])


def time(plan: Plan) -> str:
    """Return how long a plan takes, or how much it is where no speed is known yet."""
    if plan.seconds is not None:
        return words.duration(plan.seconds)
    return tr("{number} Mpx").format(number=words.significant(plan.width * plan.height / 1e6, 2))
