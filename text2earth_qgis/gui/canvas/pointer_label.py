"""A text beside the pointer while something is drawn on the map: how large it is, what to do next."""

from __future__ import annotations

from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtWidgets import QLabel

LOOK = "background: rgba(20, 24, 28, 210); color: white; padding: 3px 6px; border-radius: 3px;"


class PointerLabel:
    """The text; ``remove`` it when the drawing is over."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self._canvas = canvas
        self._label = QLabel(canvas)
        self._label.setStyleSheet(LOOK)
        self._label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def tell(self, text: str, pointer: QPoint) -> None:
        """Show ``text`` beside the pointer, inside the canvas; an empty one hides it."""
        self._label.setText(text)
        self._label.adjustSize()
        spot, room = pointer + QPoint(16, 16), self._canvas.viewport().rect()
        self._label.move(
            max(0, min(spot.x(), room.right() - self._label.width())),
            max(0, min(spot.y(), room.bottom() - self._label.height())),
        )
        self._label.setVisible(bool(text))

    def remove(self) -> None:
        """Take it off the canvas for good."""
        self._label.hide()
        self._label.deleteLater()
