"""The map tool that draws an extent.

Drag draws a box, with its size beside the pointer; release hands it over; Esc or a right click leaves without
one. Gives the canvas back to the tool that was active before. Knows nothing of what the extent is for.
"""

from __future__ import annotations

from typing import Callable, Optional

from qgis.core import QgsGeometry, QgsRectangle, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsRubberBand
from qgis.PyQt.QtCore import QPoint, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent
from qgis.PyQt.QtWidgets import QLabel

from text2earth_qgis.core.language import tr
from text2earth_qgis.gui.canvas.map_tool import BorrowingTool

SMALLEST = 4  # screen pixels; anything less was a click
LABEL = "background: rgba(20, 24, 28, 210); color: white; padding: 3px 6px; border-radius: 3px;"
HINT = tr("Drag a box. Esc or right click leaves.")


class DrawExtent(BorrowingTool):
    """Draws one box in the CRS of the canvas."""

    drawn = pyqtSignal(QgsRectangle)

    def __init__(self, canvas: QgsMapCanvas, describe: Callable[[QgsRectangle], str]) -> None:
        """Draw on ``canvas``; ``describe`` puts the size of a box, in the CRS of the canvas, into words."""
        super().__init__(canvas)
        self._describe = describe
        self._start: Optional[QPoint] = None  # where the button was pressed
        self._marks: Optional[_Marks] = None  # while this tool has the canvas

    def activate(self) -> None:
        """Show how to draw (QgsMapTool)."""
        super().activate()
        self._marks = _Marks(self._canvas)
        self._marks.tell(HINT, self._canvas.mouseLastXY())

    def deactivate(self) -> None:
        """Remove what was shown (QgsMapTool; also called when another tool takes the canvas)."""
        self._start = None
        if self._marks is not None:
            self._marks.remove()
            self._marks = None
        super().deactivate()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Begin a box with the left button, leave with the right one."""
        if event.button() == Qt.MouseButton.RightButton:
            self.leave()
        elif event.button() == Qt.MouseButton.LeftButton:
            self._start = event.pixelPoint()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Let the box follow the pointer."""
        if self._marks is None:
            return
        if self._start is None:
            self._marks.tell(HINT, event.pixelPoint())
            return
        box = self._box(self._start, event.pixelPoint())
        self._marks.outline(box)
        self._marks.tell(self._describe(box), event.pixelPoint())

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Hand over the box, unless it was only a click."""
        if event.button() != Qt.MouseButton.LeftButton or self._start is None:
            return
        start, self._start = self._start, None
        moved = event.pixelPoint() - start
        if min(abs(moved.x()), abs(moved.y())) < SMALLEST:
            if self._marks is not None:
                self._marks.outline(QgsRectangle())
            return
        box = self._box(start, event.pixelPoint())
        self.leave()
        self.drawn.emit(box)

    def keyPressEvent(self, event: Optional[QKeyEvent]) -> None:
        """Leave on Esc."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            event.accept()
            self.leave()

    def _box(self, start: QPoint, corner: QPoint) -> QgsRectangle:
        box = QgsRectangle(self.toMapCoordinates(start), self.toMapCoordinates(corner))
        box.normalize()
        return box


class _Marks:
    """The outline of the box, and a label beside the pointer."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self._canvas = canvas
        self._band = QgsRubberBand(canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self._band.setStrokeColor(QColor(201, 138, 31))
        self._band.setFillColor(QColor(201, 138, 31, 40))
        self._band.setWidth(2)
        self._label = QLabel(canvas)
        self._label.setStyleSheet(LABEL)
        self._label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def outline(self, box: QgsRectangle) -> None:
        """Outline a box in the CRS of the canvas, none if it is empty."""
        self._band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        if not box.isEmpty():
            self._band.setToGeometry(QgsGeometry.fromRect(box), self._canvas.mapSettings().destinationCrs())

    def tell(self, text: str, pointer: QPoint) -> None:
        """Show ``text`` beside the pointer, inside the canvas."""
        self._label.setText(text)
        self._label.adjustSize()
        spot = pointer + QPoint(16, 16)
        room = self._canvas.viewport().rect()
        self._label.move(
            max(0, min(spot.x(), room.right() - self._label.width())),
            max(0, min(spot.y(), room.bottom() - self._label.height())),
        )
        self._label.show()

    def remove(self) -> None:
        """Take both off the canvas for good."""
        self._canvas.scene().removeItem(self._band)
        self._label.hide()
        self._label.deleteLater()
