"""A picture painted in its place on the map canvas while a job runs.

Holds an image, its corners and its CRS, and follows the canvas through pan, zoom, rotation and other CRSs.
Adds nothing to the project; knows nothing of jobs.
"""

from __future__ import annotations

from typing import Optional, Sequence

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QPointF, QRectF
from qgis.PyQt.QtGui import QImage, QPainter, QPen, QPolygonF, QTransform

Corners = Sequence[tuple[float, float]]

CELLS = 8  # along each side; every cell is drawn by one projective transform


class PreviewItem(QgsMapCanvasItem):
    """The preview of one job on a canvas; remove it with ``remove()``."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._image = QImage()
        self._ends: Corners = ()
        self._crs = QgsCoordinateReferenceSystem()
        self._grid: list[list[QPointF]] = []
        self.setZValue(50)

    def show_image(self, image: QImage, corners: Corners, crs: QgsCoordinateReferenceSystem) -> None:
        """Paint ``image`` between four ``corners`` in ``crs``, from its top left clockwise."""
        self._image, self._ends, self._crs = image, corners, crs
        self.updatePosition()

    def outline(self) -> QPolygonF:
        """Return the edge of the picture in canvas pixels."""
        if not self._grid:
            return QPolygonF()
        edge = self._grid[0] + [row[-1] for row in self._grid] + self._grid[-1][::-1]
        return QPolygonF(edge + [row[0] for row in self._grid[::-1]])

    def remove(self) -> None:
        """Take the item off its canvas; the object is not used again."""
        scene = self.scene()
        if scene is not None:
            scene.removeItem(self)
            self._canvas.update()

    def updatePosition(self) -> None:
        """Find the canvas pixels of the grid's corners."""
        self._grid = self._corners() or []
        points = [point for row in self._grid for point in row]
        if points:
            box = QPolygonF(points).boundingRect().adjusted(-2, -2, 2, 2)
            top_left = self.toMapCoordinates(box.topLeft().toPoint())
            bottom_right = self.toMapCoordinates(box.bottomRight().toPoint())
            self.setRect(QgsRectangle(top_left, bottom_right))
        self.update()

    def _corners(self) -> Optional[list[list[QPointF]]]:
        if self._image.isNull() or not self._ends:
            return None
        settings = self._canvas.mapSettings()
        to_canvas = QgsCoordinateTransform(
            self._crs, settings.destinationCrs(), QgsProject.instance().transformContext()
        )
        to_pixel = settings.mapToPixel()
        (x, y), (right_x, right_y), _, (below_x, below_y) = self._ends
        shares = [number / CELLS for number in range(CELLS + 1)]
        rows = [
            [
                (x + u * (right_x - x) + v * (below_x - x), y + u * (right_y - y) + v * (below_y - y))
                for u in shares
            ]
            for v in shares
        ]
        try:
            return [
                [QPointF(to_pixel.transform(to_canvas.transform(QgsPointXY(*at))).toQPointF()) for at in row]
                for row in rows
            ]
        except QgsCsException:  # the place cannot be shown in the canvas CRS
            return None

    def boundingRect(self) -> QRectF:
        """Return the whole viewport in item coordinates: corners outside ``rect`` must be painted too."""
        return QRectF(self._canvas.viewport().rect()).translated(-self.pos())

    def paint(self, painter: Optional[QPainter], *_: object) -> None:
        """Draw the cells and a thin frame around them."""
        if painter is None or not self._grid:
            return
        base = QTransform.fromTranslate(-self.pos().x(), -self.pos().y()) * painter.transform()
        width, height = self._image.width() / CELLS, self._image.height() / CELLS
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        for j in range(CELLS):
            for i in range(CELLS):
                source = QRectF(i * width, j * height, width, height)
                corners = [
                    self._grid[j][i], self._grid[j][i + 1], self._grid[j + 1][i + 1], self._grid[j + 1][i],
                ]  # fmt: skip
                cell = QTransform()
                if QTransform.quadToQuad(QPolygonF(_corners_of(source)), QPolygonF(corners), cell):
                    painter.setTransform(cell * base)
                    painter.drawImage(source, self._image, source)
        painter.setTransform(base)
        painter.setPen(QPen(self._canvas.palette().highlight().color(), 1.5))
        painter.drawPolyline(self.outline())


def _corners_of(box: QRectF) -> list[QPointF]:
    return [box.topLeft(), box.topRight(), box.bottomRight(), box.bottomLeft()]
