"""How large things on the map are on the ground, for display only; and which CRS a text means.

Geodesic on WGS 84, always with the ellipsoid named: a project's own ellipsoid may be none or, for a custom
CRS, wrong. Sizes that matter (pixels, GSD) come from the backend's ``plan``.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsDistanceArea,
    QgsPointXY,
    QgsRectangle,
)

ELLIPSOID = "EPSG:7030"  # WGS 84


def size(
    box: QgsRectangle, crs: QgsCoordinateReferenceSystem, context: QgsCoordinateTransformContext
) -> Optional[tuple[float, float]]:
    """Return width and height in metres through the centre of ``box``, None where ``crs`` is not defined."""
    if box.isEmpty() or not crs.isValid():
        return None
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs, context)
    measure.setEllipsoid(ELLIPSOID)
    centre = box.center()
    try:
        width = 2 * measure.measureLine(centre, QgsPointXY(box.xMaximum(), centre.y()))
        height = 2 * measure.measureLine(centre, QgsPointXY(centre.x(), box.yMaximum()))
    except QgsCsException:
        return None
    return width, height


def crs_of(text: str) -> QgsCoordinateReferenceSystem:
    """Return the CRS that travelled as ``text``."""
    crs = QgsCoordinateReferenceSystem(text)
    return crs if crs.isValid() else QgsCoordinateReferenceSystem.fromWkt(text)
