"""The outline of a raster on the map, and around it, tinted, the land that it is to be extended by.

Knows the raster's grid and the box of its pixels that is wanted; what for, it does not.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsCoordinateTransform, QgsCsException, QgsPointXY, QgsProject
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from text2earth_qgis.core.imagery import datasets
from text2earth_qgis.core.imagery.datasets import Grid
from text2earth_qgis.core.imagery.reach import sides_of
from text2earth_qgis.core.wire.schemas import Box

PARTS = 8  # of a side, which may bend
HANDLE = 9  # screen pixels
EDGE, TINT = QColor(201, 138, 31), QColor(201, 138, 31, 70)
OWN, HALO = QColor(61, 143, 214), QColor(255, 255, 255, 170)


class Outline(QgsMapCanvasItem):
    """Shows one raster and its new land; ``remove`` it before the canvas goes."""

    def __init__(self, canvas: QgsMapCanvas, project: QgsProject) -> None:
        super().__init__(canvas)
        self._canvas, self._project = canvas, project
        self.grid: Optional[Grid] = None
        self.box = Box(0, 0, 1, 1)  # of the pixels that the result has
        self.has_handles = False
        self.setZValue(45)
        self.hide()

    def show_box(self, grid: Grid, box: Box) -> None:
        """Outline a raster, and the box that it is to have."""
        self.grid, self.box = grid, datasets.union(grid.box, box)
        self.show()
        self.update()

    def show_handles(self, shown: bool) -> None:
        """Show or hide the handles to drag sides and corners by."""
        self.has_handles = shown
        self.update()

    def clear(self) -> None:
        """Outline nothing."""
        self.grid = None
        self.hide()

    def remove(self) -> None:
        """Take it off the canvas for good."""
        self._canvas.scene().removeItem(self)

    def on_canvas(self, points: list[tuple[float, float]]) -> list[QPointF]:
        """Return where places of the raster's CRS are on the canvas; none if one has no place on the map."""
        if self.grid is None:
            return []
        crs = self._canvas.mapSettings().destinationCrs()
        way = QgsCoordinateTransform(self.grid.crs, crs, self._project.transformContext())
        turn = self._canvas.getCoordinateTransform()
        try:
            there = [way.transform(QgsPointXY(*point)) for point in points]
        except QgsCsException:
            return []
        return [turn.transform(point).toQPointF() for point in there]

    def pixels_at(self, place: QgsPointXY) -> Optional[tuple[float, float]]:
        """Return column and row of a place on the map, None where the raster's CRS is not defined."""
        if self.grid is None:
            return None
        crs = self._canvas.mapSettings().destinationCrs()
        way = QgsCoordinateTransform(crs, self.grid.crs, self._project.transformContext())
        try:
            point = way.transform(place)
        except QgsCsException:
            return None
        col, row = self.grid.pixels([(point.x(), point.y())])[0]
        return float(col), float(row)

    def sides(self) -> dict[str, tuple[QPointF, QPointF]]:
        """Return the ends of each side of the box on the canvas, by the side's name."""
        if self.grid is None:
            return {}
        corners = self.on_canvas(self.grid.outline(self.box, 1))  # clockwise in pixels from the first
        return dict(zip(sides_of(self.grid), zip(corners, [*corners[1:], *corners[:1]])))

    def boundingRect(self) -> QRectF:
        """Return the whole viewport in item coordinates."""
        return self.mapRectFromScene(QRectF(self._canvas.viewport().rect()))

    def paint(self, painter: Optional[QPainter], *_: object) -> None:
        """Draw tint, outlines and handles."""
        if painter is None or self.grid is None:
            return
        own = self._polygon(self.grid.box)
        whole = self._polygon(self.box)
        if own.isEmpty() or whole.isEmpty():
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        new = QPainterPath()
        new.addPolygon(whole)
        new.addPolygon(own)
        painter.fillPath(new, TINT)  # what lies in both is left out
        for polygon, colour, style in (
            (own, OWN, Qt.PenStyle.DashLine),
            (whole, EDGE, Qt.PenStyle.SolidLine),
        ):
            if colour == EDGE and self.box == self.grid.box and not self.has_handles:
                continue
            painter.setPen(QPen(HALO, 4))
            painter.drawPolygon(polygon)
            painter.setPen(QPen(colour, 2, style))
            painter.drawPolygon(polygon)
        if self.has_handles:
            self._draw_handles(painter)

    def _draw_handles(self, painter: QPainter) -> None:
        painter.setPen(QPen(EDGE, 1.5))
        painter.setBrush(QColor("white"))
        for first, last in self.sides().values():
            for place in (first, (first + last) / 2):
                spot = self.mapFromScene(place)
                painter.drawRect(QRectF(spot.x() - HANDLE / 2, spot.y() - HANDLE / 2, HANDLE, HANDLE))

    def _polygon(self, box: Box) -> QPolygonF:
        """Return the outline of a box in item coordinates."""
        places = self.on_canvas(self.grid.outline(box, PARTS)) if self.grid is not None else []
        polygon = QPolygonF([self.mapFromScene(place) for place in places])
        if places:
            polygon.append(polygon[0])
        return polygon
