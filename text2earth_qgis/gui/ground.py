"""How large things on the map are on the ground, for display only.

Geodesic on WGS 84. Sizes that matter (pixels, GSD) come from the backend's ``plan``.
"""

from __future__ import annotations

from math import inf
from typing import Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsPointXY,
    QgsRectangle,
)

from text2earth_qgis.core.crs import distance_area


def size(
    box: QgsRectangle, crs: QgsCoordinateReferenceSystem, context: QgsCoordinateTransformContext
) -> Optional[tuple[float, float]]:
    """Return width and height in metres through the centre of ``box``, None where that is not on Earth."""
    if box.isEmpty() or not crs.isValid() or not box.isFinite():
        return None
    area, centre = distance_area(crs, context), box.center()
    try:
        width = 2 * area.measureLine(centre, QgsPointXY(box.xMaximum(), centre.y()))
        height = 2 * area.measureLine(centre, QgsPointXY(centre.x(), box.yMaximum()))
    except QgsCsException:
        return None
    return (width, height) if 0 < width < inf and 0 < height < inf else None
