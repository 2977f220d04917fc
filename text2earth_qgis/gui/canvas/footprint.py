"""Where the result will be, outlined on the canvas.

Shows one box in any CRS: what was asked for, then what the plan made of it. Knows neither.
"""

from __future__ import annotations

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsRectangle, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor

COLOUR = QColor(201, 138, 31)  # as the drawing tool
HALO = QColor(255, 255, 255, 150)  # keeps the line visible on dark imagery


class Footprint:
    """The outline; ``remove`` it before the canvas goes."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self._canvas = canvas
        self._band = QgsRubberBand(canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self._band.setStrokeColor(COLOUR)
        self._band.setSecondaryStrokeColor(HALO)
        self._band.setFillColor(QColor(0, 0, 0, 0))
        self._band.setWidth(2)

    def show(self, box: QgsRectangle, crs: QgsCoordinateReferenceSystem, certain: bool) -> None:
        """Outline ``box``: dashed while it is only asked for, solid when it is what the file will cover."""
        self._band.setLineStyle(Qt.PenStyle.SolidLine if certain else Qt.PenStyle.DashLine)
        self._band.setToGeometry(QgsGeometry.fromRect(box), crs)
        self._band.show()

    def geometry(self) -> QgsGeometry:
        """Return the outline, in the CRS of the canvas."""
        return self._band.asGeometry()

    def hide(self) -> None:
        """Outline nothing."""
        self._band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)

    def remove(self) -> None:
        """Take the outline off the canvas for good."""
        self._canvas.scene().removeItem(self._band)
