"""Rasters and masks for the tests of edits: made with GDAL, small, of many kinds, always with texture."""

import hashlib
import json
from itertools import zip_longest

import numpy as np
from osgeo import gdal, osr
from qgis.core import QgsFeature, QgsGeometry, QgsVectorLayer

TYPES = {
    "uint8": gdal.GDT_Byte,
    "uint16": gdal.GDT_UInt16,
    "int16": gdal.GDT_Int16,
    "float32": gdal.GDT_Float32,
}
UTM = (500000.0, 1.0, 0.0, 5800000.0, 0.0, -1.0)
DEGREES = (8.0, 0.00001, 0.0, 50.0, 0.0, -0.00001)  # 0.7 x 1.1 m
ROTATED = (500000.0, 0.8, 0.6, 5800000.0, 0.6, -0.8)
SOUTH_UP = (500000.0, 1.0, 0.0, 5800000.0, 0.0, 1.0)
FEET = (980000.0, 3.0, 0.0, 200000.0, 0.0, -3.0)  # EPSG:2263, New York
PLACES = {
    "utm": (UTM, 32633),
    "degrees": (DEGREES, 4326),
    "rotated": (ROTATED, 32633),
    "south-up": (SOUTH_UP, 32633),
    "feet": (FEET, 2263),
    "mercator": ((1e6, 1.5, 0.0, 6e6, 0.0, -1.5), 3857),
}


def texture(dtype, bands, size, seed=0):
    """Return (bands, rows, columns) of smooth fields with noise, well inside the type's range."""
    width, height = size
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    fields = [90 + 40 * np.sin(x / (9 + b)) * np.cos(y / (13 + b)) for b in range(bands)]
    values = np.stack(fields) + random.normal(0, 6, (bands, height, width))
    values = values if dtype == "uint8" else values * 20
    return values.clip(1, 250 if dtype == "uint8" else 8000).astype(dtype)


def raster(path, dtype="uint8", bands=3, place="utm", size=(160, 128), **more):
    """Write a raster; ``more``: nodata, options, alpha, scale, mask, pixels, metadata."""
    pixels = more.get("pixels")
    pixels = texture(dtype, bands, size) if pixels is None else pixels
    transform, code = PLACES[place] if isinstance(place, str) else place
    options = more.get("options", ["TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64", "COMPRESS=DEFLATE"])
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), *size, bands, TYPES[dtype], options)
    dataset.SetGeoTransform(transform)
    system = osr.SpatialReference()
    system.ImportFromEPSG(code)
    dataset.SetSpatialRef(system)
    if more.get("nodata") is not None:
        pixels[:, 5:25, 5:30] = more["nodata"]
        dataset.GetRasterBand(1).SetNoDataValue(more["nodata"])
    for number in range(bands):
        band = dataset.GetRasterBand(number + 1)
        band.WriteRaster(0, 0, *size, pixels[number].tobytes())
        band.SetDescription(f"band {number + 1}")
        if more.get("scale"):
            band.SetScale(more["scale"][0])
            band.SetOffset(more["scale"][1])
    if more.get("alpha"):
        dataset.GetRasterBand(bands).SetColorInterpretation(gdal.GCI_AlphaBand)
    if more.get("mask"):
        before = gdal.GetConfigOption("GDAL_TIFF_INTERNAL_MASK")
        gdal.SetConfigOption("GDAL_TIFF_INTERNAL_MASK", "YES")
        dataset.CreateMaskBand(gdal.GMF_PER_DATASET)
        gdal.SetConfigOption("GDAL_TIFF_INTERNAL_MASK", before)
        valid = np.full(size[::-1], 255, "u1")
        valid[90:, 100:] = 0
        dataset.GetRasterBand(1).GetMaskBand().WriteRaster(0, 0, *size, valid.tobytes())
    dataset.SetMetadataItem("SURVEY", "of the test")
    if more.get("overviews"):
        dataset.BuildOverviews("AVERAGE", [2])
    dataset = None
    return str(path)


def corner(path, col, row):
    """Return the point of the CRS at a corner of pixels."""
    a, b, c, d, e, f = gdal.Open(str(path)).GetGeoTransform()
    return a + b * col + c * row, d + e * col + f * row


def ring(path, points):
    """Return WKT of a polygon whose corners are (column, row) of a raster."""
    places = [corner(path, *point) for point in [*points, points[0]]]
    return "Polygon((" + ", ".join(f"{x:.12f} {y:.12f}" for x, y in places) + "))"


def square(path, col, row, side):
    """Return WKT of a square of pixels."""
    return ring(path, [(col, row), (col + side, row), (col + side, row + side), (col, row + side)])


def polygons(shapes, crs, words=(), rasters=()):
    """Return a layer of polygons, from their WKT; in ``shows`` and ``raster`` what each is, and on which."""
    layer = QgsVectorLayer(f"MultiPolygon?crs={crs}&field=shows:string&field=raster:string", "mask", "memory")
    for text, shown, raster in zip_longest(shapes, words, rasters):
        feature = QgsFeature(layer.fields())
        feature.setAttribute("shows", shown)
        feature.setAttribute("raster", raster)
        feature.setGeometry(QgsGeometry.fromWkt(text))
        layer.dataProvider().addFeatures([feature])
    return layer


def everything(path):
    """Return the pixels of a file, (bands, rows, columns), and of its mask band."""
    dataset = gdal.OpenEx(str(path), gdal.OF_RASTER)
    kinds = {value: key for key, value in TYPES.items()}
    shape = (dataset.RasterCount, dataset.RasterYSize, dataset.RasterXSize)
    pixels = np.frombuffer(dataset.ReadRaster(), kinds[dataset.GetRasterBand(1).DataType]).reshape(shape)
    mask = dataset.GetRasterBand(1).GetMaskBand()
    return pixels, np.frombuffer(mask.ReadRaster(), "u1").reshape(shape[1:])


def about(path):
    """Return what a file says of itself besides pixels: what an edit has to keep."""
    dataset = gdal.OpenEx(str(path), gdal.OF_RASTER)
    structure = dataset.GetMetadata("IMAGE_STRUCTURE")
    bands = []
    for number in range(dataset.RasterCount):
        band = dataset.GetRasterBand(number + 1)
        bands.append(
            (
                band.DataType,
                repr(band.GetNoDataValue()),
                band.GetColorInterpretation(),
                band.GetDescription(),
                band.GetScale() or 1.0,  # none said is the same
                band.GetOffset() or 0.0,
                band.GetUnitType(),
                band.GetMaskFlags(),
                {k: v for k, v in band.GetMetadata().items() if not k.startswith("STATISTICS_")},
                [
                    (band.GetOverview(i).XSize, band.GetOverview(i).YSize)
                    for i in range(band.GetOverviewCount())
                ],
            )
        )
    return {
        "size": (dataset.RasterXSize, dataset.RasterYSize),
        "transform": dataset.GetGeoTransform(),
        "crs": dataset.GetProjection(),
        "structure": {k: structure.get(k) for k in ("COMPRESSION", "INTERLEAVE", "PREDICTOR", "LAYOUT")},
        "block": dataset.GetRasterBand(1).GetBlockSize(),
        "gcps": [(g.GCPX, g.GCPY, g.GCPPixel, g.GCPLine) for g in dataset.GetGCPs()],
        "bands": bands,
    }


def fingerprint(path):
    """Return the bytes' hash and the time of the last change of a file."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest(), __import__("os").stat(path).st_mtime_ns


def recipe_of(path):
    """Return the recipe in a file's tags."""
    return json.loads(gdal.Open(str(path)).GetMetadataItem("RECIPE", "GENERATION"))


def pixels(path):
    """Return all pixels of a file, the bytes of each band."""
    dataset = gdal.Open(str(path))
    return [dataset.GetRasterBand(number + 1).ReadRaster() for number in range(dataset.RasterCount)]
