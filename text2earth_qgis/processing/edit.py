"""The algorithm ``text2earth:edit``: its parameters become an ``EditRequest``, its result a raster layer.

Layers are read in the main thread into what any thread may use; the user's layer is never changed, the
result is another file.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Optional

from qgis.core import (
    QgsProcessing,
    QgsProcessingFeedback,
    QgsProcessingMultiStepFeedback,
    QgsProcessingParameterBoolean,
    QgsRasterLayer,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from text2earth_qgis.core import settings
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery import masks, online, online_fetch, rasters
from text2earth_qgis.core.imagery.assembly import RESULTS
from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.imagery.edit_request import EditRequest
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.blocking import FinishedRun, RunContext
from text2earth_qgis.core.runs.blocking_edit import run_edit
from text2earth_qgis.core.tasks import Listener, stoppable
from text2earth_qgis.core.wire import calls
from text2earth_qgis.processing import base, layouts, samples
from text2earth_qgis.processing import parameters as shared
from text2earth_qgis.processing.layer_post_processor import beside
from text2earth_qgis.processing.parameter_reader import ParameterReader
from text2earth_qgis.processing.variants import Variant

ABOUT = base.AlgorithmInfo(
    name="edit",
    title=tr("Edit imagery"),
    summary=tr("Paints a masked part of a raster anew; the rest stays to the byte."),
    help="\n\n".join(
        (
            tr(
                "Paints a part of a raster anew from a prompt, or fills it from its surroundings where "
                "there is no prompt: inside a mask, a polygon layer or another raster. Outside of the mask "
                "every pixel of every band stays as it is, to the byte; grid, CRS, type, nodata and "
                "metadata stay too. The result is a new file. What is painted is synthetic: it shows "
                "nothing that was observed, and the file says so."
            ),
            tr("Only the mask and the part of the raster around it are sent to the Text2Earth backend.")
            + f" {base.BACKEND}",
            tr(
                "An online layer (XYZ, WMS, ...) is fetched around the mask, in pixels that suit the model, "
                "and the result is an image of that part alone. Its attribution stays with it."
            ),
        )
    ),
    tags=("inpainting", "inpaint", "mask"),
    section="edit-a-raster",
    output=tr("Edited imagery"),
    parameters={
        "INPUT": tr("Raster to edit: a file or an online layer. It is only read."),
        "MASK": tr(
            "Where the raster may change: polygons, or a raster that is above zero there, in any CRS."
        ),
        "SELECTED_ONLY": tr("Take only the selected polygons of the mask."),
        "PROMPT": tr(
            "What shall be there, for example: a lake. Left empty, the mask is filled from what is "
            "around it: for removing things. Every band is then copied from real pixels nearby."
        ),
        "NEGATIVE_PROMPT": tr("What shall not be there."),
        "FEATHER": tr(
            "Metres on the ground over which the edit fades in, inside the mask; if empty, 6 pixels."
        ),
        "GROW": tr("Metres on the ground by which the mask grows first."),
        "STRENGTH": tr("1 paints anew; less keeps more of what is there."),
        "STRETCH": tr(
            "Values that the model sees as black and white. displayed: those set by hand in the style of "
            "the layer; where QGIS has counted them, what suits the surroundings. 2-98 %: of what is "
            "around the mask. Or min,max for all bands, or min,max;min,max;min,max."
        ),
        "EXTRA_BANDS": tr(
            "Other bands in the mask. match: values of known pixels of similar colour. keep: as they "
            "are. drop: the result has no such bands."
        ),
        "RESULT": tr(
            "whole: the raster with the edit in it. patch: only the part that was sent. vrt: a file that "
            "shows the patch, saved beside it, over the raster."
        ),
        "GUIDANCE": tr("How closely the edit follows the prompt. Left empty, what suits the model."),
        "MODEL": tr("Id of an inpainting model of the backend. Left empty, its default model."),
        "SEND_ONLINE": tr(
            "Allow imagery of an online layer to be sent to the backend. Check its terms first; this is "
            "remembered for the server it comes from."
        ),
        "GSD": tr(
            "Only for online layers: metres on the ground per pixel. The zoom level nearest to it is "
            "taken. Left empty, the finest that the model makes."
        ),
        **layouts.HELP,
        **samples.HELP,
        "SAMPLE": samples.HELP["SAMPLE"] + samples.OWN_RASTER,
        "OUTPUT": tr("GeoTIFF to write; for the result vrt, a name that ends in .vrt."),
    },
)


class Edit(base.Algorithm):
    """Edit a raster inside a mask."""

    about = ABOUT

    def _plain(self) -> shared.Definitions:
        kinds = [QgsProcessing.SourceType.TypeVectorPolygon, QgsProcessing.SourceType.TypeRaster]
        return (
            shared.RasterInput("INPUT", tr("Raster to edit")),
            shared.MaskInput("MASK", tr("Mask: polygons or raster"), types=kinds),
            QgsProcessingParameterBoolean("SELECTED_ONLY", tr("Only selected polygons of the mask"), False),
            shared.optional_prompt(),
            shared.choice("RESULT", tr("Result"), RESULTS, "whole"),
            shared.seed(),
        )

    def _advanced(self) -> shared.Definitions:
        return (
            shared.number("FEATHER", tr("Feather (m)"), shared.DOUBLE, (0, 1_000_000)),
            shared.number("GROW", tr("Grow the mask by (m)"), shared.DOUBLE, (0, 1_000_000), 0),
            shared.number("STRENGTH", tr("Strength"), shared.DOUBLE, (0.01, 1), 1),
            *shared.view(("match", "keep", "drop")),
            QgsProcessingParameterBoolean(
                "SEND_ONLINE", tr("Send imagery of this online layer to the backend"), False
            ),
            shared.number(
                "GSD", tr("Ground sample distance of an online layer (m)"), shared.DOUBLE, (0.01, 100_000)
            ),
            *layouts.definitions(),
            *samples.definitions(),
        )

    def _prepare(self, reader: ParameterReader) -> base.PreparedRun:
        source = reader.source()
        options = {
            **reader.options(),
            "bands": reader.bands(),
            "extra_bands": reader.choice("EXTRA_BANDS"),
        }
        gsd: Optional[float] = options.pop("gsd", None)
        imagery = _online(reader, source) if online.is_online(source) else None
        if imagery is None and gsd is not None:
            raise PluginError(
                tr("A raster file keeps its own pixels: leave the ground sample distance empty.")
            )
        request = EditRequest(
            source=rasters.file_of(source) if imagery is None else online.file_for(imagery, Path()),
            displayed=rasters.displayed_bands(source)
            if imagery is None
            else rasters.DisplayedBands((1, 2, 3)),
            mask=_mask(reader, source),
            context=reader.context.transformContext(),
            target=Path(reader.target),
            options=options,
            stretch=reader.text("STRETCH"),
            # What is fetched is gone when a result is collected by another start of QGIS.
            result=reader.choice("RESULT") if imagery is None else "patch",
            project=reader.project,
            layers=(source.id(), ""),
            samples=samples.read(reader, source),
            sources=reader.sources,
        )
        layout, over = layouts.read(reader), reader.layer("MASK")
        near = SearchArea(over.extent(), over.crs(), reader.context.transformContext())

        def work(run_context: RunContext, variant: Variant, feedback: QgsProcessingFeedback) -> FinishedRun:
            asked = variant.of(request)
            if layout is not None:
                asked = asked.with_layout(layouts.send(layout, near, feedback))
            if imagery is None:
                return run_edit(run_context, asked, feedback)
            return _edit_online(run_context, asked, imagery, gsd, feedback)

        same_bands = options["extra_bands"] != "drop" and imagery is None
        return base.PreparedRun(work, beside(source, reader.context.project(), same_bands))


def _edit_online(
    run_context: RunContext,
    request: EditRequest,
    imagery: online.OnlineLayer,
    gsd: Optional[float],
    feedback: QgsProcessingFeedback,
) -> FinishedRun:
    """Fetch the pixels of an online layer around the mask, and edit them."""
    steps = QgsProcessingMultiStepFeedback(2, feedback)
    with TemporaryDirectory(prefix="text2earth-") as folder:
        request = replace(request, source=online.file_for(imagery, Path(folder)))
        with stoppable(steps) as stop:
            listener = Listener(lambda share: steps.setProgress(100 * share), steps.pushInfo, stop.isCanceled)
            online_fetch.fetch(run_context.access, imagery, request, gsd, listener)
        steps.setCurrentStep(1)
        return run_edit(run_context, request, steps)


def _online(reader: ParameterReader, source: QgsRasterLayer) -> online.OnlineLayer:
    """Return the online layer to edit. Refuses to send what the user has not allowed to be sent.

    What is allowed is remembered for the server it comes from.
    """
    if reader.choice("RESULT") == "vrt":
        raise PluginError(tr("An online layer has no file that a VRT could show. Choose another result."))
    imagery = online.online_layer(source)
    if settings.sends_imagery_of(imagery.host):
        return imagery
    if not reader.flag("SEND_ONLINE"):
        backend = calls.site(reader.access.url)
        raise PluginError(
            tr(
                "Imagery of {host} would be sent to the backend at {backend}. If its terms allow that, "
                "tick 'Send imagery of this online layer to the backend' (SEND_ONLINE=true in scripts). "
                "It is asked once for each host."
            ).format(host=imagery.host, backend=backend)
        )
    settings.send_imagery_of(imagery.host)
    return imagery


def _mask(reader: ParameterReader, source: QgsRasterLayer) -> masks.Mask:
    """Return where the raster may change."""
    layer = reader.layer("MASK")
    if isinstance(layer, QgsVectorLayer):
        ids = frozenset(layer.selectedFeatureIds()) if reader.flag("SELECTED_ONLY") else None
        return masks.MaskPolygons(layer.name(), QgsVectorLayerFeatureSource(layer), layer.crs(), ids)
    if isinstance(layer, QgsRasterLayer):
        if layer.source() == source.source():  # the dialog proposes it where there is no other layer
            raise PluginError(
                tr("The mask is the raster itself. Choose the polygons to paint, or another raster.")
            )
        return rasters.file_of(layer)
    raise PluginError(
        tr("{name}, the mask, is neither a polygon layer nor a raster.").format(
            name=reader.parameters.get("MASK")
        )
    )
