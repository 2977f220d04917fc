"""An edit or extension from the request to the file, for callers that wait: the Processing algorithms."""

from __future__ import annotations

from qgis.core import QgsProcessingFeedback, QgsProcessingMultiStepFeedback

from text2earth_qgis.core.imagery.edit_preparation import prepare
from text2earth_qgis.core.imagery.edit_request import EditRequest
from text2earth_qgis.core.runs.blocking import FinishedRun, RunContext
from text2earth_qgis.core.runs.blocking_uploads import run_and_drop
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.runs.source_raster import SourceRaster
from text2earth_qgis.core.tasks import Listener, stoppable


def run_edit(context: RunContext, request: EditRequest, feedback: QgsProcessingFeedback) -> FinishedRun:
    """Make an edit or extension, write it to ``request.target`` and return.

    Raises a ``PluginError``: ``Cancelled`` after job and uploads were deleted on the backend.
    """
    steps = QgsProcessingMultiStepFeedback(2, feedback)
    with stoppable(steps) as stop:
        listener = Listener(lambda share: steps.setProgress(100 * share), steps.pushInfo, stop.isCanceled)
        ready = prepare(context.access, request, listener)
        steps.setCurrentStep(1)
        run = Run(
            server=context.access.server,
            inputs=ready.inputs.to_json(),
            target=str(request.target),
            project=request.project,
            process=request.process,
            assembly=ready.assembly.to_json() if ready.assembly else {},
            samples=[sample.layer for sample in request.samples],
            sources=SourceRaster(request.sources, ready.corners).to_json() if request.sources else {},
        )
        return run_and_drop(context, run, steps, listener)
