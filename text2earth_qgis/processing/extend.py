"""The algorithm ``text2earth:extend``: its parameters become an ``EditRequest``, its result a raster layer.

Works as ``text2earth:edit`` does; in place of a mask it paints what lies around the raster.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterLayer,
)

from text2earth_qgis.core.imagery import edit_request, rasters, region_features
from text2earth_qgis.core.imagery.extension import Extension
from text2earth_qgis.core.runs.blocking import FinishedRun
from text2earth_qgis.core.runs.blocking_edit import run_edit
from text2earth_qgis.processing import base
from text2earth_qgis.processing.layer_post_processor import beside

ABOUT = base.AlgorithmInfo(
    name="extend",
    title="Extend imagery",
    summary="Continues a raster over more land from a prompt; the pixels that it has stay to the byte.",
    help="Makes a raster larger: the land around it is painted from a prompt so that it continues what is "
    "there. Every pixel that the raster has stays as it is in every band, to the byte; CRS, pixel grid, "
    "type, nodata and metadata stay too. The result is a new file. What is painted is synthetic: it shows "
    "nothing that was observed, and the file says so.\n\n"
    "The result covers the smallest box of the raster's pixels around the raster and the extent, and all of "
    "it is painted that the raster does not have. Only the part of the raster near the new land is sent to "
    f"the Text2Earth backend. {base.BACKEND}\n\n"
    "The raster must be a file that QGIS reads through GDAL. Save an online layer as GeoTIFF first.",
    tags=("outpainting", "outpaint", "expand", "uncrop", "fill nodata"),
    output="Extended imagery",
    no_prompt="The prompt is empty. Describe the land that shall be around the raster.",
    parameters={
        "INPUT": "Raster file to extend. It is only read.",
        "EXTENT": "Land that the result covers besides the raster; it has to touch the raster. In "
        "qgis_process it needs its CRS: xmin,xmax,ymin,ymax [EPSG:32633].",
        "PROMPT": "What the new land shows, for example: grassland.",
        "FILL_HOLES": "Paint pixels of the raster that have no value, too, if they lie in the extent.",
        "STRETCH": "Values that the model sees as black and white. displayed: as the layer is shown. "
        "2-98 %: of what is near the new land. Or min,max for all bands, or min,max;min,max;min,max.",
        "EXTRA_BANDS": "Other bands of the new land. match: values of known pixels of similar colour. drop: "
        "the result has no such bands.",
        "GUIDANCE": "How closely the new land follows the prompt. Left empty, what suits the model.",
        "MODEL": "Id of an inpainting model of the backend. Left empty, its default model.",
        **base.REGIONS,
    },
)


class Extend(base.Algorithm):
    """Extend a raster over more land."""

    about = ABOUT

    def __init__(self) -> None:
        super().__init__()
        self._request: Optional[edit_request.EditRequest] = None
        self._regions: Optional[region_features.RegionLayer] = None
        self._near: Optional[region_features.SearchArea] = None

    def _plain(self) -> base.Definitions:
        return (
            QgsProcessingParameterRasterLayer("INPUT", "Raster to extend"),
            QgsProcessingParameterExtent("EXTENT", "Extent"),
            base.prompt(),
            QgsProcessingParameterBoolean("FILL_HOLES", "Fill holes of the raster in the extent", True),
            base.seed(),
        )

    def _advanced(self) -> base.Definitions:
        return (*base.view(("match", "drop")), *base.regions())

    def _read(self, parameters: base.Parameters, context: QgsProcessingContext) -> None:
        source = self._source(parameters, context)
        options = {
            **self._options(parameters, context),
            "bands": self._bands(parameters, context),
            "extra_bands": self.parameterAsEnumString(parameters, "EXTRA_BANDS", context),
        }
        self._placement = beside(source, context.project(), same_bands=options["extra_bands"] != "drop")
        holes = self.parameterAsBool(parameters, "FILL_HOLES", context)
        self._request = edit_request.EditRequest(
            source=rasters.file_of(source),
            displayed=rasters.displayed_bands(source),
            mask=Extension(*self._extent(parameters, context), fill_holes=holes),
            context=context.transformContext(),
            target=Path(self._target),
            options=options,
            stretch=self.parameterAsString(parameters, "STRETCH", context),
            project=self._project,
            layers=(source.id(), ""),
        )
        self._regions = self._areas(parameters, context)
        self._near = region_features.SearchArea(
            *self._extent(parameters, context), context.transformContext()
        )

    def _work(self, feedback: QgsProcessingFeedback) -> FinishedRun:
        request = self._request
        if self._regions is not None:
            found = region_features.read_regions(self._regions, self._near, feedback.isCanceled)
            feedback.pushInfo(f"{len(found.geojson['features'])} regions are sent.")
            request = replace(request, options={**request.options, "regions": found})
        return run_edit(self._run_context, request, feedback)
