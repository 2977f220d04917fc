"""A program of the backend's environment that is not waited for: what it says, and how it ends."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import QObject, QProcess, pyqtSignal

from text2earth_qgis.core.local.environment import run_program
from text2earth_qgis.core.local.installation import Command
from text2earth_qgis.core.timers import single_shot

GRACE_MS = 3_000  # that a program gets to end
CRASHED = -1


class Program(QObject):
    """One program at a time."""

    said = pyqtSignal(list)  # lines of output, without their ends
    missing = pyqtSignal(str)  # it cannot be started, and why
    ended = pyqtSignal(int)  # its exit code; after all that it said

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.errorOccurred.connect(self._failed)
        self._process.finished.connect(self._finished)
        self._grace = single_shot(self, self._process.kill, GRACE_MS)

    @property
    def busy(self) -> bool:
        """Whether it runs."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def run(self, command: Command) -> None:
        """Start a program; ``missing``, or ``said`` and then ``ended``, follow."""
        run_program(self._process, command.program, command.arguments)

    def cancel(self) -> None:
        """Ask it to end, and end it if it does not."""
        self._process.terminate()  # Windows has no such signal for console programs: killed after a while
        self._grace.start()

    def close(self) -> None:
        """End it at once, and tell nothing any more."""
        self._process.blockSignals(True)
        self._process.kill()
        self._process.waitForFinished(GRACE_MS)

    def _read(self) -> None:
        lines = []
        while self._process.canReadLine() or (not self.busy and self._process.bytesAvailable()):
            lines.append(bytes(self._process.readLine()).decode("utf-8", "replace").rstrip())
        if lines:
            self.said.emit(lines)

    def _failed(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.missing.emit(self._process.errorString())

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._grace.stop()
        self._read()
        self.ended.emit(code if status == QProcess.ExitStatus.NormalExit else CRASHED)
