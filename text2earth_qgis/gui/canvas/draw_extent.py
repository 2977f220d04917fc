"""The map tool that draws an extent.

Drag draws a box, with its size beside the pointer; release hands it over; Esc or a right click leaves without
one. Gives the canvas back to the tool that was active before. Knows nothing of what the extent is for.
"""

from __future__ import annotations

from typing import Callable, Optional

from qgis.core import QgsGeometry, QgsPointXY, QgsRectangle, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsRubberBand
from qgis.PyQt.QtCore import QPoint, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent

from text2earth_qgis.core.language import tr
from text2earth_qgis.gui.canvas.map_tool import BorrowingTool
from text2earth_qgis.gui.canvas.pointer_label import PointerLabel

SMALLEST = 4  # screen pixels; anything less was a click
COLOUR = QColor(201, 138, 31)
HINT = tr("Drag a box. Esc or right click leaves.")


class DrawExtent(BorrowingTool):
    """Draws one box in the CRS of the canvas."""

    drawn = pyqtSignal(QgsRectangle)
    clicked = pyqtSignal(QgsPointXY)  # where the mouse was not dragged, in the CRS of the canvas

    def __init__(
        self,
        canvas: QgsMapCanvas,
        describe: Callable[[QgsRectangle], str],
        colour: QColor = COLOUR,
        hint: str = HINT,
    ) -> None:
        """Draw on ``canvas``; ``describe`` puts the size of a box, in the CRS of the canvas, into words."""
        super().__init__(canvas)
        self._describe, self._colour, self._hint = describe, colour, hint
        self._start: Optional[QPoint] = None  # where the button was pressed
        self._marks: Optional[_Marks] = None  # while this tool has the canvas

    def activate(self) -> None:
        """Show how to draw (QgsMapTool)."""
        super().activate()
        self._marks = _Marks(self._canvas, self._colour)
        self._marks.tell(self._hint, self._canvas.mouseLastXY())

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
            self._marks.tell(self._hint, event.pixelPoint())
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
            self.clicked.emit(self.toMapCoordinates(start))
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

    def __init__(self, canvas: QgsMapCanvas, colour: QColor) -> None:
        self._canvas = canvas
        self._band = QgsRubberBand(canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self._band.setStrokeColor(colour)
        self._band.setFillColor(QColor(colour.red(), colour.green(), colour.blue(), 40))
        self._band.setWidth(2)
        self._label = PointerLabel(canvas)
        self.tell = self._label.tell

    def outline(self, box: QgsRectangle) -> None:
        """Outline a box in the CRS of the canvas, none if it is empty."""
        self._band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        if not box.isEmpty():
            self._band.setToGeometry(QgsGeometry.fromRect(box), self._canvas.mapSettings().destinationCrs())

    def remove(self) -> None:
        """Take both off the canvas for good."""
        self._canvas.scene().removeItem(self._band)
        self._label.remove()
