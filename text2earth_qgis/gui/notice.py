"""A message inside the dock: icon, wrapped sentences, buttons.

QgsMessageBar keeps its text on one line and cuts it in a narrow dock; this wraps. Knows no content.
"""

from __future__ import annotations

from typing import Callable, Optional

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QWidget

from text2earth_qgis.gui import words
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.whole import Whole

BUTTON = 18  # pixels that a button is wider than its text at least; styles want more than there may be


class Notice(Whole):
    """A frame that tells one thing and offers what can be done about it."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._said = ""
        self._icon = QLabel()
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)  # beside the icon
        self._text.setIndent(0)  # which some themes have, from above too
        self._text.setMinimumWidth(1)  # else one long word, such as a path, makes everything wider
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._buttons = QHBoxLayout()
        self._buttons.setContentsMargins(0, 2, 0, 0)
        self._buttons.addStretch(1)
        layout = QGridLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setColumnStretch(1, 1)
        layout.addWidget(self._icon, 0, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._text, 0, 1)
        layout.addLayout(self._buttons, 1, 0, 1, 2)
        self.hide()

    def text(self) -> str:
        """Return the text of the message."""
        return self._said

    def actions(self) -> dict[str, QPushButton]:
        """Return the buttons by their texts."""
        buttons = (self._buttons.itemAt(place).widget() for place in range(1, self._buttons.count()))
        return {button.text(): button for button in buttons}

    def tell(
        self, text: str, symbol: str = "info", actions: Optional[dict[str, Callable[[], None]]] = None
    ) -> None:
        """Show ``text`` with an icon and one button per action."""
        self._said = text
        self._text.setText(words.unbroken(text))
        size = self.fontMetrics().height() + 2
        self._icon.setPixmap(icon(symbol).pixmap(size, size))
        while self._buttons.count() > 1:
            old = self._buttons.takeAt(1).widget()
            old.hide()
            old.deleteLater()
        for label, action in (actions or {}).items():
            button = QPushButton(label)
            button.setMinimumWidth(button.fontMetrics().horizontalAdvance(label) + BUTTON)
            button.clicked.connect(lambda _checked=False, act=action: act())
            self._buttons.addWidget(button)
        self.show()
