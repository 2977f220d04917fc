"""The base of the plugin's map tools: takes the canvas, and gives it back to the tool before."""

from __future__ import annotations

from typing import Optional

from qgis.gui import QgsMapCanvas, QgsMapTool
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt


class BorrowingTool(QgsMapTool):
    """A map tool that the user picks up for one thing and leaves again."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._before: Optional[QgsMapTool] = None
        self.setCursor(Qt.CursorShape.CrossCursor)

    def begin(self) -> None:
        """Take the canvas, remembering whose it was."""
        if self._canvas.mapTool() is not self:
            self._before = self._canvas.mapTool()
        self._canvas.setMapTool(self)
        self._canvas.setFocus()

    def leave(self) -> None:
        """Give the canvas back."""
        if self._canvas.mapTool() is not self:
            return
        if self._before is not None and not sip.isdeleted(self._before):
            self._canvas.setMapTool(self._before)
        else:
            self._canvas.unsetMapTool(self)
