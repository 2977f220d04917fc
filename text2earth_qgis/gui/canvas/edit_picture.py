"""The picture of the area that an edit covers: how much of it shows where, at the screen's resolution.

Drawn from a snapshot of the mask, for display only: the backend works out what is painted, on the raster's
own pixels. Any thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Optional

import numpy as np
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeatureRequest,
    QgsGeometry,
    QgsRectangle,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QImage, QPainter, QTransform

from text2earth_qgis.core.imagery.datasets import Stop
from text2earth_qgis.core.imagery.masks import MaskPolygons

REACH = 48  # pixels that a grow or a feather may have: with more, the picture is made coarser
TINT, STRONGEST = (201, 138, 31), 130  # colour, and alpha where the edit is whole


@dataclass(frozen=True)
class EditArea:
    """The part of a raster that an edit covers: a mask, grown and faded in by metres, within a box."""

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


def render(area: EditArea, view: View, stop: Stop) -> tuple[QImage, QgsRectangle]:
    """Return the tint of a view, and the box of the map's CRS that it covers. Any thread."""
    wide = view.for_reach(area.grow + area.feather)
    inside = _masked(area.shapes, wide, stop)
    if area.grow > 0 and inside.any():
        inside = depth(~inside, wide.metres, area.grow + max(wide.metres)) <= area.grow
    share = weight(inside, wide.metres, area.feather)
    share *= _on_raster(area, wide)
    alpha = np.rint(share * STRONGEST).astype(np.uint32)
    red, green, blue = (np.rint(alpha * (tone / 255)).astype(np.uint32) for tone in TINT)
    argb = np.ascontiguousarray(alpha << 24 | red << 16 | green << 8 | blue)
    height, width = argb.shape
    image = QImage(argb.tobytes(), width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied)
    return image.copy(), wide.extent


def weight(inside: np.ndarray, spacing: tuple[float, float], feather: float) -> np.ndarray:
    """Return the opacity of an edit, 0 to 1, (rows, columns): it fades in from the border of the mask.

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


def _masked(shapes: MaskPolygons, view: View, stop: Stop) -> np.ndarray:
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


def _on_raster(area: EditArea, view: View) -> np.ndarray:
    """Return the pixels of a view that lie on the raster."""
    way = QgsCoordinateTransform(area.crs, view.crs, view.context)
    return _filled([QgsGeometry.fromRect(area.box)], way, view)


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
