"""Work that takes long, done in a background task or waited for: its progress, and how it is stopped.

Knows neither what is done nor who asked.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Callable, Iterator, Optional

from qgis.core import QgsApplication, QgsProcessingFeedback, QgsTask

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.threads import Feedback, pool_of_tasks, pool_thread_released
from text2earth_qgis.core.timers import single_shot

FREE_MS = 20  # between two looks whether a worker is free

_under_way: set[BackgroundTask] = (
    set()
)  # QGIS keeps a task alive, but not the Python part of it that does the work


@dataclass(frozen=True)
class Listener:
    """Whoever waits for long work: hears how much is done (0 to 1) and what happens, and may stop it."""

    progress: Callable[[float], object]
    say: Callable[[str], object]
    stop: Callable[[], bool]

    def isCanceled(self) -> bool:
        """Whether to stop (as ``threads.Feedback``)."""
        return self.stop()

    def part(self, first: float, last: float) -> Listener:
        """Return a listener for a part of the work, from one share of it to another."""
        return replace(self, progress=lambda share: self.progress(first + (last - first) * share))


class BackgroundTask(QgsTask):
    """Long work in a worker thread of QGIS. Closing QGIS cancels it without a question: nothing is lost."""

    def __init__(
        self,
        title: str,
        work: Callable[[Listener], object],
        done: Callable[[Any, Optional[PluginError]], None],
        quiet: bool = False,
    ) -> None:
        """Do ``work``; ``done`` is called with what it returned, None if it did not, and why it failed.

        A ``quiet`` one is not listed among the tasks of QGIS, where that is possible (3.26).
        """
        flags = QgsTask.Flag.CanCancel | QgsTask.Flag.CancelWithoutPrompt
        if quiet and hasattr(QgsTask.Flag, "Hidden"):
            flags |= getattr(QgsTask.Flag, "Hidden")  # noqa: B009 (QGIS 3.22 has none)
        super().__init__(f"Text2Earth: {title}", flags)
        self.said = ""
        self._title = title
        self._work = work
        self._done = done
        self._found: object = None
        self._error: Optional[PluginError] = None
        self._later = single_shot(self, self._begin, FREE_MS)

    def start(self) -> None:
        """Start in one of QGIS's workers once one is free, whether or not the caller keeps this object.

        Not before: of tasks that wait for one, QGIS may throw one away when another ends that had the same
        address in memory.
        """
        _under_way.add(self)
        self._begin()

    def cancel(self) -> None:
        """Stop, or do not begin; it calls back without a result."""
        waits = self._later.isActive()
        self._later.stop()
        super().cancel()
        if waits:
            self.finished(False)

    def drop(self) -> None:
        """Cancel without calling back."""
        self._done = _nothing
        self.cancel()

    def run(self) -> bool:
        """Work; runs in a worker, and so connects nothing and touches no widget."""
        try:
            with pool_thread_released():
                self._found = self._work(Listener(self._count, self._hear, self.isCanceled))
        except PluginError as error:
            self._error = None if self.isCanceled() else error
            return False
        except Exception as error:  # noqa: BLE001 (the edge of the worker: it would end QGIS)
            self._error = PluginError(
                tr("Failed while {title}: {error}.").format(
                    title=self._title, error=f"{type(error).__name__}: {error}"
                )
            )
            return False
        return True

    def finished(self, good: bool) -> None:
        """Call back, in the main thread; after that nothing of the caller is held.

        A ring of task, function and caller would be left to Python's collector, which may run in a
        worker and destroy Qt's objects there.
        """
        _under_way.discard(self)
        done, found, error = self._done, self._found, self._error
        self._work, self._done, self._found, self._error = _nothing, _nothing, None, None
        done(found if good else None, error)

    def _begin(self) -> None:
        pool = pool_of_tasks()
        if pool.activeThreadCount() < pool.maxThreadCount():
            QgsApplication.taskManager().addTask(self)
        else:
            self._later.start()

    def _count(self, share: float) -> None:
        self.setProgress(100 * share)

    def _hear(self, text: str) -> None:
        self.said = text
        self.progressChanged.emit(self.progress())  # it may be long until there is any


def _nothing(*_told: object) -> None:
    """What a task does, and calls, once it is over or dropped."""


class _CancelOrSignal:
    """Cancelled if the feedback is, or if a signal came."""

    def __init__(self, feedback: Feedback) -> None:
        self._feedback = feedback
        self.signalled = False

    def isCanceled(self) -> bool:
        return self.signalled or self._feedback.isCanceled()


@contextmanager
def stoppable(feedback: QgsProcessingFeedback) -> Iterator[_CancelOrSignal]:
    """Yield what says whether to stop: the feedback, in the main thread also a SIGTERM.

    The algorithms of qgis_process run there; QGIS itself turns SIGINT into a cancelled feedback.
    """
    stop = _CancelOrSignal(feedback)
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
