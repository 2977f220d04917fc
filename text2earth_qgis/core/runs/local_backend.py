"""A backend on this computer, started and stopped by the plugin with a Python of the user's choice.

The process gets an environment without anything of QGIS's own Python, Qt, GDAL and PROJ. Knows no widgets;
main thread only.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Optional

from qgis.PyQt.QtCore import QObject, QProcess, QProcessEnvironment, pyqtSignal

from text2earth_qgis.core.wire.calls import OPTIONS

FOREIGN = (
    "PYTHON",
    "QT_",
    "QGIS",
    "GDAL_",
    "PROJ_",
    "LD_LIBRARY",
    "LD_PRELOAD",
    "DYLD_",
    "VIRTUAL_ENV",
    "CONDA",
)
_WAIT_MS = 3000  # for it to end
LAST_LINES = 4  # of its output, that a failed start is told with
_LISTENING = re.compile(r"Listening on (http://\S+)")


class LocalBackend(QObject):
    """One backend process, which ends with this object."""

    listening = pyqtSignal(str)  # URL
    said = pyqtSignal(str)  # a line of its output
    ended = pyqtSignal(str)  # why, in a sentence, with what it said last if it never was ready

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._ready = False
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._process = QProcess(self)
        self._process.setProcessEnvironment(clean_environment())
        self._process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.errorOccurred.connect(self._failed)
        self._process.finished.connect(self._finished)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def start(self, python: str, *options: str) -> None:
        """Start ``python -m model_backend serve`` with these options; ``listening`` or ``ended`` follows."""
        self._ready = False
        self._last_lines.clear()
        self._process.start(python, ["-m", "model_backend", "serve", *options])

    def stop(self) -> None:
        """End the process: ask it first, then kill it."""
        if not self.running:
            return
        self._process.terminate()  # Windows has no such signal for console programs: killed below
        if not self._process.waitForFinished(_WAIT_MS):
            self._process.kill()
            self._process.waitForFinished(_WAIT_MS)

    def _read(self) -> None:
        while self._process.canReadLine() or (not self.running and self._process.bytesAvailable()):
            line = bytes(self._process.readLine()).decode("utf-8", "replace").rstrip()
            self.said.emit(line)
            if line.strip():
                self._last_lines.append(line.strip())
            found = _LISTENING.search(line)
            if found:
                self._ready = True
                self.listening.emit(found.group(1))

    def _failed(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.ended.emit(
                f"{self._process.program()} cannot be started. Choose the backend's Python in {OPTIONS}."
            )

    def _finished(self, code: int, _status: QProcess.ExitStatus) -> None:
        self._read()
        said = "\n".join(self._last_lines)
        if self._ready:
            self.ended.emit(f"The backend on this computer has ended (code {code}).")
        elif "No module named model_backend" in said:
            self.ended.emit(
                f"{self._process.program()} does not have the Text2Earth backend. Choose the Python that has "
                f"it in {OPTIONS}."
            )
        else:
            self.ended.emit(f"The backend on this computer did not start (code {code}). It said:\n{said}")


def clean_environment() -> QProcessEnvironment:
    """Return the environment without what belongs to QGIS."""
    environment = QProcessEnvironment.systemEnvironment()
    for key in list(environment.keys()):
        if key.upper().startswith(FOREIGN):
            environment.remove(key)
    environment.insert("PYTHONUNBUFFERED", "1")
    environment.insert("PYTHONNOUSERSITE", "1")
    environment.insert("PYTHONSAFEPATH", "1")  # nor a folder that happens to be the current one
    return environment
