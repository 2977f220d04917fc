"""Which CRS a text means, how long things are on the ground, and what of it a worker may leave behind.

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
    """Return the CRS that travelled as ``text``; in a worker, ask within ``forgetting_crs``."""
    crs = QgsCoordinateReferenceSystem(text)
    return crs if crs.isValid() else QgsCoordinateReferenceSystem.fromWkt(text)


def distance_area(
    crs: QgsCoordinateReferenceSystem, context: QgsCoordinateTransformContext
) -> QgsDistanceArea:
    """Return what measures geodesics between points of ``crs``."""
    made = QgsDistanceArea()
    made.setSourceCrs(crs, context)
    made.setEllipsoid(ELLIPSOID)
    return made


@contextmanager
def forgetting_crs() -> Iterator[None]:
    """Have what a worker makes of CRSs, and of ways between them, end with the block."""
    try:
        yield
    finally:
        if not in_main_thread():
            QgsCoordinateTransform.invalidateCache()
            QgsCoordinateReferenceSystem.invalidateCache()
