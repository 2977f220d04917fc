"""Coordinate reference systems: from text, for distances on the ground, and in worker threads.

QGIS keeps every CRS in a cache for all threads, and takes it back when the thread ends that made it, which it
does to those of its pool after half a minute without work. Whoever shares such a CRS by then is left with an
empty one, still valid by name: without WKT, and every way from or to it changes nothing, for as long as QGIS
runs. So what is made in a worker is forgotten again before others meet it. Any thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsDistanceArea,
)

from text2earth_qgis.core.threads import in_main_thread

ELLIPSOID = "EPSG:7030"  # WGS 84; a project's own may be none or, for a custom CRS, wrong


def crs_of(text: str) -> QgsCoordinateReferenceSystem:
    """Return the CRS that a code or WKT names; in a worker, call it within ``forgetting_crs``."""
    crs = QgsCoordinateReferenceSystem(text)
    return crs if crs.isValid() else QgsCoordinateReferenceSystem.fromWkt(text)


def distance_area(
    crs: QgsCoordinateReferenceSystem, context: QgsCoordinateTransformContext
) -> QgsDistanceArea:
    """Return a calculator of geodesic distances between points of ``crs``."""
    made = QgsDistanceArea()
    made.setSourceCrs(crs, context)
    made.setEllipsoid(ELLIPSOID)
    return made


@contextmanager
def forgetting_crs() -> Iterator[None]:
    """Forget, at the end of the block, the CRSs and transformations that a worker has made in it."""
    try:
        yield
    finally:
        if not in_main_thread():
            QgsCoordinateTransform.invalidateCache()
            QgsCoordinateReferenceSystem.invalidateCache()
