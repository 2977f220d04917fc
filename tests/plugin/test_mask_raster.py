"""Masks with more corners than a request may have: the plugin's pixels are those that the backend makes."""

import random
import time

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from tests.support.qgis import raster_files
from text2earth_qgis.core.errors import Cancelled
from text2earth_qgis.core.imagery import datasets, edit_preparation, edit_request, mask_raster, masks
from text2earth_qgis.core.imagery.datasets import RasterFile
from text2earth_qgis.core.imagery.rasters import DisplayedBands
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.wire.transport import open_client
from text2earth_qgis.core.wire.uploads import drop_uploads, uploads_of

pytestmark = pytest.mark.usefixtures("provider", "own_history")
SIZE = (200, 160)


def ring(path, points):
    """Return a ring as text, its corners at columns and rows of a raster."""
    a, b, c, d, e, f = gdal.Open(path).GetGeoTransform()
    there = [(a + b * x + c * y, d + e * x + f * y) for x, y in [*points, points[0]]]
    return "(" + ", ".join(f"{float(x)!r} {float(y)!r}" for x, y in there) + ")"


def blob(dice, middle, reach, corners):
    """Return a wild ring around a point."""
    turns = [(t, dice.uniform(0.3, 1) * reach) for t in sorted(dice.uniform(0, 6.28) for _ in range(corners))]
    return [(middle[0] + r * np.cos(t), middle[1] + r * np.sin(t)) for t, r in turns]


def wild(path, seed):
    """Return polygons of all kinds: blobs with holes, thin strokes, bow ties, some beyond the raster."""
    dice = random.Random(seed)
    found = []
    for number in range(12):
        x, y = dice.uniform(-20, SIZE[0] + 20), dice.uniform(-20, SIZE[1] + 20)
        if number % 4 == 0:
            around = ring(path, blob(dice, (x, y), dice.uniform(5, 40), 40))
            found.append(f"MultiPolygon(({around}), ({ring(path, blob(dice, (y, x), 9, 5))}))")
        elif number % 4 == 1:
            hole = ring(path, [(x - 3.3, y - 2), (x - 3, y + 4.1), (x + 5, y + 3)])
            found.append(
                f"Polygon({ring(path, [(x - 9, y - 9), (x + 14.2, y - 8), (x + 6, y + 15)])}, {hole})"
            )
        elif number % 4 == 2:
            across, thick = dice.uniform(-30, 30), dice.uniform(0.05, 1.5)
            stroke = [(x, y), (x + across, y + 20), (x + across + thick, y + 20), (x + thick, y)]
            found.append(f"Polygon({ring(path, stroke)})")
        else:
            found.append(f"Polygon({ring(path, [(x, y), (x + 9, y + 11), (x + 9, y), (x, y + 11.3)])})")
    return found


def moved(texts, of, to):
    """Return geometries in another CRS, as text."""
    way = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem(of), QgsCoordinateReferenceSystem(to), QgsProject.instance()
    )
    shapes = [QgsGeometry.fromWkt(text) for text in texts]
    for shape in shapes:
        shape.transform(way)
    return [shape.asWkt(15) for shape in shapes]


def order(path, layer, tmp_path, **options):
    crs = QgsCoordinateReferenceSystem(gdal.Open(path).GetProjection())
    return edit_request.EditRequest(
        source=RasterFile("a", path, (), crs, False),
        displayed=DisplayedBands((1, 2, 3)),
        mask=masks.MaskPolygons("mask", QgsVectorLayerFeatureSource(layer), layer.crs(), None),
        context=QgsProject.instance().transformContext(),
        target=tmp_path / "out.tif",
        options={"prompt": "a lake", "seed": 7, "steps": 2, **options},
    )


@pytest.fixture
def ways(painter, monkeypatch):
    """Return the plan of an edit whose mask travels as polygons, and of one that the plugin has burnt."""

    def plans(order):
        recipes = []
        for most in (900_000, 0):
            monkeypatch.setattr(masks, "MOST", most)
            listener = Listener(lambda _share: None, lambda _text: None, lambda: False)
            ready = edit_preparation.prepare(painter.access, order, listener)
            inputs = ready.inputs.to_json()
            assert ("upload" in inputs["mask"]) == (most == 0)
            recipes.append(open_client(painter.access).plan("edit", inputs).recipe)
            drop_uploads(painter.access, uploads_of(inputs), listener)
        return recipes

    return plans


@pytest.mark.parametrize("place", raster_files.PLACES)
def test_the_same_pixels(ways, tmp_path, place):
    path = raster_files.raster(tmp_path / "a.tif", place=place, size=SIZE)
    code = f"EPSG:{raster_files.PLACES[place][1]}"
    one, other = ways(order(path, raster_files.polygons(wild(path, 3), code), tmp_path))
    assert one == other
    dice, abroad = random.Random(4), "EPSG:4326" if place != "degrees" else "EPSG:32632"
    small = [f"Polygon({ring(path, blob(dice, (x, 60.3), 11, 30))})" for x in (70.6, 84.1)]
    layer = raster_files.polygons(moved(small, code, abroad), abroad)
    one, other = ways(order(path, layer, tmp_path, grow=3.7))
    assert one == other


def test_heights_and_curves(ways, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", size=SIZE)
    layer = QgsVectorLayer("MultiSurfaceZ?crs=EPSG:32633", "mask", "memory")
    texts = [
        "MultiSurfaceZ (CurvePolygonZ (CircularStringZ (500020 5799950 3, 500040 5799970 4, "
        "500060 5799950 3, 500040 5799930 2, 500020 5799950 3)))",
        "MultiSurfaceZ (PolygonZ ((500100 5799900 1, 500130 5799905 1, 500110 5799930 1, 500100 5799900 1)))",
    ]
    features = []
    for text in texts:
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(text))
        assert not feature.geometry().isEmpty()
        features.append(feature)
    assert layer.dataProvider().addFeatures(features)[0]
    one, other = ways(order(path, layer, tmp_path))
    assert one == other
    assert one["grid"]["width"] > 100


def test_the_same_result(painter, ways, tmp_path, monkeypatch):
    import processing

    for name, value in painter.environment.items():
        monkeypatch.setenv(name, value)
    path = raster_files.raster(tmp_path / "a.tif", size=SIZE)
    layer = raster_files.polygons(wild(path, 5), "EPSG:32633")
    asked = {"INPUT": path, "MASK": layer, "PROMPT": "a lake", "STEPS": 2, "SEED": 7, "GROW": 2, "FEATHER": 3}
    for most, name in ((900_000, "b.tif"), (0, "c.tif")):
        monkeypatch.setattr(masks, "MOST", most)
        processing.run("text2earth:edit", {**asked, "OUTPUT": str(tmp_path / name)})
    one, other = (raster_files.everything(tmp_path / name) for name in ("b.tif", "c.tif"))
    assert (one[0] != raster_files.everything(path)[0]).any()
    assert one[0].tobytes() == other[0].tobytes()


def test_a_coast_with_very_many_corners(painter, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", size=(700, 560))
    turns = np.linspace(0, 2 * np.pi, 40_000, endpoint=False)
    far = 250 + 20 * np.sin(9 * turns) + np.sin(3000 * turns)
    coast = np.stack([350.2 + far * np.cos(turns), 280.7 + far * np.sin(turns)], axis=1)
    asked = order(
        path, raster_files.polygons([f"Polygon({ring(path, coast.tolist())})"], "EPSG:32633"), tmp_path
    )
    listener = Listener(lambda _share: None, lambda _text: None, lambda: False)
    ready = edit_preparation.prepare(painter.access, asked, listener)
    inputs = ready.inputs.to_json()
    drop_uploads(painter.access, uploads_of(inputs), listener)
    there, around = ready.assembly.changed, datasets.box_around(coast)
    assert datasets.union(there, datasets.grown(around, -1)) == there == datasets.overlap(there, around)
    assert "upload" in inputs["mask"]


def test_it_can_be_left(tmp_path, monkeypatch):
    path = raster_files.raster(tmp_path / "a.tif", size=SIZE)
    asked = order(path, raster_files.polygons(wild(path, 1), "EPSG:32633"), tmp_path)
    grid = datasets.grid_of(asked.source.open(), asked.source)
    place = masks.MaskPlacement(grid, asked.context)
    left = iter([False] * 20)
    with pytest.raises(Cancelled):
        mask_raster.write(asked.mask, place, grid.box, tmp_path / "m.tif", lambda: next(left, True))


def test_tens_of_thousands_of_tiny_polygons_take_seconds(tmp_path):
    """Of the building footprints of a town on a coarse raster no pixel is missed, and nobody waits for it."""
    dice, size = random.Random(0), 0.4
    layer = QgsVectorLayer("Polygon?crs=EPSG:32633", "mask", "memory")
    features, touched = [], np.zeros((2000, 2000), bool)
    for _ in range(40_000):
        # Within a pixel, or by at least a tenth in each of two: GDAL leaves out what is hardly touched.
        col, row = (dice.randrange(1999) + dice.choice((dice.uniform(0.1, 0.5), 0.75)) for _axis in "xy")
        box = QgsRectangle(500000 + col, 5800000 - row - size, 500000 + col + size, 5800000 - row)
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromRect(box))
        features.append(feature)
        touched[int(row) : int(row + size) + 1, int(col) : int(col + size) + 1] = True
    layer.dataProvider().addFeatures(features)
    utm = QgsCoordinateReferenceSystem("EPSG:32633")
    grid = datasets.Grid((500000.0, 1.0, 0.0, 5800000.0, 0.0, -1.0), 2000, 2000, utm)
    placement = masks.MaskPlacement(grid, QgsProject.instance().transformContext())
    shapes = masks.MaskPolygons("mask", QgsVectorLayerFeatureSource(layer), utm, None)
    begun = time.process_time()
    polygons, box = masks.polygons_to_send(shapes, placement, lambda: False)
    assert polygons is None
    there = mask_raster.write(shapes, placement, box, tmp_path / "mask.tif", lambda: False)
    assert time.process_time() - begun < 8  # 2.4 where every polygon's own measures took 22
    made = gdal.Open(str(tmp_path / "mask.tif"))
    drawn = np.zeros_like(touched)
    part = np.frombuffer(made.ReadRaster(), "u1").reshape(there.height, there.width) > 0
    drawn[there.row : there.row + there.height, there.col : there.col + there.width] = part
    assert (drawn == touched).all()
