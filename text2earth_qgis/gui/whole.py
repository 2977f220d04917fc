"""Widgets of wrapped texts that are never lower than their texts need.

A layout asks such texts for a width and squeezes their height. Knows no text.
"""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import QEvent, pyqtSignal
from qgis.PyQt.QtWidgets import QFrame


class Whole(QFrame):
    """A frame as high as what is in it needs at its width. ``resized`` tells that it needs another height."""

    resized = pyqtSignal()

    def event(self, event: Optional[QEvent]) -> bool:
        """Follow the width, and the texts."""
        done = bool(super().event(event))
        if event is not None and event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            self._fit()
        elif event is not None and event.type() == QEvent.Type.Hide:
            self.resized.emit()
        return done

    def _fit(self) -> None:
        height = max(0, self.layout().totalHeightForWidth(self.width()))
        if height != self.minimumHeight():
            self.setMinimumHeight(height)
            self.resized.emit()
