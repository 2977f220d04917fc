"""How far a raster reaches beyond its sides: as a map shows them, whichever way its file counts."""

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransformContext

from text2earth_qgis.core.imagery.datasets import Grid
from text2earth_qgis.core.imagery.extension import FARTHEST, pixels_of
from text2earth_qgis.core.imagery.reach import Reach, beyond, extension_of, is_turned, reach_of
from text2earth_qgis.core.wire.schemas import Box

pytestmark = pytest.mark.fast

GRIDS = {
    "north-up": ((500000.0, 2.0, 0.0, 5800000.0, 0.0, -2.0), "EPSG:32633", Box(-3, -1, 109, 57)),
    "south-up": ((500000.0, 2.0, 0.0, 5800000.0, 0.0, 2.0), "EPSG:32633", Box(-3, -6, 109, 57)),
    "mirrored": ((500000.0, -2.0, 0.0, 5800000.0, 0.0, -2.0), "EPSG:32633", Box(-6, -1, 109, 57)),
    "degrees": ((12.1, 1e-5, 0.0, 52.3, 0.0, -7e-6), "EPSG:4326", Box(-3, -1, 109, 57)),
    "at the antimeridian": ((179.9995, 1e-5, 0.0, 52.3, 0.0, -7e-6), "EPSG:4326", Box(-3, -1, 109, 57)),
}


@pytest.mark.parametrize("kind", GRIDS)
def test_sides_are_those_of_the_map(kind):
    transform, crs, box = GRIDS[kind]
    grid = Grid(transform, 100, 50, QgsCoordinateReferenceSystem(crs))
    reach = Reach(top=1, left=3, right=6, bottom=6)
    assert reach.box(grid) == box
    assert reach_of(box, grid) == reach
    wanted = extension_of(box, grid)
    assert pixels_of(wanted, grid, QgsCoordinateTransformContext()) == box
    x, y = wanted.extent.xMinimum(), wanted.extent.yMaximum()
    far = beyond(*grid.pixels([(x, y)])[0], grid)
    assert (far["left"], far["top"]) == pytest.approx((3, 1), abs=1e-3)


def test_no_side_lies_within_the_raster_or_out_of_reach():
    grid = Grid(GRIDS["north-up"][0], 100, 50, QgsCoordinateReferenceSystem("EPSG:32633"))
    assert reach_of(Box(10, 10, 5, 5), grid) == Reach()
    assert Reach(left=4).with_side("left", -7) == Reach()
    assert Reach().with_side("top", 2.6, alike=True) == Reach(3, 3, 3, 3)
    assert Reach().with_side("top", 1e12).top == FARTHEST


def test_a_turned_raster_has_the_sides_of_its_pixels():
    grid = Grid((0.0, 1.5, 0.5, 0.0, 0.5, -1.5), 100, 50, QgsCoordinateReferenceSystem("EPSG:32633"))
    assert is_turned(grid)
    assert Reach(left=2, bottom=3).box(grid) == Box(-2, 0, 102, 53)
