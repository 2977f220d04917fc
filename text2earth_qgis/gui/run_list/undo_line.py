"""The quiet line below the search that says what was removed, and takes it back."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.gui import words
from text2earth_qgis.gui.icons import icon


class UndoLine(QWidget):
    """``3 runs removed``, *Undo*, and a button that closes the line."""

    undone = pyqtSignal()
    closed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.label = QLabel()
        self.undo = QToolButton()
        self.undo.setText(tr("Undo"))
        self.undo.setToolTip(tr("Bring back what was removed, with files that went to the trash (Ctrl+Z)"))
        self.undo.clicked.connect(lambda _checked=False: self.undone.emit())
        self.away = QToolButton()
        self.away.setIcon(icon("close"))
        self.away.setToolTip(tr("Remove for good"))
        self.away.setAccessibleName(tr("Remove for good"))
        self.away.clicked.connect(lambda _checked=False: self.closed.emit())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.addWidget(self.label)
        layout.addWidget(self.undo)
        layout.addStretch(1)
        layout.addWidget(self.away)
        for button in (self.undo, self.away):
            button.setAutoRaise(True)
        self.hide()

    def offer(self, count: int) -> None:
        """Say how many runs were removed; none hides the line."""
        text = trn("{count} run removed.", "{count} runs removed.", count)
        self.label.setText(text.format(count=words.number(count)))
        self.setVisible(count > 0)
