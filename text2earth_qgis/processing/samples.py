"""The parameters of samples, "like here", that all algorithms share: their help, and how they are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
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
from text2earth_qgis.core.layers import path_of
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
    "SAMPLE_RASTER_FIELD": tr(
        "Field of the areas that says on which raster each of them lies: the name or id of a layer in the "
        "project, or the path of a file, also relative to that of the areas. So one run takes samples of "
        "several rasters. Where the field is empty, the raster is the one given above."
    ),
}
MOST = 8  # samples
RASTER_FIELD = tr("Like here: field that names the raster of each area")
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
        QgsProcessingParameterField(
            "SAMPLE_RASTER_FIELD",
            RASTER_FIELD,
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
    raster_field = reader.text("SAMPLE_RASTER_FIELD")
    layer = own if layer is None and source is not None else layer
    if layer is None and (source is None or not raster_field):
        if source is not None or words.strip() or field:
            raise PluginError(tr("No raster is given to take the sample of. Choose one (SAMPLE)."))
        return ()
    if source is None:
        for name in ("SAMPLE_FIELD", "SAMPLE_RASTER_FIELD"):
            if reader.text(name):
                text = tr("{name} names a field of the areas. Give the areas too (SAMPLE_AREA).")
                raise PluginError(text.format(name=name))
        return (sample_of(layer, None, words, context),)
    areas = MaskPolygons(source.sourceName(), source, source.sourceCrs(), None, ROLE)
    if not field and not raster_field:
        return (sample_of(layer, areas, words, context),)
    if field and words.strip():
        raise PluginError(tr("Say what the samples show by a field or in words, not by both."))
    found = _alike(source, raster_field, field)
    rasters = {name: _raster(reader, name, layer) for name, _shown in found}
    return tuple(
        sample_of(rasters[name], replace(areas, ids=frozenset(ids)), shown if field else words, context)
        for (name, shown), ids in found.items()
    )


def _alike(source: QgsProcessingFeatureSource, *fields: str) -> dict[tuple[str, ...], list[int]]:
    """Return the ids of the areas of which fields say the same, by what these say, in the order of the areas.

    A field without a name says nothing of any.
    """
    columns = [source.fields().indexOf(field) if field else None for field in fields]
    for field, column in zip(fields, columns):
        if column == -1:
            text = tr("The areas '{layer}' have no field '{name}'.")
            raise PluginError(text.format(layer=source.sourceName(), name=field))
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
    request.setSubsetOfAttributes([column for column in columns if column is not None])
    found: dict[tuple[str, ...], list[int]] = {}
    for feature in source.getFeatures(request):
        said = ("" if column is None else _text(feature.attribute(column)) for column in columns)
        found.setdefault(tuple(said), []).append(feature.id())
    if len(found) > MOST:
        text = tr("The areas say {count} different things; there can be {most} samples.")
        raise PluginError(text.format(count=len(found), most=MOST))
    return found


def _text(said: object) -> str:
    return "" if said is None or said == NULL else str(said).strip()


def _raster(reader: ParameterReader, name: str, usual: Optional[QgsRasterLayer]) -> QgsRasterLayer:
    """Return the raster that a field of the areas names, the usual one where it names none."""
    areas = reader.layer("SAMPLE_AREA")
    beside = Path(path_of(areas)).parent / name if areas is not None else Path(name)
    found = reader.named_raster(str(beside) if beside.is_file() else name, RASTER_FIELD) if name else usual
    if found is None and name:
        text = tr(
            "'{name}', the raster that an area of a sample lies on, is neither in the project nor a file."
        )
        raise PluginError(text.format(name=name))
    if found is None:
        text = tr("An area names no raster to take the sample of. Give the one that is meant then (SAMPLE).")
        raise PluginError(text)
    return found
