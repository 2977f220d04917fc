"""The pulse of a worker: a byte a second by which its supervisor knows that it lives, and that work goes on.

It beats in a thread of its own, over a pipe, so that neither a long step nor a locked database silences it:
only a process that stands still does.
"""

from __future__ import annotations

import os
import threading

SECONDS = 1.0  # between beats

IDLE = b"i"  # it waits for work
WORKING = b"w"  # something was done since the last beat
STANDING = b"s"  # it is at work, and nothing was done since the last beat


class Pulse:
    """What a worker says of itself; the supervisor's end is ``DeviceWorker``."""

    def __init__(self) -> None:
        self._at_work = False
        self._progress = False

    def start(self, pipe: int) -> None:
        """Beat into a pipe, a file descriptor, from now on until this process or its supervisor ends."""
        threading.Thread(target=self._beat, args=(pipe,), name="pulse", daemon=True).start()

    def progress(self) -> None:
        """Say that work goes on."""
        self._at_work = self._progress = True

    def rest(self) -> None:
        """Say that there is nothing to do."""
        self._at_work = False

    def _beat(self, pipe: int) -> None:
        waiting = threading.Event()
        while True:
            says = IDLE if not self._at_work else WORKING if self._progress else STANDING
            self._progress = False
            try:
                os.write(pipe, says)
            except OSError:
                return  # nobody listens: the supervisor is gone
            waiting.wait(SECONDS)


def own_output() -> int:
    """Return standard output for the pulse alone: what libraries print there goes nowhere."""
    pipe = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return pipe
