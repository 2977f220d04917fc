"""The algorithm ``text2earth:extend``: its parameters become an ``EditRequest``, its result a raster layer.

Works as ``text2earth:edit`` does; in place of a mask it paints what lies around the raster.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qgis.core import (
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterExtent,
)

from text2earth_qgis.core.imagery import rasters
from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.imagery.edit_request import EditRequest
from text2earth_qgis.core.imagery.extension import Extension
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.blocking import FinishedRun, RunContext
from text2earth_qgis.core.runs.blocking_edit import run_edit
from text2earth_qgis.processing import base, layouts, samples
from text2earth_qgis.processing import parameters as shared
from text2earth_qgis.processing.layer_post_processor import beside
from text2earth_qgis.processing.parameter_reader import ParameterReader, send_regions
from text2earth_qgis.processing.variants import Variant

ABOUT = base.AlgorithmInfo(
    name="extend",
    title=tr("Extend imagery"),
    summary=tr("Continues a raster over more land; the pixels that it has stay to the byte."),
    help="\n\n".join(
        (
            tr(
                "Makes a raster larger: the land around it is painted from a prompt so that it continues "
                "what is there. Every pixel that the raster has stays as it is in every band, to the byte; "
                "CRS, pixel grid, type, nodata and metadata stay too. The result is a new file. What is "
                "painted is synthetic: it shows nothing that was observed, and the file says so."
            ),
            tr(
                "The result covers the smallest box of the raster's pixels around the raster and the "
                "extent, and all of it is painted that the raster does not have. Only the part of the "
                "raster near the new land is sent to the Text2Earth backend."
            )
            + f" {base.BACKEND}",
            tr(
                "The raster must be a file that QGIS reads through GDAL. Save an online layer as GeoTIFF "
                "first."
            ),
        )
    ),
    tags=("outpainting", "outpaint", "expand", "uncrop", "fill nodata"),
    section="extend-a-raster",
    output=tr("Extended imagery"),
    parameters={
        "INPUT": tr("Raster file to extend. It is only read."),
        "EXTENT": tr(
            "Land that the result covers besides the raster; it has to touch the raster. In qgis_process "
            "it needs its CRS: xmin,xmax,ymin,ymax [EPSG:32633]."
        ),
        "PROMPT": tr(
            "What the new land shows, for example: grassland. Left empty, the land that is there goes "
            "on: every band is copied from real pixels nearby."
        ),
        "FILL_HOLES": tr(
            "Paint pixels of the raster that have no value, too, if they lie in the extent. Where nodata "
            "is 0, black land has none."
        ),
        "STRETCH": tr(
            "Values that the model sees as black and white. displayed: those set by hand in the style of "
            "the layer; where QGIS has counted them, what suits the surroundings. 2-98 %: of what is "
            "near the new land. Or min,max for all bands, or min,max;min,max;min,max."
        ),
        "EXTRA_BANDS": tr(
            "Other bands of the new land. match: values of known pixels of similar colour. drop: the "
            "result has no such bands."
        ),
        "GUIDANCE": tr("How closely the new land follows the prompt. Left empty, what suits the model."),
        "MODEL": tr("Id of an inpainting model of the backend. Left empty, its default model."),
        **shared.REGIONS_HELP,
        **layouts.HELP,
        **samples.HELP,
        "SAMPLE": samples.HELP["SAMPLE"] + samples.OWN_RASTER,
    },
)


class Extend(base.Algorithm):
    """Extend a raster over more land."""

    about = ABOUT

    def _plain(self) -> shared.Definitions:
        return (
            shared.RasterInput("INPUT", tr("Raster to extend")),
            QgsProcessingParameterExtent("EXTENT", tr("Extent")),
            shared.optional_prompt(),
            QgsProcessingParameterBoolean("FILL_HOLES", tr("Fill holes of the raster in the extent"), False),
            shared.seed(),
        )

    def _advanced(self) -> shared.Definitions:
        return (
            *shared.view(("match", "drop")),
            *shared.regions(),
            *layouts.definitions(),
            *samples.definitions(),
        )

    def _prepare(self, reader: ParameterReader) -> base.PreparedRun:
        source, extent = reader.source(), reader.extent()
        extra_bands, context = reader.choice("EXTRA_BANDS"), reader.context
        request = EditRequest(
            source=rasters.file_of(source),
            displayed=rasters.displayed_bands(source),
            mask=Extension(*extent, fill_holes=reader.flag("FILL_HOLES")),
            context=context.transformContext(),
            target=Path(reader.target),
            options={**reader.options(), "bands": reader.bands(), "extra_bands": extra_bands},
            stretch=reader.text("STRETCH"),
            project=reader.project,
            layers=(source.id(), ""),
            samples=samples.read(reader, source),
            sources=reader.sources,
        )
        region_layer, layout = reader.regions(), layouts.read(reader)
        near = SearchArea(*extent, context.transformContext())

        def work(run_context: RunContext, variant: Variant, feedback: QgsProcessingFeedback) -> FinishedRun:
            asked = variant.of(request)
            if region_layer is not None:
                found = send_regions(region_layer, near, feedback)
                asked = replace(asked, options={**asked.options, "regions": found})
            if layout is not None:
                asked = asked.with_layout(layouts.send(layout, near, feedback))
            return run_edit(run_context, asked, feedback)

        return base.PreparedRun(work, beside(source, context.project(), same_bands=extra_bands != "drop"))
