"""The parameters of a sample, "like here", that all algorithms share: their help, and how they are read."""

from __future__ import annotations

from typing import Optional

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterString,
    QgsRasterLayer,
)

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery.masks import MaskPolygons
from text2earth_qgis.core.imagery.samples import ROLE, SampleRequest, sample_of
from text2earth_qgis.core.language import tr
from text2earth_qgis.processing import parameters as shared
from text2earth_qgis.processing.parameter_reader import ParameterReader

HELP = {
    "SAMPLE": tr(
        "Raster file that shows how land by example is to look, used in place of the backend's own "
        "images. With one the prompt may be empty. The backend needs its open-land images for this."
    ),
    "SAMPLE_AREA": tr(
        "The part of that raster that is meant: polygons in any CRS, for example around a pond, which is "
        "then made with its shore. Left empty, the whole raster."
    ),
    "SAMPLE_WORDS": tr(
        "What the sample shows, for example: forest. It then stands for that alone where the prompt asks "
        "for it. Left empty, it stands for all that is asked for."
    ),
}
OWN_RASTER = " " + tr("Where only an area is given, the raster itself.")


def definitions() -> shared.Definitions:
    """Return the parameters."""
    polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
    return (
        shared.RasterInput("SAMPLE", tr("Like here: raster"), optional=True),
        QgsProcessingParameterFeatureSource("SAMPLE_AREA", tr("Like here: area"), polygons, optional=True),
        QgsProcessingParameterString("SAMPLE_WORDS", tr("Like here: what it shows"), optional=True),
    )


def read(reader: ParameterReader, own: Optional[QgsRasterLayer] = None) -> tuple[SampleRequest, ...]:
    """Return the sample that is asked for, if any; an area alone is one of the user's ``own`` raster."""
    layer = reader.raster(
        "SAMPLE", tr("{name}, the raster to take a sample of, is not a raster that QGIS can read.")
    )
    source = reader.polygons("SAMPLE_AREA", ROLE.unreadable)
    words = reader.text("SAMPLE_WORDS")
    layer = own if layer is None and source is not None else layer
    if layer is None:
        if source is not None or words.strip():
            raise PluginError(tr("No raster is given to take the sample of. Choose one (SAMPLE)."))
        return ()
    area = source and MaskPolygons(source.sourceName(), source, source.sourceCrs(), None, ROLE)
    return (sample_of(layer, area, words, reader.context.transformContext()),)
