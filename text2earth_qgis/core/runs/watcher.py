"""A job of the backend followed by the user interface: nothing waits, the main thread is called back.

A ``JobWatcher`` takes one run from its state in the history to the end: prepares it in a task if it needs
files, submits it, asks where it stands, fetches the file in a task, or deletes the job when the user cancels.
Every step may be repeated, so a run is taken up where it was left after a restart of QGIS, of the backend or
of the network. Knows no widgets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Callable, Mapping, Optional, TypeVar

from qgis.PyQt.QtCore import QObject, pyqtSignal

from text2earth_qgis.core.errors import BackendError, JobFailed, Locked, PluginError, Unreachable
from text2earth_qgis.core.imagery.edit_preparation import Prepare, SentRequest
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.fetching import fetch
from text2earth_qgis.core.runs.history import History, Run
from text2earth_qgis.core.runs.job_status import (
    DENOISING,
    all_notes,
    notes_of,
    raise_unless_successful,
    status_text,
)
from text2earth_qgis.core.runs.source_raster import SourceRaster
from text2earth_qgis.core.runs.time_left import TimeLeft, steadied
from text2earth_qgis.core.tasks import BackgroundTask, Listener
from text2earth_qgis.core.timers import single_shot
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.async_client import AsyncClient
from text2earth_qgis.core.wire.quiet_network import Pending
from text2earth_qgis.core.wire.schemas import Json, StatusInfo
from text2earth_qgis.core.wire.transport import open_client

T = TypeVar("T")

LONGEST_WAIT = 30.0  # seconds between two tries while the backend is away
GONE = (404, 410)
NO_ANSWER = tr("No answer from the backend.")  # why, ``lost`` tells
UNSENT = tr("QGIS was closed before everything was sent. Run it again.")


@dataclass(frozen=True)
class RunStatus:
    """What there is to show of a run; ``status`` is the backend's latest answer in this session.

    ``left`` are the seconds that it still takes, steadied for people.
    """

    run: Run
    text: str
    percent: Optional[float] = None
    status: Optional[StatusInfo] = None
    left: Optional[float] = None


class JobWatcher(QObject):
    """Follows one run in the main thread; ends with one of finished, failed, dismissed.

    ``stop()`` only ends the watching (QGIS closes, the plugin is unloaded): the job goes on, the run stays in
    the history. ``cancel()`` is the user's and deletes the job. After ``failed`` a run that is still ``open``
    can be started again by a new watcher: the watching failed, not the job.
    """

    changed = pyqtSignal(object)  # RunStatus
    lost = pyqtSignal(object)  # PluginError: no answer, or none with these credentials; it is asked again
    finished = pyqtSignal(object)  # Run: its file is there
    failed = pyqtSignal(object, str)  # Run, sentence
    dismissed = pyqtSignal(object)  # Run

    def __init__(
        self,
        access_of: Callable[[], Access],
        history: History,
        run: Run,
        poll_seconds: float = 1.0,
        parent: Optional[QObject] = None,
        prepare: Optional[Prepare] = None,
    ) -> None:
        """Follow ``run``; one that is still "preparing" gets its inputs and assembly from ``prepare``.

        ``access_of`` is asked before each question: the credentials may change while a job runs.
        """
        super().__init__(parent)
        self.run = run
        self._prepare_it = prepare
        self._history = history
        self._poll = poll_seconds
        self._access_of = access_of
        self._client = AsyncClient(access_of(), self)
        self._asked: Optional[Pending] = None
        self._task: Optional[BackgroundTask] = None
        self._tries = 0
        self._over = False
        self._left: Optional[TimeLeft] = None
        self._timer = single_shot(self, self._step)

    def start(self) -> None:
        """Take the run up where it stands; a new one is noted before it is sent."""
        try:
            self.run = self._history.put(self.run)
        except PluginError as error:
            self._end(self.failed, str(error))
            return
        self._step()

    def cancel(self) -> None:
        """Stop the job itself: it is deleted on the backend, now or as soon as that answers."""
        if self._over or self.run.state == "dismissing":
            return
        submitting = self.run.state == "submitting" and self._asked is not None
        unsent = self.run.state == "preparing"
        if self._task is not None:
            self._task.drop()
            self._task = None
        if not submitting:  # else the answer names the job that is to be deleted
            self._drop_question()
        self._tries = 0
        if unsent:
            self._note(state="dismissed")
            self._end(self.dismissed)
            return
        self._note(state="dismissing")
        self._tell(tr("Cancelling"))
        if not submitting:
            self._step()

    def decide(self, choice: str) -> None:
        """Note what the user decided of the run, a variant."""
        self._note(choice=choice)

    def stop(self) -> None:
        """Stop watching; the job goes on and the run can be taken up again."""
        self._over = True
        self._timer.stop()
        self._client.close()
        if self._task is not None:
            self._task.drop()
            self._task = None

    def _step(self) -> None:
        state, run = self.run.state, self.run
        if state == "preparing":
            self._prepare()
        elif state == "successful":
            self._fetch()
        elif state in ("accepted", "running"):
            self._ask(calls.status(run.job), self._told)
        elif state == "dismissing" and run.job:
            self._ask(calls.delete(run.job), self._deleted)
        elif state in ("submitting", "dismissing"):
            # The key makes this the same job, if an earlier try arrived after all.
            self._ask(calls.execute(run.process, run.inputs, run.key, run.outputs), self._started)

    def _renew(self) -> None:
        """Take new credentials for the same backend."""
        access = self._access_of()
        if access != self._client.access and access.server == self._client.access.server:
            self._client.close()
            self._client.deleteLater()
            self._client = AsyncClient(access, self)

    def _ask(self, call: calls.Call[T], done: Callable[[T], None]) -> None:
        self._renew()

        def answered(value: T) -> None:
            self._asked = None
            self._tries = 0
            done(value)

        self._asked = self._client.run(call, answered, self._troubled)

    def _started(self, status: StatusInfo) -> None:
        if self.run.state == "dismissing":
            self._note(job=status.job)
            self._step()
            return
        self._told(status)

    def _told(self, status: StatusInfo) -> None:
        if status.status != self.run.state or status.job != self.run.job:
            told = {"message": status.message, "notes": all_notes(self.run.notes, notes_of(status))}
            self._note(job=status.job, state=status.status, **told)
        percent = None if status.progress is None else status.progress * DENOISING
        self._tell(status_text(status), percent, status)
        if self._over:  # a slot may have stopped us
            return
        if status.status == "successful":
            self._step()
        elif status.finished:
            try:
                raise_unless_successful(status)
            except JobFailed as error:
                self._end(self.failed, str(error))
        else:
            self._wait(max(self._poll, status.retry_after or 0))

    def _deleted(self, _there: bool) -> None:
        self._note(state="dismissed")
        self._end(self.dismissed)

    def _prepare(self) -> None:
        if self._prepare_it is None:
            self._prepared(None, None)
        else:
            self._work(tr("sending what an edit needs"), self._prepare_it, self._prepared)

    def _prepared(self, made: Optional[SentRequest], error: Optional[PluginError]) -> None:
        if made is None:
            sentence = str(error or UNSENT)
            self._note(state="failed", message=sentence)
            self._end(self.failed, sentence)
            return
        self._note(
            state="submitting",
            inputs=made.inputs.to_json(),
            assembly=made.assembly.to_json() if made.assembly else {},
            sources=_counted(self.run.sources, made.corners),
            notes=" ".join(made.warnings),
        )
        self._step()

    def _fetch(self) -> None:
        self._renew()
        access, run = self._client.access, self.run

        def work(listener: Listener) -> Run:
            return fetch(open_client(access, listener), run, listener)

        self._work(tr("fetching a result"), work, self._fetched)

    def _fetched(self, run: Optional[Run], error: Optional[PluginError]) -> None:
        if error is not None:
            self._troubled(error)
        elif run is None:
            self._end(self.failed, tr("The download was stopped. The result is still on the backend."))
        else:
            self._note(state="fetched", recipe=run.recipe, target=run.target, message=run.message)
            self._end(self.finished)

    def _work(
        self,
        title: str,
        work: Callable[[Listener], object],
        done: Callable[[Any, Optional[PluginError]], None],
    ) -> None:
        """Do ``work`` in a task; ``done`` is called with what it returned, None where it did not."""

        def over(found: object, error: Optional[PluginError]) -> None:
            self._task = None
            done(found, error)

        self._task = BackgroundTask(title, work, over)
        self._task.progressChanged.connect(self._heard)
        self._task.start()

    def _heard(self, percent: float) -> None:
        if self._task is None:
            return
        if self.run.state == "preparing":
            self._tell(self._task.said or tr("Sending"), percent)
        else:
            whole = 100 * DENOISING + percent * (1 - DENOISING)
            self._tell(self._task.said or tr("Fetching the result"), whole)

    def _troubled(self, error: PluginError) -> None:
        """Try again what may pass; give the run up if the backend has no such job; else only the watching."""
        self._asked = None
        state = self.run.state
        refused = error if isinstance(error, BackendError) else None
        again = isinstance(error, (Unreachable, Locked)) or (refused is not None and refused.passing)
        again = again or (refused is not None and refused.status == 401)  # until the credentials are right
        if state == "submitting" and refused is not None and refused.status not in (502, 504):
            again = False
        if again:
            self._tries += 1
            said = NO_ANSWER if isinstance(error, Unreachable) else str(error)
            self._tell(f"{said} " + tr("Trying again."))
            if not (refused is not None and refused.passing):
                self.lost.emit(error)
            wait = refused.retry_after if refused is not None else None
            self._wait(min(LONGEST_WAIT, wait or self._poll * 2**self._tries))
            return
        gone = refused is not None and refused.status in GONE and bool(self.run.job)
        if gone:
            self._note(state="failed", message=tr("The backend no longer has this job."))
        elif state == "submitting":
            self._note(state="failed", message=str(error))
        elif state == "dismissing" and not self.run.job:  # it was never accepted
            self._note(state="dismissed")
            self._end(self.dismissed)
            return
        self._end(self.failed, self.run.message if gone else str(error))

    def _wait(self, seconds: float) -> None:
        if not self._over:
            self._timer.start(int(seconds * 1000))

    def _note(self, **changes: Any) -> None:
        self.run = replace(self.run, **changes)
        try:
            self.run = self._history.put(self.run)
        except PluginError as error:  # the run goes on; the user hears that it may not be found again
            self._tell(str(error))

    def _tell(self, text: str, percent: Optional[float] = None, status: Optional[StatusInfo] = None) -> None:
        left = None
        if status is not None:
            self._left = steadied(self._left, monotonic(), status.eta)
            left = self._left.seconds if self._left is not None else None
        self.changed.emit(RunStatus(self.run, text, percent, status, left))

    def _end(self, signal: pyqtSignal, *sentence: str) -> None:
        self.stop()
        signal.emit(self.run, *sentence)

    def _drop_question(self) -> None:
        self._timer.stop()
        if self._asked is not None:
            self._asked.cancel()
            self._asked = None


def _counted(sources: Json, corners: Mapping[str, tuple[int, int]]) -> Json:
    """Return where the raster of sources goes, and from where in the user's rasters it counts."""
    return replace(SourceRaster.from_json(sources), corners=corners).to_json() if sources else {}
