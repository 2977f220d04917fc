"""The map tool that paints a mask: drag paints a stroke, with Shift it takes away.

[ and ] or Ctrl and the wheel change the size, Ctrl+Z takes the last stroke back, Esc or a right click leaves
and gives the canvas back to the tool before. Each stroke is handed over as one polygon in the CRS of the
canvas; what it is painted on is not known here.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsGeometry, QgsPointXY, QgsProject, QgsRectangle
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem, QgsMapMouseEvent
from qgis.PyQt.QtCore import QPointF, QRectF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent, QKeySequence, QPainter, QPainterPath, QPen, QWheelEvent

from text2earth_qgis.gui import ground
from text2earth_qgis.gui.canvas.map_tool import BorrowingTool

PIXELS, METRES = "px", "m"
LIMITS = {PIXELS: (2.0, 500.0), METRES: (0.1, 1_000_000.0)}
STEP = 1.25  # by which a key or a notch of the wheel changes the size
CORNERS = 12  # of a quarter of a circle
FINE = 1 / 16  # of the radius: how far a stroke may be from the pointer's path
PAINT, ERASE = QColor(201, 138, 31, 110), QColor(200, 60, 60, 110)
HALO = QColor(255, 255, 255, 170)


class Brush(BorrowingTool):
    """Paints strokes. ``size`` is the diameter, in screen pixels or in metres on the ground."""

    stroked = pyqtSignal(object, bool)  # QgsGeometry in the CRS of the canvas, whether it takes away
    resized = pyqtSignal(float)
    undone = pyqtSignal(bool)  # a stroke is to be taken back; True: to be made again
    left = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, project: QgsProject) -> None:
        super().__init__(canvas)
        self._project = project
        self.size, self.unit = 30.0, PIXELS
        self._item: Optional[_Trace] = None
        self._path: list[QgsPointXY] = []
        self._erase = False

    def set_size(self, size: float, unit: str) -> None:
        """Paint so wide from now on."""
        low, high = LIMITS[unit]
        self.size, self.unit = min(max(size, low), high), unit
        self._show()

    def radius(self) -> float:
        """Return half the size in map units of the canvas."""
        pixel = self._canvas.mapUnitsPerPixel()
        if self.unit == PIXELS:
            return self.size / 2 * pixel
        centre = self._canvas.center()
        near = QgsRectangle.fromCenterAndSize(centre, 100 * pixel, 100 * pixel)
        crs = self._canvas.mapSettings().destinationCrs()
        metres = ground.size(near, crs, self._project.transformContext())
        if metres is None or not min(metres) > 0:
            return self.size / 2  # a map without a place on Earth
        return self.size / 2 * 100 * pixel / (sum(metres) / 2)

    def activate(self) -> None:
        """Show the circle (QgsMapTool)."""
        super().activate()
        self._item = _Trace(self._canvas)
        self._canvas.extentsChanged.connect(self._show)

    def deactivate(self) -> None:
        """Remove what was shown, a stroke that is not finished too (QgsMapTool)."""
        self._path = []
        if self._item is not None:
            self._canvas.extentsChanged.disconnect(self._show)
            self._canvas.scene().removeItem(self._item)
            self._item = None
        super().deactivate()
        self.left.emit()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Begin a stroke with the left button, leave with the right one."""
        if event.button() == Qt.MouseButton.RightButton:
            self.leave()
        elif event.button() == Qt.MouseButton.LeftButton:
            self._erase = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._path = [self.toMapCoordinates(event.pixelPoint())]
            self._point(event)

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Let the stroke follow the pointer; steps too small to be seen are left out."""
        if self._path:
            here = self.toMapCoordinates(event.pixelPoint())
            if here.distance(self._path[-1]) >= max(self.radius() / 4, self._canvas.mapUnitsPerPixel()):
                self._path.append(here)
        else:
            self._erase = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self._point(event)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Hand over the stroke."""
        if event.button() != Qt.MouseButton.LeftButton or not self._path:
            return
        path = [*self._path, self.toMapCoordinates(event.pixelPoint())]
        self._path = []
        self._show()
        self.stroked.emit(stroke(path, self.radius()), self._erase)

    def wheelEvent(self, event: Optional[QWheelEvent]) -> None:
        """Change the size with Ctrl; without, the canvas zooms."""
        if event is None or not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().wheelEvent(event)
            return
        event.accept()
        if event.angleDelta().y():
            self._resize(STEP if event.angleDelta().y() > 0 else 1 / STEP)

    def keyPressEvent(self, event: Optional[QKeyEvent]) -> None:
        """Leave, change the size, or take strokes back."""
        if event is None:
            return
        undo, redo = QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo
        if event.key() == Qt.Key.Key_Escape:
            self.leave()
        elif event.key() == Qt.Key.Key_BracketRight:
            self._resize(STEP)
        elif event.key() == Qt.Key.Key_BracketLeft:
            self._resize(1 / STEP)
        elif event.matches(undo) or event.matches(redo):
            self.undone.emit(event.matches(redo))
        else:
            event.ignore()
            return
        event.accept()

    def _resize(self, factor: float) -> None:
        size = self.size * factor
        self.set_size(round(size) if self.unit == PIXELS and size > 8 else round(size, 1), self.unit)
        self.resized.emit(self.size)

    def _point(self, event: QgsMapMouseEvent) -> None:
        if self._item is not None:
            self._item.pointer = self.toMapCoordinates(event.pixelPoint())
        self._show()

    def _show(self) -> None:
        if self._item is not None:
            self._item.show_stroke(self._path, self.radius(), self._erase)


def stroke(path: list[QgsPointXY], radius: float) -> QgsGeometry:
    """Return the polygon that a round brush paints along a path, with no more corners than can be seen."""
    spread = max(path[0].distance(point) for point in path)
    if spread < radius * FINE:
        return QgsGeometry.fromPointXY(path[0]).buffer(radius, CORNERS)
    line = QgsGeometry.fromPolylineXY(path).simplify(radius * FINE)
    return line.buffer(radius, CORNERS).simplify(radius * FINE / 2)


class _Trace(QgsMapCanvasItem):
    """The circle at the pointer, and the stroke behind it."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.pointer: Optional[QgsPointXY] = None
        self._path: list[QgsPointXY] = []
        self._radius, self._erase = 0.0, False
        self.setZValue(60)

    def show_stroke(self, path: list[QgsPointXY], radius: float, erase: bool) -> None:
        """Paint along ``path``, in map coordinates; ``radius`` in map units."""
        self._path, self._radius, self._erase = path, radius, erase
        self.update()

    def boundingRect(self) -> QRectF:
        """Return the whole viewport in item coordinates, which QGIS turns with the map."""
        return self.mapRectFromScene(QRectF(self._canvas.viewport().rect()))

    def paint(self, painter: Optional[QPainter], *_: object) -> None:
        """Draw stroke and circle."""
        if painter is None or self.pointer is None:
            return
        radius = self._radius / self._canvas.mapUnitsPerPixel()
        colour = ERASE if self._erase else PAINT
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        if self._path:
            places = [self._place(point) for point in self._path]
            path = QPainterPath(places[0])
            for place in [*places[1:], self._place(self.pointer)]:
                path.lineTo(place)
            round_ = Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin
            painter.setPen(QPen(colour, 2 * radius, Qt.PenStyle.SolidLine, *round_))
            painter.drawPath(path)
        for ink, width in ((HALO, 3.0), (QColor(colour.red(), colour.green(), colour.blue()), 1.5)):
            painter.setPen(QPen(ink, width))
            painter.drawEllipse(self._place(self.pointer), radius, radius)

    def _place(self, point: QgsPointXY) -> QPointF:
        return self.mapFromScene(self.toCanvasCoordinates(point))
