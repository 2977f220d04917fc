"""A job of the backend, from the request to the file, for callers that wait: the Processing algorithms.

``run_job`` plans, starts, follows and fetches one job in the calling thread; cancelling it deletes the job on
the backend. ``watcher.JobWatcher`` is its sibling for the user interface, which must not wait.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterator, Optional

from qgis.core import QgsProcessingFeedback

from text2earth_qgis.core.errors import BackendError, Cancelled, HistoryError, PluginError, Unreachable
from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.core.runs.fetching import check_writable, fetch
from text2earth_qgis.core.runs.history import History, Run
from text2earth_qgis.core.runs.job_status import (
    DENOISING,
    all_notes,
    notes_of,
    raise_unless_successful,
    status_text,
)
from text2earth_qgis.core.runs.source_raster import SourceRaster
from text2earth_qgis.core.tasks import Listener, stoppable
from text2earth_qgis.core.threads import Feedback, pause, pool_thread_released
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.client import Client
from text2earth_qgis.core.wire.schemas import Json, Plan, StatusInfo
from text2earth_qgis.core.wire.transport import open_client

PATIENCE = 120.0  # seconds a backend may be away (restarted, network down) before a run gives up
_waited_for: set[str] = set()  # keys of runs


@dataclass(frozen=True)
class RunContext:
    """What every run needs: the backend, where to note runs, seconds between two questions.

    ``variants`` is how many runs like it are made; what they take together is told before the first.
    """

    access: Access
    history: Optional[History] = None
    poll_seconds: float = 1.0
    variants: int = 1


@dataclass(frozen=True)
class FinishedRun:
    """A run whose file is written, with the plan and the recipe it was made from."""

    run: Run
    plan: Plan
    recipe: Json


def run_job(context: RunContext, run: Run, feedback: QgsProcessingFeedback) -> FinishedRun:
    """Run ``run.process`` with ``run.inputs``, write the image to ``run.target`` and return.

    Raises a ``PluginError``: ``Cancelled`` after the job was deleted on the backend; on any other failure a
    finished result stays there, and the run in the history, from where it can be fetched.
    """
    check_writable(Path(run.target))
    if run.sources:
        check_writable(SourceRaster.from_json(run.sources).target)
    with _waiting(run), pool_thread_released(), stoppable(feedback) as stop:
        client = open_client(context.access, stop)
        plan = client.plan(run.process, run.inputs, run.outputs)
        _tell(plan, feedback, context.variants)
        inputs = {**run.inputs, "seed": plan.seed}
        run = replace(run, inputs=inputs, recipe=plan.recipe, notes=all_notes(*plan.warnings))
        run = record(context, run, feedback)
        # Not cancellable, but short: only its answer names the job that a cancel has to delete.
        status = open_client(context.access).execute(run.process, run.inputs, run.key, run.outputs)
        run = record(context, replace(run, job=status.job, state=status.status), feedback)
        try:
            status = _follow(client, status, _Reporter(feedback, stop, context.poll_seconds))
            said = notes_of(status)
            notes = all_notes(run.notes, said)
            run = replace(run, state=status.status, message=status.message, notes=notes)
            run = record(context, run, feedback)
            raise_unless_successful(status)
            if notes != all_notes(*plan.warnings):  # which were told before
                feedback.pushWarning(said)
            listener = Listener(
                lambda share: feedback.setProgress(100 * share), feedback.setProgressText, stop.isCanceled
            )
            run = record(context, fetch(client, run, listener.part(DENOISING, 1)), feedback)
        except Cancelled:
            dismiss(context, run, feedback)
            raise
        if run.message:
            raise PluginError(run.message)
        return FinishedRun(run, plan, run.recipe or plan.recipe)


def is_waited_for(run: Run) -> bool:
    """Whether somebody in this process waits for a run, so that nobody else has to fetch its result."""
    return run.key in _waited_for


@contextmanager
def _waiting(run: Run) -> Iterator[None]:
    _waited_for.add(run.key)
    try:
        yield
    finally:
        _waited_for.discard(run.key)


@dataclass
class _Reporter:
    """Passes on what the backend says, each sentence once."""

    feedback: QgsProcessingFeedback
    stop: Feedback
    poll_seconds: float
    said: str = ""

    def tell(self, status: StatusInfo) -> None:
        text = status_text(status)
        if text != self.said:
            self.said = text
            self.feedback.setProgressText(text)
        if status.progress is not None:
            self.feedback.setProgress(status.progress * DENOISING)


def _follow(client: Client, status: StatusInfo, reporter: _Reporter) -> StatusInfo:
    """Ask until the job has finished; a backend that is away for a while is waited for."""
    away: Optional[float] = None
    while not status.finished:
        reporter.tell(status)
        pause(max(reporter.poll_seconds, status.retry_after or 0), reporter.stop)
        try:
            status = client.status(status.job)
            away = None
        except (BackendError, Unreachable) as error:
            if isinstance(error, BackendError) and not error.passing:
                raise
            if away is None:
                away = time.monotonic()
                reporter.feedback.pushWarning(
                    tr("{error} Waiting for it: the job goes on there.").format(error=error)
                )
            elif time.monotonic() - away > PATIENCE:
                raise
    return status


def dismiss(context: RunContext, run: Run, feedback: QgsProcessingFeedback) -> None:
    """Delete the job of a cancelled run; if the backend cannot be told, the next start of QGIS tells it."""
    run = record(context, replace(run, state="dismissing"), feedback)
    try:
        open_client(context.access).delete(run.job)
    except PluginError as error:
        feedback.reportError(
            tr("The job {job} may still run on the backend: {error}").format(job=run.job, error=error)
        )
        return
    record(context, replace(run, state="dismissed"), feedback)


def record(context: RunContext, run: Run, feedback: QgsProcessingFeedback) -> Run:
    """Write the run to the history; a history that cannot be written is no reason to lose the run."""
    if context.history is None:
        return run
    try:
        return context.history.put(run)
    except HistoryError as error:
        feedback.pushWarning(str(error))
        return run


def _tell(plan: Plan, feedback: QgsProcessingFeedback, variants: int) -> None:
    """Say what is made and what it takes, before the work begins."""
    x, y = plan.ground
    size = [
        tr("{width} x {height} px in {crs}, {x:.4g} x {y:.4g} m each on the ground").format(
            width=plan.width, height=plan.height, crs=plan.crs_name, x=x, y=y
        )
    ]
    if plan.level is not None:
        size.append(tr("level {level}").format(level=plan.level))
    work = [tr("by example")]
    if plan.windows:
        work = [trn("{count} window", "{count} windows", plan.windows).format(count=plan.windows)]
    if plan.seconds is not None:
        work.append(tr("about {seconds} s").format(seconds=max(1, round(plan.seconds))))
    seed = tr("seed {seed}").format(seed=plan.seed)
    feedback.pushInfo("; ".join([", ".join(size), ", ".join(work), seed]))
    if variants > 1 and plan.seconds is not None:
        text = tr("{count} variants of it take about {seconds} s together.")
        feedback.pushInfo(text.format(count=variants, seconds=max(1, round(variants * plan.seconds))))
    if plan.understood:
        feedback.pushInfo(tr("Shows {what}.").format(what="; ".join(plan.understood)))
    for warning in plan.warnings:
        feedback.pushWarning(warning)
