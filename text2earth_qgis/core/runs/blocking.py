"""A job of the backend, from the request to the file, for callers that wait: the Processing algorithms.

``run_job`` plans, starts, follows and fetches one job in the calling thread; cancelling it deletes the job on
the backend. ``watcher.JobWatcher`` is its sibling for the user interface, which must not wait.
"""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Iterator, Optional

from qgis.core import QgsProcessingFeedback
from qgis.PyQt.QtCore import QThreadPool

from text2earth_qgis.core.errors import (
    BackendError,
    Cancelled,
    HistoryError,
    JobFailed,
    PluginError,
    Unreachable,
    unwritable,
)
from text2earth_qgis.core.imagery.assembly import Assembly
from text2earth_qgis.core.runs.history import History, Run
from text2earth_qgis.core.settings import Access
from text2earth_qgis.core.wire.client import Client, Progress
from text2earth_qgis.core.wire.schemas import Json, Plan, StatusInfo
from text2earth_qgis.core.wire.transport import Feedback, in_main_thread, open_client, pause

PATIENCE = 120.0  # seconds a backend may be away (restarted, network down) before a run gives up
_waited_for: set[str] = set()  # keys of runs
_lent = threading.local()  # whether the pool thread of the asking thread is
DENOISING = 0.95  # share of the progress bar; the download has the rest


@dataclass(frozen=True)
class RunContext:
    """What every run needs: the backend, where to note runs, seconds between two questions."""

    access: Access
    history: Optional[History] = None
    poll_seconds: float = 1.0


@dataclass(frozen=True)
class Listener:
    """Who waits for something: hears the share done (0 to 1) and what happens, and may want to stop."""

    progress: Callable[[float], object]
    say: Callable[[str], object]
    stop: Callable[[], bool]

    def isCanceled(self) -> bool:
        """Whether to stop (as ``transport.Feedback``)."""
        return self.stop()

    def part(self, first: float, last: float) -> Listener:
        """Return the listener to a part of it all, from one share to another."""
        return replace(self, progress=lambda share: self.progress(first + (last - first) * share))


@dataclass(frozen=True)
class Done:
    """A run whose file is written, with the plan and the recipe it was made from."""

    run: Run
    plan: Plan
    recipe: Json


def run_job(desk: RunContext, run: Run, feedback: QgsProcessingFeedback) -> Done:
    """Run ``run.process`` with ``run.inputs``, write the image to ``run.target`` and return.

    Raises a ``PluginError``: ``Cancelled`` after the job was deleted on the backend; on any other failure a
    finished result stays there, and the run in the history, from where it can be fetched.
    """
    check_writable(Path(run.target))
    with _waiting(run), pool_thread_released(), stoppable(feedback) as stop:
        client = open_client(desk.access, stop)
        plan = client.plan(run.process, run.inputs)
        _tell(plan, feedback)
        run = replace(run, inputs={**run.inputs, "seed": plan.seed}, recipe=plan.recipe)
        run = note(desk, run, feedback)
        # Not cancellable, but short: only its answer names the job that a cancel has to delete.
        status = open_client(desk.access).execute(run.process, run.inputs, run.key)
        run = note(desk, replace(run, job=status.job, state=status.status), feedback)
        try:
            status = _follow(client, status, _Reporter(feedback, stop, desk.poll_seconds))
            run = note(desk, replace(run, state=status.status, message=status.message), feedback)
            raise_unless_successful(status)
            listener = Listener(
                lambda share: feedback.setProgress(100 * share), feedback.setProgressText, stop.isCanceled
            )
            run = note(desk, fetch(client, run, listener.part(DENOISING, 1)), feedback)
        except Cancelled:
            dismiss(desk, run, feedback)
            raise
        if run.message:
            raise PluginError(run.message)
        return Done(run, plan, run.recipe or plan.recipe)


def check_writable(target: Path) -> None:
    """Refuse a file that could not be written once it is there. Raises ``PluginError``."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise unwritable(target, error) from error


def waited_for(run: Run) -> bool:
    """Whether somebody in this process waits for a run, so that nobody else has to fetch its result."""
    return run.key in _waited_for


@contextmanager
def _waiting(run: Run) -> Iterator[None]:
    _waited_for.add(run.key)
    try:
        yield
    finally:
        _waited_for.discard(run.key)


def fetch(client: Client, run: Run, listener: Listener) -> Run:
    """Write the result of a finished job to ``run.target``; return the run as it is then.

    An edit's part is put into its source. Where that cannot be done, the part is the result: it is the run's
    ``target``, and ``message`` says why. Raises ``Cancelled`` with nothing left behind, or a ``PluginError``
    while the result is still on the backend.
    """
    if not run.assembly:
        recipe = fetch_result(client, run.job, Path(run.target), listener.progress)
        return replace(run, state="fetched", recipe=recipe, message="")
    assembly = Assembly.from_json(run.assembly)
    recipe = fetch_result(client, run.job, assembly.part, listener.part(0, 0.5).progress)
    run = replace(run, state="fetched", recipe=recipe, message="")
    listener.say("Writing the result")
    try:
        assembly.finish(Path(run.target), listener.part(0.5, 1).progress, listener.stop)
    except Cancelled:
        assembly.part.unlink(missing_ok=True)
        raise
    except PluginError as error:
        return replace(
            run, target=str(assembly.part), message=f"{error} The edited part is in {assembly.part}."
        )
    return run


def fetch_result(
    client: Client, job: str, path: Path, progress: Optional[Callable[[float], object]] = None
) -> Json:
    """Write the image of a finished job to ``path`` and return its recipe."""
    links = client.results(job)
    if "image" not in links:
        raise JobFailed("The backend has no image of this job.")
    recipe = client.fetch_json(links["recipe"].href) if "recipe" in links else {}
    client.download(links["image"], path, shares(progress) if progress else None)
    return recipe


def raise_unless_successful(status: StatusInfo) -> None:
    """Raise ``JobFailed`` with the reason if the job did not end well."""
    if status.status == "failed":
        raise JobFailed(f"The backend could not finish the job: {status.message or 'it gave no reason.'}")
    if status.status == "dismissed":
        raise JobFailed("The job was dismissed on the backend.")


def standing(status: StatusInfo) -> str:
    """Return where a job stands, in words."""
    if status.status == "accepted" and status.queue_position:
        return f"Waiting, place {status.queue_position} in the queue"
    return status.message or {"accepted": "Waiting", "running": "Running"}.get(status.status, status.status)


class _Either:
    """Cancelled if the feedback is, or if a signal came."""

    def __init__(self, feedback: Feedback) -> None:
        self._feedback = feedback
        self.signalled = False

    def isCanceled(self) -> bool:
        return self.signalled or self._feedback.isCanceled()


@dataclass
class _Reporter:
    """Passes on what the backend says, each sentence once."""

    feedback: QgsProcessingFeedback
    stop: Feedback
    poll_seconds: float
    said: str = ""

    def tell(self, status: StatusInfo) -> None:
        text = standing(status)
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
                reporter.feedback.pushWarning(f"{error} Waiting for it: the job goes on there.")
            elif time.monotonic() - away > PATIENCE:
                raise
    return status


def dismiss(desk: RunContext, run: Run, feedback: QgsProcessingFeedback) -> None:
    """Delete the job of a cancelled run; if the backend cannot be told, the next start of QGIS tells it."""
    run = note(desk, replace(run, state="dismissing"), feedback)
    try:
        open_client(desk.access).delete(run.job)
    except PluginError as error:
        feedback.reportError(f"The job {run.job} may still run on the backend: {error}")
        return
    note(desk, replace(run, state="dismissed"), feedback)


def note(desk: RunContext, run: Run, feedback: QgsProcessingFeedback) -> Run:
    """Write the run to the history; a history that cannot be written is no reason to lose the run."""
    if desk.history is None:
        return run
    try:
        return desk.history.put(run)
    except HistoryError as error:
        feedback.pushWarning(str(error))
        return run


def _tell(plan: Plan, feedback: QgsProcessingFeedback) -> None:
    x, y = plan.ground
    level = "" if plan.level is None else f", level {plan.level}"
    seconds = "" if plan.seconds is None else f", about {max(1, round(plan.seconds))} s"
    feedback.pushInfo(
        f"{plan.width} x {plan.height} px in {plan.crs_name}, {x:.4g} x {y:.4g} m each on the ground{level}; "
        f"{plan.windows} windows{seconds}; seed {plan.seed}"
    )
    for warning in plan.warnings:
        feedback.pushWarning(warning)


def shares(progress: Callable[[float], object]) -> Progress:
    """Return what turns bytes, of a transfer whose size is known, into shares."""
    return lambda there, size: progress(there / size) if size > 0 else None


@contextmanager
def pool_thread_released() -> Iterator[None]:
    """Lend the pool thread to others while this one waits: QGIS 3.22 renders maps in the same pool.

    It is lent once, however deep: each lending more would let the pool begin one thread too many.
    """
    if in_main_thread() or getattr(_lent, "now", False):
        yield
        return
    pool = QThreadPool.globalInstance()
    pool.releaseThread()
    _lent.now = True
    try:
        yield
    finally:
        _lent.now = False
        pool.reserveThread()


@contextmanager
def stoppable(feedback: QgsProcessingFeedback) -> Iterator[_Either]:
    """Yield what says whether to stop: the feedback, in the main thread also a SIGTERM.

    The algorithms of qgis_process run there; QGIS itself turns SIGINT into a cancelled feedback.
    """
    stop = _Either(feedback)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def signalled(_number: int, _frame: object) -> None:
        stop.signalled = True

    before = signal.signal(signal.SIGTERM, signalled)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
