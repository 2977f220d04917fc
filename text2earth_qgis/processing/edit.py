"""The algorithm ``text2earth:edit``: its parameters become an ``EditRequest``, its result a raster layer.

Layers are read in the main thread into what any thread may use; the user's layer is never changed, the
result is another file.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Optional

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingMultiStepFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterRasterLayer,
    QgsRasterLayer,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from text2earth_qgis.core import settings
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery import edit_request, masks, online, online_fetch, rasters
from text2earth_qgis.core.imagery.assembly import RESULTS
from text2earth_qgis.core.imagery.datasets import RasterFile
from text2earth_qgis.core.runs.blocking import FinishedRun
from text2earth_qgis.core.runs.blocking_edit import run_edit
from text2earth_qgis.core.tasks import Listener, stoppable
from text2earth_qgis.core.wire import calls
from text2earth_qgis.processing import base
from text2earth_qgis.processing.layer_post_processor import beside

ABOUT = base.AlgorithmInfo(
    name="edit",
    title="Edit imagery",
    summary="Paints a masked part of a raster anew from a prompt; the rest stays to the byte.",
    help="Paints a part of a raster anew from a prompt: inside a mask, a polygon layer or another raster. "
    "Outside of the mask every pixel of every band stays as it is, to the byte; grid, CRS, type, nodata and "
    "metadata stay too. The result is a new file. What is painted is synthetic: it shows nothing that was "
    "observed, and the file says so.\n\n"
    "Only the mask and the part of the raster around it are sent to the Text2Earth backend. "
    f"{base.BACKEND}\n\n"
    "An online layer (XYZ, WMS, ...) is fetched around the mask, in pixels that suit the model, and the "
    "result is an image of that part alone. Its attribution stays with it.",
    tags=("inpainting", "inpaint", "mask"),
    output="Edited imagery",
    no_prompt="The prompt is empty. Describe what shall be in the mask.",
    parameters={
        "INPUT": "Raster to edit: a file or an online layer. It is only read.",
        "MASK": "Where the raster may change: polygons, or a raster that is above zero there, in any CRS.",
        "SELECTED_ONLY": "Take only the selected polygons of the mask.",
        "PROMPT": "What shall be there, for example: a lake.",
        "NEGATIVE_PROMPT": "What shall not be there.",
        "FEATHER": "Metres on the ground over which the edit fades in, inside the mask; if empty, 6 pixels.",
        "GROW": "Metres on the ground by which the mask grows first.",
        "STRENGTH": "1 paints anew; less keeps more of what is there.",
        "STRETCH": "Values that the model sees as black and white. displayed: as the layer is shown. "
        "2-98 %: of what is around the mask. Or min,max for all bands, or min,max;min,max;min,max.",
        "EXTRA_BANDS": "Other bands in the mask. match: values of known pixels of similar colour. keep: as "
        "they are. drop: the result has no such bands.",
        "RESULT": "whole: the raster with the edit in it. patch: only the part that was sent. vrt: "
        "a file that shows the patch, saved beside it, over the raster.",
        "GUIDANCE": "How closely the edit follows the prompt. Left empty, what suits the model.",
        "MODEL": "Id of an inpainting model of the backend. Left empty, its default model.",
        "SEND_ONLINE": "Allow imagery of an online layer to be sent to the backend. Check its terms first; "
        "this is remembered for the server it comes from.",
        "GSD": "Only for online layers: metres on the ground per pixel. The zoom level nearest to it is "
        "taken. Left empty, the finest that the model makes.",
        "OUTPUT": "GeoTIFF to write; for the result vrt, a name that ends in .vrt.",
    },
)


class Edit(base.Algorithm):
    """Edit a raster inside a mask."""

    about = ABOUT

    def __init__(self) -> None:
        super().__init__()
        self._request: Optional[edit_request.EditRequest] = None
        self._online: Optional[online.OnlineLayer] = None
        self._folder: Optional[TemporaryDirectory[str]] = None  # of what is fetched of it
        self._gsd: Optional[float] = None

    def _plain(self) -> base.Definitions:
        kinds = [QgsProcessing.SourceType.TypeVectorPolygon, QgsProcessing.SourceType.TypeRaster]
        return (
            QgsProcessingParameterRasterLayer("INPUT", "Raster to edit"),
            QgsProcessingParameterMapLayer("MASK", "Mask: polygons or raster", types=kinds),
            QgsProcessingParameterBoolean("SELECTED_ONLY", "Only selected polygons of the mask", False),
            base.prompt(),
            base.choice("RESULT", "Result", RESULTS, "whole"),
            base.seed(),
        )

    def _advanced(self) -> base.Definitions:
        return (
            base.number("FEATHER", "Feather (m)", base.DOUBLE, (0, 1_000_000)),
            base.number("GROW", "Grow the mask by (m)", base.DOUBLE, (0, 1_000_000), 0),
            base.number("STRENGTH", "Strength", base.DOUBLE, (0.01, 1), 1),
            *base.view(("match", "keep", "drop")),
            QgsProcessingParameterBoolean(
                "SEND_ONLINE", "Send imagery of this online layer to the backend", False
            ),
            base.number("GSD", "Ground sample distance of an online layer (m)", base.DOUBLE, (0.01, 100_000)),
        )

    def _read(self, parameters: base.Parameters, context: QgsProcessingContext) -> None:
        source = self._source(parameters, context)
        options = {
            **self._options(parameters, context),
            "bands": self._bands(parameters, context),
            "extra_bands": self.parameterAsEnumString(parameters, "EXTRA_BANDS", context),
        }
        self._gsd = options.pop("gsd", None)
        fetched = online.is_online(source)  # and so gone when a result is collected by another start of QGIS
        same_bands = options["extra_bands"] != "drop" and not fetched
        self._placement = beside(source, context.project(), same_bands)
        self._request = edit_request.EditRequest(
            source=self._file(source, parameters, context),
            displayed=rasters.displayed_bands(source)
            if self._online is None
            else rasters.DisplayedBands((1, 2, 3)),
            mask=self._mask(source, parameters, context),
            context=context.transformContext(),
            target=Path(self._target),
            options=options,
            stretch=self.parameterAsString(parameters, "STRETCH", context),
            result="patch" if fetched else self.parameterAsEnumString(parameters, "RESULT", context),
            project=self._project,
            layers=(source.id(), ""),
        )

    def _file(
        self, source: QgsRasterLayer, parameters: base.Parameters, context: QgsProcessingContext
    ) -> RasterFile:
        """Return the file that is edited; that of an online layer is still to be made."""
        if not online.is_online(source):
            if self._gsd is not None:
                raise PluginError(
                    "A raster file keeps its own pixels: leave the ground sample distance empty."
                )
            return rasters.file_of(source)
        if self.parameterAsEnumString(parameters, "RESULT", context) == "vrt":
            raise PluginError("An online layer has no file that a VRT could show. Choose another result.")
        self._online = online.online_layer(source)
        self._check_allowed(self._online.host, self.parameterAsBool(parameters, "SEND_ONLINE", context))
        self._folder = TemporaryDirectory(prefix="text2earth-")
        return online.file_for(self._online, Path(self._folder.name))

    def _check_allowed(self, host: str, allow: bool) -> None:
        """Refuse to send what the user has not allowed to be sent; ``allow`` is remembered for the host."""
        if settings.sends_imagery_of(host):
            return
        if not allow:
            backend = calls.site(self._run_context.access.url)
            raise PluginError(
                f"Imagery of {host} would be sent to the backend at {backend}. "
                "If its terms allow that, tick 'Send imagery of this online layer to the backend' "
                "(SEND_ONLINE=true in scripts). It is asked once for each host."
            )
        settings.send_imagery_of(host)

    def _mask(
        self, source: QgsRasterLayer, parameters: base.Parameters, context: QgsProcessingContext
    ) -> masks.Mask:
        layer = self.parameterAsLayer(parameters, "MASK", context)
        only = self.parameterAsBool(parameters, "SELECTED_ONLY", context)
        if isinstance(layer, QgsVectorLayer):
            ids = frozenset(layer.selectedFeatureIds()) if only else None
            return masks.MaskPolygons(layer.name(), QgsVectorLayerFeatureSource(layer), layer.crs(), ids)
        if isinstance(layer, QgsRasterLayer):
            if layer.source() == source.source():  # the dialog proposes it where there is no other layer
                raise PluginError(
                    "The mask is the raster itself. Choose the polygons to paint, or another raster."
                )
            return rasters.file_of(layer)
        raise PluginError(f"{parameters.get('MASK')}, the mask, is neither a polygon layer nor a raster.")

    def _work(self, feedback: QgsProcessingFeedback) -> FinishedRun:
        if self._online is None:
            return run_edit(self._run_context, self._request, feedback)
        with self._folder:
            steps = QgsProcessingMultiStepFeedback(2, feedback)
            with stoppable(steps) as stop:
                tell = Listener(lambda share: steps.setProgress(100 * share), steps.pushInfo, stop.isCanceled)
                online_fetch.fetch(self._run_context.access, self._online, self._request, self._gsd, tell)
            steps.setCurrentStep(1)
            return run_edit(self._run_context, self._request, steps)
