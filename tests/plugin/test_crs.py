"""A CRS that a worker makes ends with its thread; those of QGIS do not."""

import threading
from pathlib import Path

import pytest
from osgeo import osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsPointXY,
)

from tests.support.qgis.toolbox import PATIENCE
from text2earth_qgis.core.imagery import crops, masks
from text2earth_qgis.core.imagery.assembly import Assembly
from text2earth_qgis.core.imagery.datasets import Box, Grid, RasterFile
from text2earth_qgis.core.tasks import BackgroundTask
from text2earth_qgis.core.threads import pool_of_tasks

CONTEXT = QgsCoordinateTransformContext()


def grid_of(code):
    return Grid((500000.0, 1.0, 0.0, 5800000.0, 0.0, -1.0), 100, 100, QgsCoordinateReferenceSystem(code))


def wkt_of(code):
    system = osr.SpatialReference()
    system.ImportFromEPSG(int(code[5:]))
    return system.ExportToWkt()


def placed(code):
    """Find what the backend works on, in a CRS of its own."""
    frame = {"crs": code, "pixel_size": ["1", "1"], "anchor": [500000.0, 5800000.0]}
    box = {"col": 0, "row": 0, "width": 10, "height": 10}
    recipe, grid = {"resampled": {}, "frame": frame}, grid_of("EPSG:32633")
    return lambda _listener: crops.box_in_raster(recipe, box, Box(0, 0, 100, 100), grid, CONTEXT)


def read(code):
    """Read what was noted of an edit."""
    source = RasterFile("a", "a.tif", (), QgsCoordinateReferenceSystem("EPSG:32633"), False)
    box = Box(0, 0, 1, 1)
    noted = Assembly(source, "x", Path("p.tif"), "whole", box, box, (1,), "", "").to_json()
    noted["source"]["crs"] = wkt_of(code)
    return lambda _listener: Assembly.from_json(noted)


def measured(_code):
    """Measure a pixel."""
    grid = grid_of("EPSG:32633")
    return lambda _listener: masks.ground_pixel(grid, CONTEXT)


@pytest.mark.parametrize(
    ("work", "code"),
    [(measured, "EPSG:32630"), (placed, "EPSG:32631"), (read, "EPSG:32629")],
    ids=["measured", "placed", "read"],
)
def test_what_a_worker_makes_is_no_one_elses(qtbot, work, code):
    """QGIS ends the threads of its pool after half a minute without work; here it does so at once."""

    def seen():
        """What everybody else gets to see: how long its WKT is, and where it puts a place."""
        found = []
        for name in (code, "EPSG:4326", "EPSG:32633"):
            crs = QgsCoordinateReferenceSystem(name)
            for one, other in ((crs, "EPSG:3035"), (QgsCoordinateReferenceSystem("EPSG:4326"), name)):
                way = QgsCoordinateTransform(one, QgsCoordinateReferenceSystem(other), CONTEXT)
                found.append((way.isValid(), way.transform(QgsPointXY(10, 50)).toString(3)))
            found.append(len(crs.toWkt()))
        return *found, len(QgsCoordinateReferenceSystem.fromWkt(wkt_of(code)).toWkt())

    job, ends = work(code), []

    def run(listener):
        job(listener)
        return threading.get_native_id()

    BackgroundTask("", run, lambda found, error: ends.append((found, error))).start()
    qtbot.waitUntil(lambda: bool(ends), timeout=PATIENCE)
    ((thread, error),) = ends
    assert error is None
    before = seen()
    pool_of_tasks().waitForDone()  # ends the threads, too
    qtbot.waitUntil(lambda: not Path(f"/proc/self/task/{thread}").exists(), timeout=PATIENCE)
    assert seen() == before
    assert masks.ground_pixel(grid_of("EPSG:32640"), CONTEXT) == pytest.approx((1.0004, 1.0004), abs=1e-4)
