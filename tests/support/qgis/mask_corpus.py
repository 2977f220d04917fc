"""Masks of all kinds that people have, each with the pixels of a small raster that it comes to, or why none.

The raster has 72 x 64 pixels of 1 m in EPSG:32633. A kind is a function of a folder that returns a layer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

from tests.support.qgis.raster_corpus import DEGREE, UTM, write

Pixels = tuple[int, int, int, int]  # column, row, width, height
BOX = (20, 10, 30, 24)


@dataclass(frozen=True)
class Mask:
    """A mask, and the smallest box of pixels around what it covers, or words of the refusal.

    A side of the box may be ``off`` by so many pixels; without a box any pixels will do.

    ``raster`` is the keywords of another raster (``raster_corpus.write``); ``more`` of the algorithm.
    """

    make: Callable
    box: Pixels | None = BOX
    refused: str = ""
    raster: dict | None = None
    selected: bool = False
    off: int = 0


MASKS: dict[str, Mask] = {}


def points(box=BOX, place=UTM):
    """Return the corners of a box of pixels, closed."""
    col, row, width, height = box
    found = [(col, row), (col + width, row), (col + width, row + height), (col, row + height), (col, row)]
    return [(place[0] + x * place[1], place[3] + y * place[5]) for x, y in found]


def text(ring, z=""):
    """Return a ring as in WKT."""
    return "(" + ", ".join(f"{x!r} {y!r}{z}" for x, y in ring) + ")"


def vector(shapes, crs="EPSG:32633", kind="MultiPolygon", select=()):
    """Return a layer of WKT geometries, or of QgsGeometry."""
    layer = QgsVectorLayer(f"{kind}?field=a:int" if kind != "None" else "None?field=a:int", "mask", "memory")
    assert layer.isValid()
    if crs:
        system = QgsCoordinateReferenceSystem()
        system.createFromUserInput(crs)
        layer.setCrs(system)
    else:
        layer.setCrs(QgsCoordinateReferenceSystem())
    for shape in shapes:
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(shape) if isinstance(shape, str) else shape)
        layer.dataProvider().addFeatures([feature])
    if select:
        layer.selectByIds(list(select))
    return layer


def shape(name, *texts, **more):
    """Register a layer of geometries in WKT."""
    layer = {key: more.pop(key) for key in ("crs", "kind", "select") if key in more}
    MASKS[name] = Mask(lambda _folder: vector(texts, **layer), **more)


def moved(crs, box=BOX):
    """Return WKT of a box of pixels in another CRS."""
    system = QgsCoordinateReferenceSystem()
    system.createFromUserInput(crs)
    geometry = QgsGeometry.fromWkt(f"Polygon({text(points(box))})").densifyByCount(20)
    way = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem("EPSG:32633"), system, QgsProject.instance().transformContext()
    )
    geometry.transform(way)
    return geometry.asWkt(17)


RING = text(points())
HOLE = text(points((30, 15, 10, 10)))
shape("polygon", f"Polygon({RING})")
shape("clockwise", f"Polygon({text(points()[::-1])})")
shape("several", f"Polygon({RING})", f"Polygon({text(points((60, 50, 5, 5)))})", box=(20, 10, 45, 45))
shape("multi", f"MultiPolygon(({RING}), ({text(points((60, 50, 5, 5)))}))", box=(20, 10, 45, 45))
shape("hole", f"Polygon({RING}, {HOLE})")
shape("overlapping", f"Polygon({RING})", f"Polygon({HOLE})")
shape("overlapping parts", f"MultiPolygon(({RING}), ({HOLE}))")
BOW = [(500020, 5799990), (500050, 5799966), (500050, 5799990), (500020, 5799966), (500020, 5799990)]
shape("bow tie", f"Polygon({text(BOW)})")
shape("spike", f"Polygon({text([*points()[:2], (500090.0, 5799990.0), *points()[1:]])})", box=None)
shape("double corners", f"Polygon({text([point for point in points() for _ in range(2)])})")
shape("heights", f"PolygonZ({text(points(), ' 7')})", kind="PolygonZ")
shape("measures", f"PolygonM({text(points(), ' 7')})", kind="PolygonM")
shape("heights and measures", f"PolygonZM({text(points(), ' 7 8')})", kind="PolygonZM")
ARC = "CircularString(500020 5799978, 500035 5799990, 500050 5799978, 500035 5799966, 500020 5799978)"
shape("curves", f"CurvePolygon({ARC})", kind="CurvePolygon", box=None)
shape("surfaces", f"MultiSurface(CurvePolygon({ARC}))", kind="MultiSurface", box=None)
COLLECTION = (
    f"GeometryCollection(Polygon({RING}), LineString(500000 5800000, 500001 5799999), Point(500000 5800000))"
)
shape("collection", COLLECTION, kind="GeometryCollection")
shape("collection of lines", "GeometryCollection(LineString(500000 5800000, 500001 5799999))",
      kind="GeometryCollection", refused="no polygon")  # fmt: skip
shape("table", kind="None", crs="", refused="There is no polygon")
shape("points", "Point(500030 5799980)", kind="Point", refused="There is no polygon")
shape("lines", "LineString(500030 5799980, 500040 5799980)", kind="LineString", refused="There is no polygon")
shape("nothing", refused="There is no polygon")
shape("empty shapes", "Polygon EMPTY", QgsGeometry(), refused="There is no polygon")
shape("no crs", f"Polygon({RING})", crs="", refused="has no CRS")
shape(
    "moon",
    "Polygon((8 50, 9 50, 9 51, 8 50))",
    crs="+proj=longlat +R=1737400 +no_defs +type=crs",
    refused="CRS",
)
WORLD = "Polygon((-180 -90, 180 -90, 180 90, -180 90, -180 -90))"
ALL = (0, 0, 72, 64)
shape("world", WORLD, crs="EPSG:4326", box=ALL)
shape(
    "more than the world", "Polygon((-200 -95, 200 -95, 200 95, -200 95, -200 -95))", crs="EPSG:4326", box=ALL
)
shape(
    "world in metres",
    "Polygon((-2e7 -2e7, 2e7 -2e7, 2e7 2e7, -2e7 2e7, -2e7 -2e7))",
    crs="EPSG:3857",
    box=ALL,
)
shape(
    "a country",
    "Polygon((5 47, 15.0003 47, 15.0003 55, 5 55, 5 47))",
    crs="EPSG:4326",
    box=(0, 0, 20, 64),
    off=1,
)
for crs in ("EPSG:4326", "EPSG:3857", "EPSG:4979", "EPSG:25833", "EPSG:3035", "EPSG:31468"):
    MASKS[f"in {crs}"] = Mask(lambda _folder, crs=crs: vector([moved(crs)], crs), off=1)
MASKS["in a compound crs"] = Mask(lambda _folder: vector([f"Polygon({RING})"], "EPSG:25833+7837"), off=1)
MASKS["in a custom crs"] = Mask(
    lambda _folder: vector(
        [moved("+proj=laea +lat_0=52 +lon_0=15 +ellps=GRS80 +units=m +type=crs")],
        "+proj=laea +lat_0=52 +lon_0=15 +ellps=GRS80 +units=m +type=crs",
    ),
    off=1,
)
shape("another zone's", f"Polygon({RING})", crs="EPSG:32601", refused="outside")
shape("a dot", f"Polygon({text(points((30.4, 20.4, 0.2, 0.2)))})", box=(30, 20, 1, 1))
shape("a hair", f"Polygon({text(points((10.2, 20.4, 40, 0.1)))})", box=(10, 20, 41, 1))
shape("outside", f"Polygon({text(points((100, 10, 20, 20)))})", refused="outside")
shape("beside", f"Polygon({text(points((72, 10, 20, 20)))})", refused="outside")
shape("half outside", f"Polygon({text(points((50, 40, 60, 60)))})", box=(50, 40, 22, 24))
shape("around all", f"Polygon({text(points((-500, -500, 2000, 2000)))})", box=ALL)
shape("selected", f"Polygon({RING})", f"Polygon({text(points((60, 50, 5, 5)))})", select=[1], selected=True)
shape("none selected", f"Polygon({RING})", selected=True, refused="No polygon is selected")
shape("infinitely far", f"Polygon({text([*points()[:3], (1e300, 5.8e6), points()[0]])})", box=None)
shape(
    "not a number",
    "Polygon((nan nan, 500040 5799980, 500040 5799970, nan nan))",
    refused="There is no polygon",
)
CIRCLE = QgsGeometry.fromWkt("Point(500035 5799978)").buffer(12, 5000).asWkt(4)
shape("twenty thousand corners", CIRCLE, box=(23, 10, 24, 24))
MASKS["crumbs"] = Mask(
    lambda _folder: vector(
        [f"Polygon({text(points((20 + n % 30, 10 + n // 30 % 24, 0.3, 0.3)))})" for n in range(720)]
    )
)
CROSSING = {"crs": "EPSG:4326", "place": (180 - 36 * DEGREE, DEGREE, 0.0, 50.0, 0.0, -DEGREE)}
EAST = text(points((20, 10, 16, 24), CROSSING["place"]))
WEST = text([(x - 360, y) for x, y in points((36, 10, 14, 24), CROSSING["place"])])
TURNED = {"crs": "EPSG:4326", "place": (190.0, DEGREE, 0.0, 50.0, 0.0, -DEGREE)}
THERE = points(BOX, TURNED["place"])
FAR = {"crs": "EPSG:4326", "raster": TURNED, "off": 1}
shape("both sides of the antimeridian", f"MultiPolygon(({EAST}), ({WEST}))", **{**FAR, "raster": CROSSING})
shape("a turn away", f"Polygon({text([(x - 360, y) for x, y in THERE])})", **FAR)
shape("where longitudes go to 360", f"Polygon({text(THERE)})", **FAR)


# ---- rasters


def values(dtype="u1", one=1, zero=0, box=BOX, size=(72, 64)):
    """Return (1, rows, columns) of two values."""
    found = np.full((1, size[1], size[0]), zero, dtype)
    col, row, width, height = box
    found[0, row : row + height, col : col + width] = one
    return found


def pixels(name, type="Byte", **more):
    """Register a mask raster; the words are those of ``raster_corpus.write``."""
    expected = {key: more.pop(key) for key in ("box", "refused") if key in more}
    MASKS[f"raster: {name}"] = Mask(
        lambda folder: QgsRasterLayer(str(write(folder, type, name="m.tif", **more)), "mask", "gdal"),
        **expected,
    )


pixels("bytes", pixels=values())
pixels("255", pixels=values(one=255))
pixels("one bit", pixels=values(), options=["NBITS=1"])
pixels("signed", "Int16", pixels=values("i2", 1, -1))
pixels("floats", "Float32", pixels=values("f4", 0.25, np.nan))
pixels("infinite", "Float64", pixels=values("f8", np.inf, 0))
pixels("nodata 0", "UInt16", pixels=values("u2", 700), nodata=0)
pixels("nodata 255", pixels=values(one=9, zero=255), nodata=255)
pixels("several bands", pixels=np.concatenate([values(), values(zero=1), values(zero=1)]))
pixels("complex", "CFloat32", pixels=values("c8"), refused="type")
pixels("empty", pixels=values(one=0), refused="is empty")
pixels("negative", "Int16", pixels=values("i2", -5), refused="is empty")
pixels("outside", pixels=values(), place=(600000.0, 1.0, 0.0, 5800000.0, 0.0, -1.0), refused="outside")
pixels("no crs", pixels=values(), crs=None, refused="no CRS")
pixels("no place", pixels=values(), crs=None, place=None, refused="no georeference")
pixels("larger pixels", pixels=values(box=(5, 3, 3, 3), size=(20, 20)), size=(20, 20),
       place=(500000.0, 4.0, 0.0, 5800000.0, 0.0, -4.0), box=(20, 12, 12, 12))  # fmt: skip
pixels("smaller pixels", pixels=values(box=(40, 20, 60, 48), size=(200, 200)), size=(200, 200),
       place=(500000.0, 0.5, 0.0, 5800000.0, 0.0, -0.5))  # fmt: skip
pixels("south-up", pixels=values(box=(20, 30, 30, 24)), place=(500000.0, 1.0, 0.0, 5799936.0, 0.0, 1.0))
pixels(
    "rotated", pixels=values(box=(10, 10, 20, 20)), place=(500020.0, 0.8, 0.6, 5799990.0, 0.6, -0.8), box=None
)
pixels("in degrees", pixels=values(box=(0, 0, 72, 64)), crs="EPSG:4326",
       place=(15.00029, DEGREE, 0.0, 52.3502, 0.0, -DEGREE), box=None)  # fmt: skip
pixels("of the world", pixels=values(box=(0, 0, 36, 18), size=(36, 18)), size=(36, 18), crs="EPSG:4326",
       place=(-180.0, 10.0, 0.0, 90.0, 0.0, -10.0), box=ALL)  # fmt: skip


def _colours(made):
    table = gdal.ColorTable()
    table.SetColorEntry(1, (255, 0, 0, 255))
    made.GetRasterBand(1).SetRasterColorTable(table)


pixels("of colours", pixels=values(), touch=_colours)
