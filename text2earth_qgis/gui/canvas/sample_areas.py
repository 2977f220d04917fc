"""The areas that samples are of, on the map: each in the samples' own colour, with its number."""

from __future__ import annotations

from typing import Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
)
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QRectF, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

COLOUR, TINT, HALO = QColor(20, 150, 136), QColor(20, 150, 136, 60), QColor(255, 255, 255, 170)
Area = tuple[int, QgsGeometry, QgsCoordinateReferenceSystem]  # its number, polygons, their CRS


class SampleAreas(QgsMapCanvasItem):
    """Shows areas; ``remove`` it before the canvas goes."""

    def __init__(self, canvas: QgsMapCanvas, project: QgsProject) -> None:
        super().__init__(canvas)
        self._canvas, self._project = canvas, project
        self._areas: list[Area] = []
        self.setZValue(46)
        self.hide()

    def show_areas(self, areas: list[Area]) -> None:
        """Show these areas and no others."""
        self._areas = areas
        self.setVisible(bool(areas))
        self.update()

    def at(self, place: QgsPointXY) -> Optional[int]:
        """Return the number of the last area that a place of the map lies in."""
        point = QgsGeometry.fromPointXY(place)
        inside = (number for number, shape in reversed(self.on_map()) if shape.contains(point))
        return next(inside, None)

    def on_map(self) -> list[tuple[int, QgsGeometry]]:
        """Return the areas in the CRS of the canvas; one that has no place there is left out."""
        crs, found = self._canvas.mapSettings().destinationCrs(), []
        for number, shape, own in self._areas:
            placed = QgsGeometry(shape)
            way = QgsCoordinateTransform(own, crs, self._project.transformContext())
            try:
                placed = placed if way.isShortCircuited() else placed.densifyByCount(3)
                placed.transform(way)
            except QgsCsException:
                continue
            found.append((number, placed))
        return found

    def remove(self) -> None:
        """Take it off the canvas for good."""
        self._canvas.scene().removeItem(self)

    def boundingRect(self) -> QRectF:
        """Return the whole viewport in item coordinates."""
        return self.mapRectFromScene(QRectF(self._canvas.viewport().rect()))

    def paint(self, painter: Optional[QPainter], *_: object) -> None:
        """Draw the areas, with their numbers in their middle."""
        if painter is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        turn = self._canvas.getCoordinateTransform()
        for number, shape in self.on_map():
            path = QPainterPath()
            parts = shape.asMultiPolygon() if shape.isMultipart() else [shape.asPolygon()]
            for ring in (ring for polygon in parts for ring in polygon):
                places = [self.mapFromScene(turn.transform(point).toQPointF()) for point in ring]
                path.addPolygon(QPolygonF(places))
            painter.fillPath(path, TINT)
            for pen in (QPen(HALO, 4), QPen(COLOUR, 2, Qt.PenStyle.SolidLine)):
                painter.strokePath(path, pen)
            middle = path.boundingRect().center()
            mark = QRectF(middle.x() - 9, middle.y() - 9, 18, 18)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(COLOUR)
            painter.drawEllipse(mark)
            painter.setPen(QColor("white"))
            painter.drawText(mark, Qt.AlignmentFlag.AlignCenter, str(number))
