"""The map tool that extends a raster: drags a side or a corner of its outline outward, or draws a rectangle.

With Shift all sides go alike. Ctrl+Z takes the last change back, Esc or a right click leaves a drag or the
tool, which gives the canvas back to the tool before. What becomes of the land is not known here.
"""

from __future__ import annotations

from math import hypot
from typing import Callable, Optional

from qgis.core import QgsPointXY, QgsProject, QgsRectangle
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent
from qgis.PyQt.QtCore import QPoint, QPointF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent, QKeySequence

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery import datasets
from text2earth_qgis.core.imagery.extension import Extension, pixels_of
from text2earth_qgis.core.imagery.reach import Reach, beyond, is_turned, reach_of
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Box
from text2earth_qgis.gui.canvas.map_tool import BorrowingTool
from text2earth_qgis.gui.canvas.outline import Outline
from text2earth_qgis.gui.canvas.pointer_label import PointerLabel

NEAR = 12  # screen pixels from a side that still mean it
SMALLEST = 4  # screen pixels; anything less was a click
ACROSS = {
    frozenset(("top",)): Qt.CursorShape.SizeVerCursor,
    frozenset(("bottom",)): Qt.CursorShape.SizeVerCursor,
    frozenset(("left",)): Qt.CursorShape.SizeHorCursor,
    frozenset(("right",)): Qt.CursorShape.SizeHorCursor,
    frozenset(("top", "left")): Qt.CursorShape.SizeFDiagCursor,
    frozenset(("bottom", "right")): Qt.CursorShape.SizeFDiagCursor,
    frozenset(("top", "right")): Qt.CursorShape.SizeBDiagCursor,
    frozenset(("bottom", "left")): Qt.CursorShape.SizeBDiagCursor,
}


class OutlineTool(BorrowingTool):
    """Changes how far a raster is to reach."""

    dragged = pyqtSignal(object)  # Reach
    drawn = pyqtSignal(QgsRectangle)  # in the CRS of the canvas
    undone = pyqtSignal(bool)  # the last change is to be taken back; True: to be made again
    left = pyqtSignal()

    def __init__(
        self, canvas: QgsMapCanvas, project: QgsProject, outline: Outline, describe: Callable[[Box], str]
    ) -> None:
        """Work on an ``outline`` on the canvas; ``describe`` puts a box of its pixels into words."""
        super().__init__(canvas)
        self._project, self._outline, self._describe = project, outline, describe
        self._label: Optional[PointerLabel] = None  # while this tool has the canvas
        self._sides: frozenset[str] = frozenset()  # that are dragged
        self._start: Optional[QPoint] = None  # where a rectangle was begun
        self._began = Box(0, 0, 1, 1)  # the box when a drag began

    def activate(self) -> None:
        """Show handles and what to do (QgsMapTool)."""
        super().activate()
        self._label = PointerLabel(self._canvas)
        self.show_handles()
        self._label.tell(self._hint, self._canvas.mouseLastXY())

    def deactivate(self) -> None:
        """Remove what was shown (QgsMapTool; also called when another tool takes the canvas)."""
        self._stop()
        if self._label is not None:
            self._label.remove()
            self._label = None
        self.show_handles()
        super().deactivate()
        self.left.emit()

    def show_handles(self) -> None:
        """Show handles on the raster that is outlined, where that can be dragged and this tool is in hand."""
        self._outline.show_handles(self._label is not None and not self._is_turned)

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Begin with the left button; with the right one leave the drag, else the tool."""
        if event.button() == Qt.MouseButton.RightButton:
            self._step_back()
        elif event.button() == Qt.MouseButton.LeftButton and self._outline.grid is not None:
            self._began = self._outline.box
            self._sides = self._sides_at(event.pixelPoint())
            self._start = None if self._sides else event.pixelPoint()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Let what is dragged follow the pointer; elsewhere say what a drag would do."""
        spot = event.pixelPoint()
        if self._sides:
            self._tell(self._describe(self._drag(event)), spot)
        elif self._start is not None:
            self._tell(self._draw(self._rectangle(self._start, spot)), spot)
        else:
            sides = self._sides_at(spot)
            self.setCursor(ACROSS.get(sides, Qt.CursorShape.CrossCursor))
            self._tell("" if sides else self._hint, spot)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Hand over what was dragged or drawn."""
        if event.button() != Qt.MouseButton.LeftButton or self._outline.grid is None:
            return
        start, sides, self._start = self._start, self._sides, None
        if sides:
            box, self._sides = self._drag(event), frozenset()
            self.dragged.emit(reach_of(box, self._outline.grid))
        elif start is not None:
            moved = event.pixelPoint() - start
            if min(abs(moved.x()), abs(moved.y())) < SMALLEST:
                self._show(self._began)
            else:
                self.drawn.emit(self._rectangle(start, event.pixelPoint()))

    def keyPressEvent(self, event: Optional[QKeyEvent]) -> None:
        """Leave on Esc, take changes back on Ctrl+Z."""
        if event is None:
            return
        undo, redo = QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo
        if event.key() == Qt.Key.Key_Escape:
            self._step_back()
        elif event.matches(undo) or event.matches(redo):
            self.undone.emit(event.matches(redo))
        else:
            event.ignore()
            return
        event.accept()

    @property
    def _is_turned(self) -> bool:
        return self._outline.grid is not None and is_turned(self._outline.grid)

    @property
    def _hint(self) -> str:
        if self._is_turned:
            return tr("Draw a rectangle that overlaps the raster. Esc or right click leaves.")
        return tr("Drag a side or a corner outward, with Shift all sides, or draw a rectangle. Esc leaves.")

    def _step_back(self) -> None:
        """Leave a drag; where there is none, the tool."""
        if self._sides or self._start is not None:
            self._stop()
        else:
            self.leave()

    def _stop(self) -> None:
        if self._sides or self._start is not None:
            self._show(self._began)
        self._sides, self._start = frozenset(), None

    def _show(self, box: Box) -> None:
        if self._outline.grid is not None:
            self._outline.show_box(self._outline.grid, box)

    def _tell(self, text: str, spot: QPoint) -> None:
        if self._label is not None:
            self._label.tell(text, spot)

    def _sides_at(self, spot: QPoint) -> frozenset[str]:
        """Return the side, or the two of a corner, that the pointer means; none far from all."""
        if self._is_turned:
            return frozenset()
        found = {side: _distance(QPointF(spot), *ends) for side, ends in self._outline.sides().items()}
        return frozenset(side for side, away in found.items() if away <= NEAR)

    def _drag(self, event: QgsMapMouseEvent) -> Box:
        """Show and return the box with the dragged sides where the pointer is."""
        grid, place = self._outline.grid, self._outline.pixels_at(event.mapPoint())
        if grid is None or place is None:
            return self._outline.box
        reach, far = reach_of(self._began, grid), beyond(*place, grid)
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            reach = Reach().with_side("top", max(far[side] for side in self._sides), alike=True)
        else:
            for side in self._sides:
                reach = reach.with_side(side, far[side])
        self._show(reach.box(grid))
        return self._outline.box

    def _draw(self, rectangle: QgsRectangle) -> str:
        """Show the box that a rectangle comes to; return what to say of it."""
        grid = self._outline.grid
        if grid is None or rectangle.isEmpty():
            return ""
        crs = self._canvas.mapSettings().destinationCrs()
        try:
            box = pixels_of(Extension(rectangle, crs, False), grid, self._project.transformContext())
        except RasterRefused as error:
            return str(error)
        self._show(datasets.union(grid.box, box))
        return self._describe(self._outline.box)

    def _rectangle(self, start: QPoint, corner: QPoint) -> QgsRectangle:
        box = QgsRectangle(
            QgsPointXY(self.toMapCoordinates(start)), QgsPointXY(self.toMapCoordinates(corner))
        )
        box.normalize()
        return box


def _distance(spot: QPointF, first: QPointF, last: QPointF) -> float:
    """Return how far a place is from a line between two others, in screen pixels."""
    along = last - first
    length = along.x() ** 2 + along.y() ** 2
    way = spot - first
    share = (way.x() * along.x() + way.y() * along.y()) / length if length else 0.0
    share = min(max(share, 0.0), 1.0)
    off = way - along * share
    return hypot(off.x(), off.y())
