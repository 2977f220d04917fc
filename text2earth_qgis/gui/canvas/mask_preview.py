"""What an edit will cover, tinted on the map: the mask as it grows and fades in, at the screen's resolution.

Drawn in a worker from a snapshot of the mask, for the part of the map that is seen, and again when that or
the mask changes. For display only: what is painted, the backend works out on the raster's own pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Callable, Optional

import numpy as np
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QObject, QRectF, Qt, QTimer
from qgis.PyQt.QtGui import QImage, QPainter, QPolygonF, QTransform

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery.datasets import Stop
from text2earth_qgis.core.imagery.masks import MaskPolygons
from text2earth_qgis.core.tasks import BackgroundTask
from text2earth_qgis.gui import ground

PAUSE_MS = 120  # that changes are gathered for
REACH = 48  # pixels that a grow or a feather may have: with more, the picture is made coarser
TINT, STRONGEST = (201, 138, 31), 130  # colour, and alpha where the edit is whole


@dataclass(frozen=True)
class Wish:
    """What is to be shown: a mask that grows and fades in by metres, within a box of the raster's CRS."""

    shapes: MaskPolygons
    grow: float
    feather: float
    box: QgsRectangle
    crs: QgsCoordinateReferenceSystem


@dataclass(frozen=True)
class View:
    """A part of the map, in its CRS: pixels of ``pixel`` map units, each ``metres`` (y, x) on the ground."""

    extent: QgsRectangle
    pixel: float
    metres: tuple[float, float]
    crs: QgsCoordinateReferenceSystem
    context: QgsCoordinateTransformContext

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = self.extent.width() / self.pixel, self.extent.height() / self.pixel
        return max(1, round(width)), max(1, round(height))

    def for_reach(self, metres: float) -> View:
        """Return a view that shows so many metres more on every side, coarser where that is many pixels."""
        coarser = max(1.0, metres / min(self.metres) / REACH)
        pixel, sizes = self.pixel * coarser, (self.metres[0] * coarser, self.metres[1] * coarser)
        more = ceil(metres / min(sizes)) * pixel
        return View(self.extent.buffered(more), pixel, sizes, self.crs, self.context)


class MaskPreview(QObject):
    """The tint; ``show`` it, ``hide`` it, ``close`` it before the canvas goes."""

    def __init__(self, canvas: QgsMapCanvas, project: QgsProject, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._canvas, self._project = canvas, project
        self._item = _Tint(canvas)
        self._wish: Optional[Callable[[], Optional[Wish]]] = None
        self._work: Optional[BackgroundTask] = None
        self._stale = False
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._draw)
        canvas.extentsChanged.connect(self._later)
        canvas.destinationCrsChanged.connect(self._forget)

    def show(self, wish: Callable[[], Optional[Wish]]) -> None:
        """Show what ``wish`` returns a moment from now; None shows nothing."""
        self._wish = wish
        self._later()

    def hide(self) -> None:
        """Show nothing."""
        self._wish = None
        self._forget()

    def picture(self) -> QImage:
        """Return what is shown, a null image if nothing is."""
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
        if self._wish is not None and not self._pause.isActive():
            self._pause.start()

    def _draw(self) -> None:
        """Draw in a worker; one at a time, and once more if there was a change meanwhile."""
        if self._work is not None:
            self._stale = True
            return
        wish, view = self._wish() if self._wish is not None else None, self._view()
        if wish is None or view is None:
            self._item.show_image(QImage(), QgsRectangle())
            return
        self._stale = False
        self._work = BackgroundTask(
            "showing a mask", lambda listener: render(wish, view, listener.stop), self._drawn, True
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


def render(wish: Wish, view: View, stop: Stop) -> tuple[QImage, QgsRectangle]:
    """Return the tint of a view, and the box of the map's CRS that it covers. Any thread."""
    wide = view.for_reach(wish.grow + wish.feather)
    inside = _burnt(wish.shapes, wide, stop)
    if wish.grow > 0 and inside.any():
        inside = depth(~inside, wide.metres, wish.grow + max(wide.metres)) <= wish.grow
    share = weight(inside, wide.metres, wish.feather)
    share *= _burnt_box(wish, wide)
    alpha = np.rint(share * STRONGEST).astype(np.uint32)
    red, green, blue = (np.rint(alpha * (tone / 255)).astype(np.uint32) for tone in TINT)
    argb = np.ascontiguousarray(alpha << 24 | red << 16 | green << 8 | blue)
    height, width = argb.shape
    image = QImage(argb.tobytes(), width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied)
    return image.copy(), wide.extent


def weight(inside: np.ndarray, spacing: tuple[float, float], feather: float) -> np.ndarray:
    """Return how much of an edit shows, 0 to 1, (rows, columns): it fades in from the border of the mask.

    Where the mask is thinner than two feathers, it fades in over half its thickness.
    """
    if feather <= min(spacing) or inside.all():
        return inside.astype(np.float32)
    deep = depth(inside, spacing, feather)
    thick = deep
    for axis in (0, 1):
        thick = _highest(thick, ceil(feather / spacing[axis]), axis)
    share = deep / np.maximum(thick, np.float32(min(spacing)))
    return share * share * (3 - 2 * share)


def depth(inside: np.ndarray, spacing: tuple[float, float], limit: float) -> np.ndarray:
    """Return the distance of every True pixel to the nearest False one, at most ``limit``; 0 of those."""
    column = np.arange(inside.shape[1], dtype=np.float32)
    left = np.maximum.accumulate(np.where(inside, -np.inf, column), axis=1)
    right = np.minimum.accumulate(np.where(inside, np.inf, column)[:, ::-1], axis=1)[:, ::-1]
    along = (np.minimum(column - left, right - column) * spacing[1]).astype(np.float32) ** 2
    best = along.copy()
    for step in range(1, min(int(limit / spacing[0]) + 1, len(inside))):
        across = np.float32((step * spacing[0]) ** 2)
        np.minimum(best[step:], along[:-step] + across, out=best[step:])
        np.minimum(best[:-step], along[step:] + across, out=best[:-step])
    return np.minimum(np.sqrt(best), np.float32(limit))


def _highest(values: np.ndarray, reach: int, axis: int) -> np.ndarray:
    """Return the highest value within ``reach`` pixels along an axis."""
    out, covered = np.moveaxis(values, axis, 0).copy(), 0
    while covered < reach:
        step = min(2 * covered + 1, reach - covered)
        wider = out.copy()
        np.maximum(wider[step:], out[:-step], out=wider[step:])
        np.maximum(wider[:-step], out[step:], out=wider[:-step])
        out, covered = wider, covered + step
    return np.moveaxis(out, 0, axis)


def _burnt(shapes: MaskPolygons, view: View, stop: Stop) -> np.ndarray:
    """Return the pixels of a view that lie in polygons."""
    way = QgsCoordinateTransform(shapes.crs, view.crs, view.context)
    request = QgsFeatureRequest().setSubsetOfAttributes([])
    if shapes.ids is not None:
        request.setFilterFids(list(shapes.ids))
    try:
        back = QgsCoordinateTransform(view.crs, shapes.crs, view.context)
        near: Optional[QgsRectangle] = back.transformBoundingBox(view.extent)
    except QgsCsException:
        near = None  # a part of the view has no place in the mask's CRS
    found = []
    for feature in shapes.source.getFeatures(request):
        if stop():
            break
        if near is None or near.intersects(feature.geometry().boundingBox()):
            found.append(feature.geometry())
    return _filled(found, way, view)


def _burnt_box(wish: Wish, view: View) -> np.ndarray:
    """Return the pixels of a view that lie on the raster."""
    way = QgsCoordinateTransform(wish.crs, view.crs, view.context)
    return _filled([QgsGeometry.fromRect(wish.box)], way, view)


def _filled(shapes: list[QgsGeometry], way: QgsCoordinateTransform, view: View) -> np.ndarray:
    width, height = view.size
    image = QImage(width, height, QImage.Format.Format_Grayscale8)
    image.fill(0)
    place = QTransform(1 / view.pixel, 0, 0, -1 / view.pixel, 0, 0)
    place = QTransform.fromTranslate(-view.extent.xMinimum(), -view.extent.yMaximum()) * place
    painter = QPainter(image)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(Qt.GlobalColor.white)
    for shape in shapes:
        drawn = shape if way.isShortCircuited() else shape.densifyByCount(7)
        try:
            drawn.transform(way)
        except QgsCsException:
            continue  # the form says so before anything is run
        drawn.transform(place)
        if not drawn.isEmpty():
            drawn.constGet().draw(painter)
    painter.end()
    raw = image.constBits().asstring(image.sizeInBytes())
    rows = np.frombuffer(raw, np.uint8).reshape(height, image.bytesPerLine())
    return rows[:, :width] > 127


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
