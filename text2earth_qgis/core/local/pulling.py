"""Downloads a model for the backend on this computer, without waiting: how far it is, how it ended.

Goes on whichever page is shown; a download that was stopped goes on where it was when it is asked for again.
"""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import QObject, QProcess, QTimer, pyqtSignal

from text2earth_qgis.core import settings
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.local import installation, starting
from text2earth_qgis.core.local.environment import run_program

GRACE_MS = 3_000  # that the program gets to end
MOST = 600  # characters of its output that a failure is told with


class Puller(QObject):
    """One download at a time."""

    progressed = pyqtSignal(float)  # 0 to 1
    ended = pyqtSignal(str, str)  # how, in sentences, and as a symbol: successful, failed, dismissed

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.model = ""  # the id of what is downloaded
        self.share = 0.0
        self._said = ""
        self._cancelled = False
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.errorOccurred.connect(self._broken)
        self._process.finished.connect(self._finished)
        self._grace = QTimer(self)
        self._grace.setSingleShot(True)
        self._grace.setInterval(GRACE_MS)
        self._grace.timeout.connect(self._process.kill)

    @property
    def busy(self) -> bool:
        """Whether a download is under way."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def start(self, model: str) -> None:
        """Begin; ``progressed`` and one ``ended`` follow. The user has accepted the licence."""
        if self.busy:
            return
        self.model, self.share, self._said, self._cancelled = model, 0.0, "", False
        python = starting.python(settings.load())
        command = installation.pull(starting.environment(), python, model)
        run_program(self._process, command.program, command.arguments)

    def cancel(self) -> None:
        """Stop; what has come stays."""
        self._cancelled = True
        self._process.terminate()  # Windows has no such signal for console programs: killed after a while
        self._grace.start()

    def close(self) -> None:
        """Stop at once, and call nothing back any more."""
        self._process.blockSignals(True)
        self._process.kill()
        self._process.waitForFinished(GRACE_MS)

    def _read(self) -> None:
        while self._process.canReadLine():
            self._hear(bytes(self._process.readLine()).decode("utf-8", "replace"))

    def _hear(self, line: str) -> None:
        share = installation.share_in(line)
        if share is None:
            self._said += line
        else:
            self.share = min(1.0, share)
            self.progressed.emit(self.share)

    def _broken(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._tell(self._process.errorString())

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._grace.stop()
        self._hear(bytes(self._process.readAll()).decode("utf-8", "replace"))
        if self._cancelled:
            text = tr("The download was stopped. What has come stays: download it again to go on.")
            self.ended.emit(text, "dismissed")
        elif code == 0 and status == QProcess.ExitStatus.NormalExit:
            self.ended.emit(tr("{model} is installed.").format(model=self.model), "successful")
        else:
            self._tell(self._said)

    def _tell(self, said: str) -> None:
        """Tell a failure with the last line that the program said."""
        last = (said.strip().splitlines() or [""])[-1][-MOST:]
        self.ended.emit(
            tr("{model} was not downloaded. {said}").format(model=self.model, said=last), "failed"
        )
