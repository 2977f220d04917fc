"""The parameters of samples, "like here", that all algorithms share: their help, and how they are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from qgis.core import (
    NULL,
    QgsFeatureRequest,
    QgsProcessing,
    QgsProcessingFeatureSource,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
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
    "SAMPLE_FIELD": tr(
        "Field of the areas that says so for each of them: areas of the same words are one sample, so there "
        "can be up to eight."
    ),
}
MOST = 8  # samples
OWN_RASTER = " " + tr("Where only an area is given, the raster itself.")


def definitions() -> shared.Definitions:
    """Return the parameters."""
    polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
    return (
        shared.RasterInput("SAMPLE", tr("Like here: raster"), optional=True),
        QgsProcessingParameterFeatureSource("SAMPLE_AREA", tr("Like here: area"), polygons, optional=True),
        QgsProcessingParameterString("SAMPLE_WORDS", tr("Like here: what it shows"), optional=True),
        QgsProcessingParameterField(
            "SAMPLE_FIELD",
            tr("Like here: field that says what each area shows"),
            parentLayerParameterName="SAMPLE_AREA",
            type=QgsProcessingParameterField.DataType.String,
            optional=True,
        ),
    )


def read(reader: ParameterReader, own: Optional[QgsRasterLayer] = None) -> tuple[SampleRequest, ...]:
    """Return the samples that are asked for, if any; an area alone is one of the user's ``own`` raster."""
    layer = reader.raster(
        "SAMPLE", tr("{name}, the raster to take a sample of, is not a raster that QGIS can read.")
    )
    source, context = reader.polygons("SAMPLE_AREA", ROLE.unreadable), reader.context.transformContext()
    words, field = reader.text("SAMPLE_WORDS"), reader.text("SAMPLE_FIELD")
    layer = own if layer is None and source is not None else layer
    if layer is None:
        if source is not None or words.strip() or field:
            raise PluginError(tr("No raster is given to take the sample of. Choose one (SAMPLE)."))
        return ()
    if source is None:
        if field:
            raise PluginError(
                tr("SAMPLE_FIELD names a field of the areas. Give the areas too (SAMPLE_AREA).")
            )
        return (sample_of(layer, None, words, context),)
    areas = MaskPolygons(source.sourceName(), source, source.sourceCrs(), None, ROLE)
    if not field:
        return (sample_of(layer, areas, words, context),)
    if words.strip():
        raise PluginError(tr("Say what the samples show by a field or in words, not by both."))
    return tuple(
        sample_of(layer, replace(areas, ids=frozenset(ids)), shown, context)
        for shown, ids in _by_words(source, field).items()
    )


def _by_words(source: QgsProcessingFeatureSource, field: str) -> dict[str, list[int]]:
    """Return the ids of the areas that show the same, by the words of a field, in the order of the areas."""
    column = source.fields().indexOf(field)
    if column < 0:
        raise PluginError(
            tr("The areas '{layer}' have no field '{name}'.").format(layer=source.sourceName(), name=field)
        )
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry).setSubsetOfAttributes([column])
    found: dict[str, list[int]] = {}
    for feature in source.getFeatures(request):
        said = feature.attribute(column)
        found.setdefault("" if said is None or said == NULL else str(said).strip(), []).append(feature.id())
    if len(found) > MOST:
        raise PluginError(
            tr("The field '{name}' says {count} different things; there can be {most} samples.").format(
                name=field, count=len(found), most=MOST
            )
        )
    return found
