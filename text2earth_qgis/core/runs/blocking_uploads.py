"""Jobs that files are sent for, and removed from the backend after, for callers that wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

from qgis.core import QgsProcessingFeedback, QgsProcessingMultiStepFeedback

from text2earth_qgis.core.errors import Unreachable
from text2earth_qgis.core.imagery.samples import SampleRequest, send_alone
from text2earth_qgis.core.runs.blocking import FinishedRun, RunContext, run_job
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.runs.source_raster import SourceRaster
from text2earth_qgis.core.tasks import Listener, stoppable
from text2earth_qgis.core.wire.uploads import drop_uploads, uploads_of


def run_and_drop(
    context: RunContext, run: Run, feedback: QgsProcessingFeedback, listener: Listener
) -> FinishedRun:
    """Run a job as ``run_job`` does, and remove from the backend the files that were sent for it."""
    try:
        done = run_job(context, run, feedback)
    except Unreachable:  # the job may go on, and need its files
        raise
    except BaseException:
        drop_uploads(context.access, uploads_of(run.inputs), listener)
        raise
    drop_uploads(context.access, uploads_of(run.inputs), listener)
    return done


def run_with_samples(
    context: RunContext, run: Run, samples: Sequence[SampleRequest], feedback: QgsProcessingFeedback
) -> FinishedRun:
    """Send samples, and run a job of which they are the only files."""
    steps = QgsProcessingMultiStepFeedback(2, feedback)
    with stoppable(steps) as stop:
        listener = Listener(lambda share: steps.setProgress(100 * share), steps.pushInfo, stop.isCanceled)
        sent = send_alone(context.access, samples, listener)
        steps.setCurrentStep(1)
        run = replace(run, inputs={**run.inputs, "samples": sent.inputs})
        if run.sources:
            asked = SourceRaster.from_json(run.sources)
            run = replace(run, sources=replace(asked, corners=sent.corners).to_json())
        return run_and_drop(context, run, steps, listener)
