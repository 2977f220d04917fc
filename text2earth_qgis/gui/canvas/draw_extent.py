"""The map tool that draws an extent.

Drag draws a box, with its size beside the pointer; release hands it over; Esc or a right click leaves without
one. Gives the canvas back to the tool that was active before. Knows nothing of what the extent is for.
"""

from __future__ import annotations

from typing import Callable, Optional

from qgis.core import QgsGeometry, QgsRectangle, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapTool, QgsRubberBand
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QPoint, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent
from qgis.PyQt.QtWidgets import QLabel

SMALLEST = 4  # screen pixels; anything less was a click
LABEL = "background: rgba(20, 24, 28, 210); color: white; padding: 3px 6px; border-radius: 3px;"
HINT = "Drag a box. Esc or right click leaves."


class DrawExtent(QgsMapTool):
    """Draws one box in the CRS of the canvas."""

    drawn = pyqtSignal(QgsRectangle)

    def __init__(self, canvas: QgsMapCanvas, describe: Callable[[QgsRectangle], str]) -> None:
        """Draw on ``canvas``; ``describe`` puts the size of a box, in the CRS of the canvas, into words."""
        super().__init__(canvas)
        self._canvas = canvas
        self._describe = describe
        self._start: Optional[QPoint] = None
        self._before: Optional[QgsMapTool] = None
        self._band: Optional[QgsRubberBand] = None
        self._label: Optional[QLabel] = None
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

    def activate(self) -> None:
        """Show the band and the label (QgsMapTool)."""
        super().activate()
        self._band = QgsRubberBand(self._canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self._band.setStrokeColor(QColor(201, 138, 31))
        self._band.setFillColor(QColor(201, 138, 31, 40))
        self._band.setWidth(2)
        self._label = QLabel(self._canvas)
        self._label.setStyleSheet(LABEL)
        self._label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._tell(HINT, self._canvas.mouseLastXY())

    def deactivate(self) -> None:
        """Remove what was shown (QgsMapTool; also called when another tool takes the canvas)."""
        self._start = None
        if self._band is not None:
            self._canvas.scene().removeItem(self._band)
            self._band = None
        if self._label is not None:
            self._label.hide()
            self._label.deleteLater()
            self._label = None
        super().deactivate()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Begin a box with the left button, leave with the right one."""
        if event.button() == Qt.MouseButton.RightButton:
            self.leave()
        elif event.button() == Qt.MouseButton.LeftButton:
            self._start = event.pixelPoint()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Let the box follow the pointer."""
        if self._start is None or self._band is None:
            self._tell(HINT, event.pixelPoint())
            return
        box = self._box(event.pixelPoint())
        self._band.setToGeometry(QgsGeometry.fromRect(box), self._canvas.mapSettings().destinationCrs())
        self._tell(self._describe(box), event.pixelPoint())

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Hand over the box, unless it was only a click."""
        if event.button() != Qt.MouseButton.LeftButton or self._start is None:
            return
        moved = event.pixelPoint() - self._start
        if min(abs(moved.x()), abs(moved.y())) < SMALLEST:
            self._start = None
            if self._band is not None:
                self._band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
            return
        box = self._box(event.pixelPoint())
        self.leave()
        self.drawn.emit(box)

    def keyPressEvent(self, event: Optional[QKeyEvent]) -> None:
        """Leave on Esc."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            event.accept()
            self.leave()

    def _box(self, corner: QPoint) -> QgsRectangle:
        start = self._start or corner
        box = QgsRectangle(self.toMapCoordinates(start), self.toMapCoordinates(corner))
        box.normalize()
        return box

    def _tell(self, text: str, pointer: QPoint) -> None:
        """Show ``text`` beside the pointer, inside the canvas."""
        if self._label is None:
            return
        self._label.setText(text)
        self._label.adjustSize()
        spot = pointer + QPoint(16, 16)
        room = self._canvas.viewport().rect()
        self._label.move(
            max(0, min(spot.x(), room.right() - self._label.width())),
            max(0, min(spot.y(), room.bottom() - self._label.height())),
        )
        self._label.show()
