"""The list of runs as a widget: its keys, its heights, and what it says while it is empty."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import QEvent, QRectF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent, QKeySequence, QPainter, QPalette, QResizeEvent, QTextOption
from qgis.PyQt.QtWidgets import QListView

from text2earth_qgis.core.language import tr

NONE = tr("No run has these words.")
EMPTY = tr("Your runs appear here. One that finishes while QGIS is closed can be fetched later.")


class RunsView(QListView):
    """The list; its lines are as high as their texts are at its width."""

    deleted = pyqtSignal()  # the key was pressed
    undone = pyqtSignal()  # the keys were pressed, and there is something to undo
    can_undo = False

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:
        """Ask for the heights at the new width."""
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()

    def event(self, event: Optional[QEvent]) -> bool:
        """Take Ctrl+Z before QGIS undoes something else."""
        asked = event is not None and event.type() == QEvent.Type.ShortcutOverride
        if asked and isinstance(event, QKeyEvent) and self._undoes(event):
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Tell of Delete and Ctrl+Z."""
        if event.matches(QKeySequence.StandardKey.Delete):
            self.deleted.emit()
        elif self._undoes(event):
            self.undone.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: object) -> None:
        """Say what an empty list is for."""
        super().paintEvent(event)
        model = self.model()
        if model.rowCount() == 0:
            painter = QPainter(self.viewport())
            colour = self.palette().color(QPalette.ColorRole.Text)
            colour.setAlphaF(0.6)
            painter.setPen(colour)
            option = QTextOption(Qt.AlignmentFlag.AlignHCenter)
            option.setWrapMode(QTextOption.WrapMode.WordWrap)
            room = QRectF(self.viewport().rect().adjusted(12, 12, -12, -12))
            painter.drawText(room, NONE if model.words else EMPTY, option)

    def _undoes(self, event: QKeyEvent) -> bool:
        return self.can_undo and event.matches(QKeySequence.StandardKey.Undo)
