"""Runs an installation of the backend: one program after the other, none waited for.

Knows what becomes of the environment; which programs run and what follows, ``installation`` does. Main thread
only.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from typing import Callable, Optional

from qgis.PyQt.QtCore import QObject, pyqtSignal

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.local import installation
from text2earth_qgis.core.local.environment import Environment, Installed
from text2earth_qgis.core.local.installation import Phase, State, Tools, Wish
from text2earth_qgis.core.local.program import CRASHED, Program
from text2earth_qgis.core.tasks import BackgroundTask


class Installer(QObject):
    """Installs, brings up to date, mends and removes one environment."""

    changed = pyqtSignal(object)  # State

    def __init__(self, environment: Environment, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.environment = environment
        self.state = State()
        self.seconds = 0.0  # that the last installation took
        self._began = 0.0
        self._then: Callable[[], None] = _nothing
        self._program = Program(self)
        self._program.said.connect(self._read)
        self._program.missing.connect(self._failed)
        self._program.ended.connect(self._follow)

    def install(self, wish: Wish, tools: Tools) -> None:
        """Begin; ``changed`` follows until it is done, failed or cancelled."""
        data = self.environment.data
        place = next(path for path in (data, *data.parents) if path.exists())
        free, needed = shutil.disk_usage(place).free, installation.ROOM[wish.full]
        if free < needed:
            sentence = tr(
                "{place} has room for {free:.1f} GB; the installation needs {needed:.1f} GB. Make "
                "room, then try again."
            ).format(place=place, free=free / 1e9, needed=needed / 1e9)
            self._become(State(Phase.FAILED, sentence=sentence))
            return
        self._then = lambda: self.environment.mark(Installed(wish.version, wish.full))
        data.mkdir(mode=0o700, parents=True, exist_ok=True)  # a token will lie there
        self._begin(installation.begin(wish, tools, self.environment))

    def remove(self) -> None:
        """End the backend and remove its environment; jobs, results and models stay."""
        self._then = self._clear
        self._begin(installation.removal(self.environment))

    def cancel(self) -> None:
        """End the program that runs; what it has made is removed unless it was complete before."""
        self._become(installation.cancelled(self.state))
        self._program.cancel()

    def close(self) -> None:
        """End the program that runs, at once."""
        self._program.close()

    def _begin(self, state: State) -> None:
        self._began = time.monotonic()
        self._become(state)
        if state.phase is Phase.WORKING:
            self._run()

    def _run(self) -> None:
        self._program.run(self.state.command)

    def _read(self, lines: list[str]) -> None:
        state = self.state
        for line in lines:
            state = installation.said(state, line)
        if state is not self.state:
            self._become(state)

    def _failed(self, reason: str) -> None:
        line = tr("{program} cannot be started: {reason}").format(
            program=self.state.command.program, reason=reason
        )
        self._become(installation.said(self.state, line))
        self._follow(CRASHED)

    def _follow(self, code: int) -> None:
        state = installation.ended(self.state, code)
        if state.phase is Phase.WORKING:
            self._become(state)
            self._run()
            return
        self.seconds = time.monotonic() - self._began
        if state.phase is Phase.DONE:
            state = self._complete(state)
        elif self.environment.installed() is None:
            self._clear()
        self._become(state)

    def _complete(self, state: State) -> State:
        try:
            self._then()
        except OSError as error:
            sentence = tr("{folder} cannot be written to: {reason}.").format(
                folder=self.environment.folder, reason=error.strerror
            )
            return replace(state, phase=Phase.FAILED, sentence=sentence)
        return state

    def _clear(self) -> None:
        """Remove the environment, in the background: it is many files."""
        folder = self.environment.folder
        gone = folder.with_name(f"environment.{time.time_ns()}.gone")
        try:
            folder.rename(gone)
        except OSError:  # nothing there, or still in use: what is left is replaced by the next installation
            gone = folder

        def nothing(_found: object, _error: Optional[PluginError]) -> None:
            """The next one removes what is left."""

        BackgroundTask(
            tr("removing the backend"),
            lambda _listener: shutil.rmtree(gone, ignore_errors=True),
            nothing,
            True,
        ).start()

    def _become(self, state: State) -> None:
        self.state = state
        self.changed.emit(state)


def _nothing() -> None:
    """What follows where nothing was begun."""
