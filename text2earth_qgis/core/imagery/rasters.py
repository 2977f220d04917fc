"""Raster layers of QGIS as values that travel: their files, grids, CRSs, and how they are shown.

Reads files with GDAL from the decoded source, never through the provider, whose grid differs from the file's
for rotated and south-up rasters. Knows no network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal
from typing import Optional

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
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.layers import path_of
from text2earth_qgis.core.wire.schemas import Align, Extent

BY_HAND = 0  # QgsRasterMinMaxOrigin.Limits of values that QGIS did not count
ENDLESS = 3.4e38  # about the largest number in 32 bits
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
            tr(
                "'{name}' is an online layer without pixels of its own. Align to a raster file instead."
            ).format(name=name)
        )
    if not layer.crs().isValid():
        raise RasterRefused(
            tr("'{name}' has no CRS. Set it in the properties of the layer first.").format(name=name)
        )
    transform = file_of(layer).open().GetGeoTransform(can_return_null=True)
    if transform is None:
        raise RasterRefused(
            tr("'{name}' has no georeference of its own. Georeference it first.").format(name=name)
        )
    x, width, turn_x, y, turn_y, height = transform
    if turn_x or turn_y:
        raise RasterRefused(
            tr("'{name}' is rotated. Warp it to a north-up raster first (Raster > Projections).").format(
                name=name
            )
        )
    if width <= 0 or height >= 0:
        raise RasterRefused(
            tr("'{name}' is not north-up. Warp it to a north-up raster first (Raster > Projections).").format(
                name=name
            )
        )
    return Align(crs_text(layer.crs()), [pixel_size(width), pixel_size(-height)], [x, y])


@dataclass(frozen=True)
class DisplayedBands:
    """How a layer is shown: one band or red, green, blue; and the values that the user set black and white.

    The values are those that QGIS shows: a file's scale and offset are applied. What QGIS itself counts is no
    such value: it depends on the whole raster, or what of it was last seen, and may be no number at all.
    """

    bands: tuple[int, ...] = ()
    ranges: Optional[tuple[tuple[float, float], ...]] = None


def file_of(layer: QgsRasterLayer) -> RasterFile:
    """Return the file of a layer, for use in any thread. Raises ``RasterRefused`` for other providers."""
    if layer.providerType() != "gdal":
        raise RasterRefused(
            tr(
                "'{name}' has no raster file that could be edited. Save it as GeoTIFF first (Export > "
                "Save As)."
            ).format(name=layer.name())
        )
    parts = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    source = path_of(layer)
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
        bands: tuple[int, ...] = (renderer.redBand(), renderer.greenBand(), renderer.blueBand())
        if min(bands) < 1 or len(set(bands)) != 3:
            return DisplayedBands()
        enhancements = (
            renderer.redContrastEnhancement(),
            renderer.greenContrastEnhancement(),
            renderer.blueContrastEnhancement(),
        )
        ranges: tuple[Optional[tuple[float, float]], ...] = tuple(map(_stretched, enhancements))
    elif isinstance(renderer, QgsSingleBandGrayRenderer):
        bands, ranges = (renderer.grayBand(),), (_stretched(renderer.contrastEnhancement()),)
    elif isinstance(renderer, QgsSingleBandPseudoColorRenderer):
        bands = (renderer.band(),)
        ranges = ((renderer.classificationMin(), renderer.classificationMax()),)
    else:
        return DisplayedBands()
    known = tuple(pair for pair in ranges if pair is not None and _is_stretch(*pair))
    limits = renderer.minMaxOrigin().limits()
    by_hand = getattr(limits, "value", limits) == BY_HAND
    return DisplayedBands(bands, known if by_hand and len(known) == len(bands) else None)


def _is_stretch(low: float, high: float) -> bool:
    """Say whether values are a stretch; where there is none to be had, QGIS sets ends of its number type."""
    return low < high and max(abs(low), abs(high)) < ENDLESS


def _stretched(enhancement: Optional[QgsContrastEnhancement]) -> Optional[tuple[float, float]]:
    none = QgsContrastEnhancement.ContrastEnhancementAlgorithm.NoEnhancement
    if enhancement is None or enhancement.contrastEnhancementAlgorithm() == none:
        return None
    return enhancement.minimumValue(), enhancement.maximumValue()


def pixel_size(value: float) -> str:
    """Return a pixel size as a decimal string without an exponent."""
    text = f"{Decimal(repr(float(value))):.{DECIMALS}f}"
    return text.rstrip("0").rstrip(".")
