"""What a raster layer and a CRS of QGIS are on the wire.

Reads files with GDAL from the decoded source, never through the provider, whose grid differs from the file's
for rotated and south-up rasters. Knows no network.
"""

from __future__ import annotations

from decimal import Decimal

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRectangle,
)

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.schemas import Align, Extent

AUTHORITIES = ("EPSG", "ESRI", "IGNF", "OGC")  # whose codes mean the same on the other side
DECIMALS = 15  # of a pixel size on the wire
_WARP = "Warp it to a north-up raster first (Raster > Projections)."


def crs_text(crs: QgsCoordinateReferenceSystem) -> str:
    """Return the code of a CRS if it is a public one, else its WKT2."""
    if crs.authid().partition(":")[0] in AUTHORITIES:
        return crs.authid()
    return crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2019)


def extent_of(box: QgsRectangle, crs: QgsCoordinateReferenceSystem) -> Extent:
    """Return a box of QGIS as it travels: west, south, east, north."""
    return Extent([box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()], crs_text(crs))


def align_to(layer: QgsRasterLayer) -> Align:
    """Return the pixel grid of a layer. Raises ``RasterRefused`` where that is not a plain north-up grid."""
    name = layer.name()
    if layer.providerType() != "gdal":
        raise RasterRefused(
            f"'{name}' is an online layer without pixels of its own. Align to a raster file instead."
        )
    if not layer.crs().isValid():
        raise RasterRefused(f"'{name}' has no CRS. Set it in the properties of the layer first.")
    parts = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    options = list(parts.get("openOptions") or [])
    dataset = gdal.OpenEx(
        layer.source().split("|")[0], gdal.OF_RASTER | gdal.OF_READONLY, open_options=options
    )
    if dataset is None:
        raise RasterRefused(f"'{name}' cannot be read: {gdal.GetLastErrorMsg()}.")
    transform = dataset.GetGeoTransform(can_return_null=True)
    if transform is None:
        raise RasterRefused(f"'{name}' has no georeference of its own. Georeference it first.")
    x, width, turn_x, y, turn_y, height = transform
    if turn_x or turn_y:
        raise RasterRefused(
            f"'{name}' is rotated. Warp it to a north-up raster first (Raster > Projections)."
        )
    if width <= 0 or height >= 0:
        raise RasterRefused(
            f"'{name}' is not north-up. Warp it to a north-up raster first (Raster > Projections)."
        )
    return Align(crs_text(layer.crs()), [pixel_size(width), pixel_size(-height)], [x, y])


def pixel_size(value: float) -> str:
    """Return a pixel size as a decimal string without an exponent."""
    text = f"{Decimal(repr(float(value))):.{DECIMALS}f}"
    return text.rstrip("0").rstrip(".")
