"""Starts the backend on this computer where it does not run, and tells where it answers or why it does not.

The backend outlives QGIS and ends itself when idle. Its start is a program that returns once it answers.
"""

from __future__ import annotations

import os
from typing import Optional

from qgis.PyQt.QtCore import QObject, QProcess, pyqtSignal

from text2earth_qgis.core import settings
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.local import installation
from text2earth_qgis.core.local.environment import Environment, run_program
from text2earth_qgis.core.settings import Settings

MOST = 600  # characters of its output that a failed start is told with


def environment() -> Environment:
    """Return the backend's environment of this user."""
    return Environment(settings.data_folder())


def python(chosen: Settings) -> str:
    """Return the Python that has the backend, '' if none is known: installed from here, or set before."""
    ours = environment()
    if ours.installed() is not None:
        return str(ours.python)
    return chosen.python if os.access(chosen.python, os.X_OK) else ""


class Starter(QObject):
    """Starts the backend without waiting."""

    started = pyqtSignal(str)  # URL
    failed = pyqtSignal(str)  # why, in sentences, with what it said

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._process = QProcess(self)
        self._process.errorOccurred.connect(self._broken)
        self._process.finished.connect(self._finished)

    @property
    def busy(self) -> bool:
        """Whether a start is under way."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def start(self) -> None:
        """Start it, unless that is under way; ``started`` or ``failed`` follows."""
        if not self.busy:
            run(self._process, settings.load())

    def drop(self) -> None:
        """Wait for no start any more: neither signal follows. A backend that was started goes on."""
        self._process.blockSignals(True)
        self._process.kill()
        self._process.waitForFinished(1000)
        self._process.blockSignals(False)

    def _broken(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.failed.emit(reason(self._process))

    def _finished(self, _code: int, _status: QProcess.ExitStatus) -> None:
        url = url_of(self._process)
        if url:
            self.started.emit(url)
        else:
            self.failed.emit(reason(self._process))


def run(process: QProcess, chosen: Settings) -> None:
    """Begin the program that starts the backend."""
    process.setProperty("said", "")
    command = installation.serve(environment(), python(chosen))
    run_program(process, command.program, command.arguments)


def url_of(process: QProcess) -> str:
    """Return where the backend answers, '' if it did not start; what it said is kept."""
    said = bytes(process.readAll()).decode("utf-8", "replace")
    process.setProperty("said", said)
    return installation.url_in(said)


def reason(process: QProcess) -> str:
    """Say that it did not start, and what the program said."""
    said = str(process.property("said") or process.errorString()).strip()[-MOST:]
    return tr("The backend on this computer did not start. It said:\n{said}").format(said=said)
