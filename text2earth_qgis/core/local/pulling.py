"""Downloads a model for the backend on this computer, without waiting: how far it is, how it ended.

Goes on whichever page is shown; a download that was stopped goes on where it was when it is asked for again.
"""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import QObject, pyqtSignal

from text2earth_qgis.core import settings
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.local import installation, starting
from text2earth_qgis.core.local.program import Program

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
        self._program = Program(self)
        self._program.said.connect(self._hear)
        self._program.missing.connect(self._tell)
        self._program.ended.connect(self._finished)

    @property
    def busy(self) -> bool:
        """Whether a download is under way."""
        return self._program.busy

    def start(self, model: str) -> None:
        """Begin; ``progressed`` and one ``ended`` follow. The user has accepted the licence."""
        if self.busy:
            return
        self.model, self.share, self._said, self._cancelled = model, 0.0, "", False
        python = starting.python(settings.load())
        self._program.run(installation.pull(starting.environment(), python, model))

    def cancel(self) -> None:
        """Stop; what has come stays."""
        self._cancelled = True
        self._program.cancel()

    def close(self) -> None:
        """Stop at once, and call nothing back any more."""
        self._program.close()

    def _hear(self, lines: list[str]) -> None:
        for line in lines:
            share = installation.share_in(line)
            if share is None:
                self._said += line + "\n"
            else:
                self.share = min(1.0, share)
                self.progressed.emit(self.share)

    def _finished(self, code: int) -> None:
        if self._cancelled:
            text = tr("The download was stopped. What has come stays: download it again to go on.")
            self.ended.emit(text, "dismissed")
        elif code == 0:
            self.ended.emit(tr("{model} is installed.").format(model=self.model), "successful")
        else:
            self._tell(self._said)

    def _tell(self, said: str) -> None:
        """Tell a failure with the last line that the program said."""
        last = (said.strip().splitlines() or [""])[-1][-MOST:]
        self.ended.emit(
            tr("{model} was not downloaded. {said}").format(model=self.model, said=last), "failed"
        )
