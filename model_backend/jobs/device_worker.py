"""The worker process of one device, as its supervisor holds it: started, woken, heard, ended.

Knows the process and its two pipes; whether it may be at work, and what becomes of its blocks, the supervisor
knows. A worker is told everything in one JSON line on its standard input; every later line means "look for
work"; the end of that input means that we are gone, by whatever death, and the worker leaves (a pipe does
that on every operating system). Its standard output brings its pulse. Times are of the monotonic clock.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from typing import Any, Literal

from model_backend.jobs import pulse

WORKER = "model_backend.jobs.worker"  # what the process runs
HEALTHY = 60.0  # seconds; a worker that lived this long was not broken from the start
STARTING = 120.0  # seconds that a worker may take to its first beat
LONGEST_PAUSE = 30.0  # seconds between starts of a worker that keeps dying

# OpenMP threads that wait for each other spin for milliseconds by default. Where QGIS or anything else wants
# the same cores, they wait for the one that their own spinning keeps out: a scene of 4 s on two idle cores
# took 40 s beside one other process, with this 9 s (and still 4 s alone). GNU's OpenMP, torch's on Linux.
THREADS = {"GOMP_SPINCOUNT": "1000"}

State = Literal["starting", "idle", "working", "stuck", "ended"]


class DeviceWorker:
    """The worker of one device; its threads set ``look`` when there is something to see."""

    def __init__(self, device: str, look: threading.Event, module: str = WORKER, host: str = "") -> None:
        self.device, self._look, self._module, self._host = device, look, module, host
        self.name = ""
        self.fault: str | None = None  # why it was killed, for the owner of what it was at
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # of the process's standard input
        self._crashes = 0  # in a row
        self._begun = self._heard = self._moved = self._start_at = 0.0
        self._beat = b""

    @property
    def exit_code(self) -> int | None:
        """The exit code of a process that ended and was not cleared away; None: there is none."""
        return None if self._process is None else self._process.poll()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The id of the process, if it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def is_due(self) -> bool:
        """Whether there is no process, and it is time for one."""
        return self._process is None and time.monotonic() >= self._start_at

    def start(self, order: dict[str, Any]) -> None:
        """Start the process and tell it its ``order``."""
        self.name = "-".join(filter(None, (self._host, self.device, uuid.uuid4().hex[:8])))
        process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=THREADS | dict(os.environ),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert process.stdin is not None
        order = {"worker": self.name, "device": self.device, **order}
        with contextlib.suppress(OSError):  # dead already: seen at the next look
            process.stdin.write(json.dumps(order).encode() + b"\n")
        if os.name == "posix":  # a process that stands still must not hold up whoever wakes it
            os.set_blocking(process.stdin.fileno(), False)
        with self._lock:
            self._process, self.fault, self._beat = process, None, b""
            self._begun = self._heard = self._moved = time.monotonic()
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()

    def wake(self, word: str = "") -> None:
        """Tell the process that there is something to do, or something to stop; a ``word`` says what."""
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with contextlib.suppress(OSError):  # it died; the next one looks by itself
                    self._process.stdin.write(f"{word}\n".encode())

    def kill(self, fault: str | None = None) -> None:
        """End the process at once; ``fault`` is a sentence for the owner of what it is at."""
        self.fault = fault
        if self._process is not None:
            self._process.kill()

    def leave(self) -> None:
        """Ask the process to end."""
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()

    def end(self, patience: float) -> None:
        """Wait so many seconds until the process ended, then end it."""
        if self._process is None:
            return
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def clear(self) -> None:
        """Forget a process that ended; one that dies again and again is started again after a pause."""
        self.leave()
        with self._lock:
            self._process = None
        healthy = time.monotonic() - self._begun > HEALTHY
        self._crashes = 1 if healthy else self._crashes + 1
        pause = 0.0 if self._crashes == 1 else min(LONGEST_PAUSE, 2.0 ** (self._crashes - 2))
        self._start_at = time.monotonic() + pause

    def forgive(self) -> None:
        """Begin to count silence anew: we were not there to hear."""
        self._heard = self._moved = time.monotonic()

    def standstill(self, silence_seconds: float, stall_seconds: float) -> str | None:
        """Return a sentence for the owner of what a process that stands still is at; None: it does not."""
        if not self._beat:  # still importing
            silence_seconds, stall_seconds = max(STARTING, silence_seconds), max(STARTING, stall_seconds)
        silent, stalled = time.monotonic() - self._heard, time.monotonic() - self._moved
        if silent > silence_seconds:
            return f"The worker gave no sign of life for {silent:.0f} s and was replaced."
        if stalled > stall_seconds:
            return f"The worker made no progress for {stalled:.0f} s and was replaced."
        return None

    def health(self) -> dict[str, Any]:
        """Return how it is, as JSON: its device, its state, the seconds since its last progress."""
        moved = time.monotonic() - self._moved
        return {"device": self.device, "state": self._state(), "secondsSinceProgress": round(moved, 1)}

    def _state(self) -> State:
        if not self.alive:
            return "ended"
        if time.monotonic() - self._heard > 5 * pulse.SECONDS:
            return "stuck"
        if not self._beat:
            return "starting"
        return "idle" if self._beat == pulse.IDLE else "working"

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Hear the pulse of a process until it ended."""
        assert process.stdout is not None
        with process.stdout as beats:
            while beat := beats.read(1):
                self._heard, self._beat = time.monotonic(), beat
                if beat != pulse.STANDING:
                    self._moved = self._heard
        process.wait()
        self._look.set()
