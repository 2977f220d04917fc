"""What an edit will cover, tinted on the map.

Drawn in a worker for the part of the map that is seen, and again when that or the mask changes.
"""

from __future__ import annotations

from typing import Callable, Optional

from qgis.core import QgsProject, QgsRectangle
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QObject, QRectF
from qgis.PyQt.QtGui import QImage, QPainter, QPolygonF, QTransform

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.tasks import BackgroundTask
from text2earth_qgis.core.timers import single_shot
from text2earth_qgis.gui import ground
from text2earth_qgis.gui.canvas.edit_picture import EditArea, View, render

PAUSE_MS = 120  # that changes are gathered for


class MaskPreview(QObject):
    """The tint; ``show`` it, ``hide`` it, ``close`` it before the canvas goes."""

    def __init__(
        self,
        canvas: QgsMapCanvas,
        project: QgsProject,
        area_of: Callable[[], Optional[EditArea]],
        parent: Optional[QObject] = None,
    ) -> None:
        """Show the area that ``area_of`` returns whenever it is to be drawn; None shows nothing."""
        super().__init__(parent)
        self._canvas, self._project = canvas, project
        self._item = _Tint(canvas)
        self._area_of, self._shown = area_of, False
        self._work: Optional[BackgroundTask] = None
        self._stale = False
        self._pause = single_shot(self, self._draw, PAUSE_MS)
        canvas.extentsChanged.connect(self._later)
        canvas.destinationCrsChanged.connect(self._forget)

    def show(self) -> None:
        """Show the area as it is a moment from now."""
        self._shown = True
        self._later()

    def hide(self) -> None:
        """Show nothing."""
        self._shown = False
        self._forget()

    def picture(self) -> QImage:
        """Return the picture on the map, a null image if there is none."""
        return self._item.image

    def box(self) -> QgsRectangle:
        """Return where it is shown, in the CRS of the canvas."""
        return self._item.extent

    def close(self) -> None:
        """Leave the canvas for good."""
        self.hide()
        self._canvas.extentsChanged.disconnect(self._later)
        self._canvas.destinationCrsChanged.disconnect(self._forget)
        self._canvas.scene().removeItem(self._item)

    def _forget(self) -> None:
        self._pause.stop()
        if self._work is not None:
            self._work.drop()
            self._work = None
        self._item.show_image(QImage(), QgsRectangle())
        self._later()

    def _later(self) -> None:
        if self._shown and not self._pause.isActive():
            self._pause.start()

    def _draw(self) -> None:
        """Draw in a worker; one at a time, and once more if there was a change meanwhile."""
        if self._work is not None:
            self._stale = True
            return
        area, view = self._area_of(), self._view()
        if area is None or view is None:
            self._item.show_image(QImage(), QgsRectangle())
            return
        self._stale = False
        self._work = BackgroundTask(
            tr("showing a mask"), lambda listener: render(area, view, listener.stop), self._drawn, True
        )
        self._work.start()

    def _drawn(self, made: Optional[tuple[QImage, QgsRectangle]], _error: Optional[PluginError]) -> None:
        self._work = None
        self._item.show_image(*(made or (QImage(), QgsRectangle())))  # why it fails, the form says
        if self._stale:
            self._later()

    def _view(self) -> Optional[View]:
        settings = self._canvas.mapSettings()
        extent, pixel = settings.visibleExtent(), settings.mapUnitsPerPixel()
        crs, context = settings.destinationCrs(), self._project.transformContext()
        near = QgsRectangle.fromCenterAndSize(extent.center(), 100 * pixel, 100 * pixel)
        metres = ground.size(near, crs, context)
        if extent.isEmpty() or metres is None or not min(metres) > 0:
            return None
        return View(extent, pixel, (metres[1] / 100, metres[0] / 100), crs, context)


class _Tint(QgsMapCanvasItem):
    """An image over a box of the map, through pan, zoom and rotation."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.image, self.extent = QImage(), QgsRectangle()
        self.setZValue(40)

    def show_image(self, image: QImage, extent: QgsRectangle) -> None:
        """Paint ``image`` over ``extent``, which is given in the CRS of the canvas."""
        self.image, self.extent = image, extent
        self.update()

    def boundingRect(self) -> QRectF:
        """Return the whole viewport in item coordinates, which QGIS turns with the map."""
        return self.mapRectFromScene(QRectF(self._canvas.viewport().rect()))

    def paint(self, painter: Optional[QPainter], *_: object) -> None:
        """Draw the image."""
        if painter is None or self.image.isNull():
            return
        box, turn = self.extent, self._canvas.getCoordinateTransform()
        corners = (
            (box.xMinimum(), box.yMaximum()), (box.xMaximum(), box.yMaximum()),
            (box.xMaximum(), box.yMinimum()), (box.xMinimum(), box.yMinimum()),
        )  # fmt: skip
        there = QPolygonF([self.mapFromScene(turn.transform(x, y).toQPointF()) for x, y in corners])
        whole = QRectF(self.image.rect())
        here = QPolygonF([whole.topLeft(), whole.topRight(), whole.bottomRight(), whole.bottomLeft()])
        way = QTransform()
        if QTransform.quadToQuad(here, there, way):
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
            painter.setTransform(way, True)
            painter.drawImage(0, 0, self.image)
