"""Raster layers of QGIS as values that travel: their files, grids, CRSs, and how they are shown.

Reads files with GDAL from the decoded source, never through the provider, whose grid differs from the file's
for rotated and south-up rasters. Knows no network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Optional

from osgeo import gdal
from qgis.core import (
    QgsContrastEnhancement,
    QgsCoordinateReferenceSystem,
    QgsMultiBandColorRenderer,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRectangle,
    QgsSingleBandGrayRenderer,
    QgsSingleBandPseudoColorRenderer,
)

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery.datasets import RasterFile
from text2earth_qgis.core.wire.schemas import Align, Extent

AUTHORITIES = ("EPSG", "ESRI", "IGNF", "OGC")  # whose codes mean the same on the other side
DECIMALS = 15  # of a pixel size on the wire


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


@dataclass(frozen=True)
class DisplayedBands:
    """How a layer is shown: one band or red, green, blue; and the values shown black and white, if stretched.

    The values are those that QGIS shows: a file's scale and offset are applied.
    """

    bands: tuple[int, ...] = ()
    ranges: Optional[tuple[tuple[float, float], ...]] = None


def file_of(layer: QgsRasterLayer) -> RasterFile:
    """Return the file of a layer, for use in any thread. Raises ``RasterRefused`` for other providers."""
    if layer.providerType() != "gdal":
        raise RasterRefused(
            f"'{layer.name()}' has no raster file that could be edited. Save it as GeoTIFF first "
            "(Export > Save As)."
        )
    parts = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    source = layer.source().split("|")[0]
    return RasterFile(
        name=layer.name(),
        source=os.path.abspath(source) if os.path.isfile(source) else source,  # not all are names of files
        options=tuple(parts.get("openOptions") or ()),
        crs=layer.crs(),
        assigned=layer.crs() != layer.dataProvider().crs(),
    )


def displayed_bands(layer: QgsRasterLayer) -> DisplayedBands:
    """Return how a layer is shown, as far as that is a stretch of one or three bands."""
    renderer = layer.renderer()
    if isinstance(renderer, QgsMultiBandColorRenderer):
        pairs = (
            (renderer.redBand(), renderer.redContrastEnhancement()),
            (renderer.greenBand(), renderer.greenContrastEnhancement()),
            (renderer.blueBand(), renderer.blueContrastEnhancement()),
        )
        bands = tuple(band for band, _ in pairs)
        if min(bands) < 1 or len(set(bands)) != 3:
            return DisplayedBands()
        return _look(bands, [_stretched(enhancement) for _, enhancement in pairs])
    if isinstance(renderer, QgsSingleBandGrayRenderer):
        return _look((renderer.grayBand(),), [_stretched(renderer.contrastEnhancement())])
    if isinstance(renderer, QgsSingleBandPseudoColorRenderer):
        return _look((renderer.band(),), [(renderer.classificationMin(), renderer.classificationMax())])
    return DisplayedBands()


def _look(bands: tuple[int, ...], ranges: list[Optional[tuple[float, float]]]) -> DisplayedBands:
    known = tuple(pair for pair in ranges if pair is not None)
    good = len(known) == len(ranges) and all(all(map(isfinite, pair)) and pair[0] < pair[1] for pair in known)
    return DisplayedBands(bands, known if good else None)


def _stretched(enhancement: Optional[QgsContrastEnhancement]) -> Optional[tuple[float, float]]:
    none = QgsContrastEnhancement.ContrastEnhancementAlgorithm.NoEnhancement
    if enhancement is None or enhancement.contrastEnhancementAlgorithm() == none:
        return None
    return enhancement.minimumValue(), enhancement.maximumValue()


def pixel_size(value: float) -> str:
    """Return a pixel size as a decimal string without an exponent."""
    text = f"{Decimal(repr(float(value))):.{DECIMALS}f}"
    return text.rstrip("0").rstrip(".")
