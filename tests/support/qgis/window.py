"""What drives a started QGIS in tests: waiting, looking at the window, and how long it was held up."""

from __future__ import annotations

import gc
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from qgis.core import QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QElapsedTimer, QEvent, QEventLoop, QTimer
from qgis.PyQt.QtWidgets import QApplication, QDialog
from qgis.utils import iface

from launcher import ROOT

SCENE = ROOT / "resources" / "demo" / "scene.tif"
SCREENS = ROOT / "build" / "screens"
PATIENCE = 200.0  # seconds: so long takes only what will never happen, on any machine
USUAL = 300_000  # numbers that are squared and added up in 10 ms


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Serve events until ``condition`` holds."""
    clock = QElapsedTimer()
    clock.start()
    tick = QTimer()
    tick.start(10)
    loop = QEventLoop()
    while not condition():
        if clock.hasExpired(int(seconds * 1000)):
            raise AssertionError(f"not within {seconds} s")
        loop.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def settle() -> None:
    """Serve all events that are due, deferred deletions included."""
    for _ in range(3):
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def box(layer: QgsRasterLayer, share: float) -> QgsRectangle:
    """Return the middle of a layer."""
    middle = QgsRectangle(layer.extent())
    middle.scale(share)
    return middle


def grab(name: str, widget=None) -> Path:
    """Write what a widget (the whole window) looks like to build/screens."""
    settle()
    SCREENS.mkdir(parents=True, exist_ok=True)
    path = SCREENS / f"{name}.png"
    assert (widget or iface.mainWindow()).grab().save(str(path))
    return path


class MainThreadMeter:
    """Measures every stay in the plugin's code: from where Qt or a test enters it until it is left again.

    ``longest`` is in seconds of processor time of the main thread: on a busy machine the clock on the wall
    measures the other processes. ``allowed`` is 50 ms, and more on a processor that is slower than usual.
    """

    def __init__(self) -> None:
        self.longest, self.where, self.count = 0.0, "", 0
        self._frame: object = None
        self._began = 0.0

    @property
    def allowed(self) -> float:
        """Return how long a stay may be, by how long this processor takes for what usually takes 10 ms."""
        took = []
        for _ in range(5):
            began = time.thread_time()
            sum(number * number for number in range(USUAL))
            took.append(time.thread_time() - began)
        return 0.050 * max(1.0, min(took) / 0.010)

    def __enter__(self) -> MainThreadMeter:
        gc.collect()  # else its next full pass, of all that tests before made, falls into a stay
        sys.setprofile(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _watch(self, frame, event: str, _argument: object) -> None:
        if (
            event == "call"
            and self._frame is None
            and f"{os.sep}text2earth_qgis{os.sep}" in frame.f_code.co_filename
        ):
            self._frame, self._began = frame, time.thread_time()
        elif event == "return" and frame is self._frame:
            self._frame = None
            self.count += 1
            spent = time.thread_time() - self._began
            if spent > self.longest:
                self.longest, self.where = (
                    spent,
                    f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}",
                )


class Interruptions:
    """Watches for what must never come over the user: dialogs, and QGIS's box for errors in Python.

    Dialogs are noted in ``dialogs`` and closed, errors in ``errors``; ``none`` says whether both are empty.
    Those whose title begins with ``but`` are closed only: QGIS asks how to transform a layer of a project.
    """

    def __init__(self, but: str = "Select Transformation") -> None:
        self._but = but
        self.dialogs: list[str] = []
        self.errors: list[str] = []
        self._timer = QTimer()
        self._timer.timeout.connect(self._look)

    @property
    def none(self) -> bool:
        return not self.dialogs and not self.errors

    def __enter__(self) -> Interruptions:
        self._before, sys.excepthook = sys.excepthook, self._hear
        self._timer.start(20)  # also runs while a modal box has an event loop of its own
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.stop()
        sys.excepthook = self._before

    def _hear(self, kind: type, error: BaseException, trace: object) -> None:
        self.errors.append("".join(traceback.format_exception(kind, error, trace)))

    def _look(self) -> None:
        seen = [QApplication.activeModalWidget()]
        seen += [
            one for one in QApplication.topLevelWidgets() if isinstance(one, QDialog) and one.isVisible()
        ]
        for widget in filter(None, seen):
            if not widget.windowTitle().startswith(self._but):
                self.dialogs.append(f"{type(widget).__name__} “{widget.windowTitle()}”")
            widget.reject() if isinstance(widget, QDialog) else widget.close()
