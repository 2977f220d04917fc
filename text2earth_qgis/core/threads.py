"""Waiting in any thread of QGIS without stopping what else needs it: its events, its pool of threads.

Knows no task, no network and no job.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import Iterator, Optional, Protocol

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop, QThread, QThreadPool, QTimer

from text2earth_qgis.core.errors import Cancelled
from text2earth_qgis.core.language import tr

TICK_MS = 50  # how often a wait looks whether it was cancelled
_lent = threading.local()  # whether the pool thread of the asking thread is


class Feedback(Protocol):
    """Anything that can be cancelled: a QgsFeedback, a QgsTask, a ``tasks.Listener``."""

    def isCanceled(self) -> bool:
        """Whether to stop."""


def in_main_thread() -> bool:
    """Whether the caller runs in the thread of the user interface."""
    return QThread.currentThread() == QCoreApplication.instance().thread()


def pause(seconds: float, feedback: Optional[Feedback] = None) -> None:
    """Wait in the calling thread while its events are served; raises ``Cancelled``."""
    end = time.monotonic() + seconds
    with ticking() as loop:
        while time.monotonic() < end:
            loop.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
            if feedback is not None and feedback.isCanceled():
                raise Cancelled(tr("Cancelled."))


@contextmanager
def ticking() -> Iterator[QEventLoop]:
    """Yield a loop whose ``processEvents`` returns every now and then, in any thread.

    The timer only wakes it; nothing is connected. It is stopped here, in its own thread: the frames of an
    exception may outlive that.
    """
    loop = QEventLoop()
    tick = QTimer()
    tick.start(TICK_MS)
    try:
        yield loop
    finally:
        tick.stop()


def pool_of_tasks() -> QThreadPool:
    """Return the pool whose threads run tasks: since QGIS 3.34 they have one of their own."""
    tasks = QgsApplication.taskManager()
    return tasks.threadPool() if hasattr(tasks, "threadPool") else QThreadPool.globalInstance()


@contextmanager
def pool_thread_released() -> Iterator[None]:
    """Lend a task's thread to others while this one waits: there are as many as the computer has cores.

    Other tasks want them, before QGIS 3.34 also what renders maps in the same pool. It is lent once, however
    deep: each lending more would let the pool begin one thread too many.
    """
    if in_main_thread() or getattr(_lent, "now", False):
        yield
        return
    pool = pool_of_tasks()
    pool.releaseThread()
    _lent.now = True
    try:
        yield
    finally:
        _lent.now = False
        pool.reserveThread()
