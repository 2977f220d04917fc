"""A worker process: claims blocks, one at a time, has them made, and tells the store how they go.

Started by the supervisor as ``python -m model_backend.jobs.worker`` with one JSON line on standard input.
Knows claims, leases and cancels; what a block is made of, its handler knows (``handlers``). The only
place that catches every exception: whatever happens to a job, its owner gets a sentence and the worker lives.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_backend import logs, processes
from model_backend.errors import BackendError, Cancelled, Declined, ModelUnavailable
from model_backend.jobs import handlers, space
from model_backend.jobs.cache import ModelCache
from model_backend.jobs.context import JobContext
from model_backend.jobs.desk import PREVIEW_SECONDS, Desk, Journal, LocalDesk
from model_backend.jobs.pulse import Pulse, own_output
from model_backend.jobs.store.rows import Claim, Work
from model_backend.models.registry import Registry
from model_backend.settings import NO_DEVICE, Settings

log = logging.getLogger(__name__)

MEASURE_SECONDS = 1.0  # of steps, before what they took is trusted more than the estimate
PREVIEW_PIXELS = 768  # as PNG, which has opacity, about a megabyte


class BlockReporter:
    """What a handler reports to: the store hears of every step and answers whether to go on."""

    def __init__(
        self,
        journal: Journal,
        claim: Claim,
        lease: float,
        preview: Path,
        pulse: Pulse,
        pause: float = PREVIEW_SECONDS,
    ) -> None:
        """Report to a journal, with so many seconds of ``pause`` between previews."""
        self._journal, self._claim, self._lease, self._preview = journal, claim, lease, preview
        self._pulse, self._pause = pulse, pause
        self._first: tuple[float, int] | None = None
        self._next_preview = 0.0
        self._rate: float | None = None  # seconds per step, measured
        self._total = 1
        self.notes: list[str] = []  # sentences that the owner reads at the end

    @property
    def seconds(self) -> float | None:
        """Return how long all steps took, as far as measured."""
        return None if self._rate is None else self._rate * self._total

    def note(self, sentence: str) -> None:
        """Add a sentence to what the owner reads at the end."""
        self.notes.append(sentence)

    def say(self, message: str) -> None:
        """Tell the owner what is being done."""
        self._pulse.progress()
        self._journal.claims.set_message(self._claim, message)

    def step(self, done: int, total: int) -> None:
        """Record that ``done`` of ``total`` steps are done; Cancelled when the job is not to go on."""
        self._pulse.progress()
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
        took, steps = now - self._first[0], done - self._first[1]
        if steps > 0:
            self._rate = took / steps
        self._total = total
        trusted = self._rate if took >= MEASURE_SECONDS or done == total else None
        self._journal.claims.progress(self._claim, done, total, trusted, self._lease)

    def preview(self, pixels: NDArray[np.uint8]) -> None:
        """Keep ``pixels`` (height, width, 3 or 4) as the job's preview, unless one was kept just now."""
        if time.monotonic() >= self._next_preview:
            self.picture(pixels)
            self._next_preview = time.monotonic() + self._pause

    def picture(self, pixels: NDArray[np.uint8]) -> None:
        """Write the preview, whole or not at all."""
        image = Image.fromarray(pixels)
        image.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
        part = self._preview.with_suffix(f".{self._claim.number}-{self._claim.attempt}.part")
        image.save(part, "PNG", compress_level=1)  # nearly as small as others, in half the time
        try:
            os.replace(part, self._preview)
        except PermissionError:  # Windows, while somebody reads it: the next one will do
            part.unlink()


@dataclass
class LeaseKeeper:
    """Extends a claim's lease from a thread, so that one long step does not lose it."""

    journal: Journal
    claim: Claim
    lease: float

    def __enter__(self) -> LeaseKeeper:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._extend, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _extend(self) -> None:
        while not self._stop.wait(self.lease / 3):
            if not self.journal.claims.extend_lease(self.claim, self.lease):
                return  # the next step finds out by itself


class Worker:
    """The loop of one worker."""

    def __init__(
        self, name: str, device: str, settings: Settings, pulse: Pulse, desk: Desk | None = None
    ) -> None:
        self.name = name
        self._pulse = pulse
        self._settings = settings
        self._desk = LocalDesk.open(settings) if desk is None else desk
        self._work: Work = "rest" if device == NO_DEVICE else "any"
        self._registry = Registry(settings)
        self._cache = ModelCache(settings, device, self._desk, self._registry)
        self._wake = threading.Event()
        self._last: Claim | None = None
        self._excluded: set[str] = set()  # variants that another worker makes on another profile

    def run(self) -> None:
        """Work for ever."""
        settings, claims = self._settings, self._desk.claims
        warm = self._work == "rest"
        while True:
            claim = claims.take(
                self.name,
                settings.lease_seconds,
                settings.max_attempts,
                self._last,
                self._excluded,
                self._work,
            )
            if claim is not None:
                self._pulse.progress()
                self._last = claim
                self.work_on(claim)
            elif not warm:
                warm = True
                self._pulse.progress()
                self._warm_up()
            else:
                self._pulse.rest()
                self._wake.wait(self._desk.poll)
                self._wake.clear()

    def listen(self, orders: BinaryIO) -> None:
        """Wake the loop at every line of ``orders``; leave at its end. Runs in a thread."""
        for _ in orders:
            self._wake.set()
        self.leave()

    def leave(self) -> None:
        """End this process at once; the block in hand goes back to the queue."""
        self._desk.claims.release(self.name)
        os._exit(0)

    def _warm_up(self) -> None:
        """Get ready while nothing waits: the first job starts sooner, plans know how fast it will be."""
        try:
            self._cache.warm_up()
        except ModelUnavailable as error:
            log.warning("%s", error)
        except Exception:
            log.exception("cannot load the default model")

    def work_on(self, claim: Claim) -> None:
        """Have a block made, and enter how it came out."""
        logs.about(request=claim.request, job=claim.job)
        settings, desk = self._settings, self._desk
        preview, lease = desk.files.preview(claim.job), settings.lease_seconds
        reporter = BlockReporter(desk, claim, lease, preview, self._pulse, desk.preview_pause)
        try:
            with LeaseKeeper(desk, claim, settings.lease_seconds):
                folder = desk.files.attempt(claim)
                desk.fetch_models(claim, self._registry)
                context = JobContext(settings, self._registry, desk, self._cache, reporter, folder)
                results = handlers.run(processes.get(claim.process), claim, context)
                desk.claims.finish(claim, results, reporter.notes)
            log.info("block %d of a job for %s is done", claim.number, claim.process)
            desk.tidy(claim)
            return
        except Declined:
            self._excluded.add(f"{claim.job}/{claim.variant}")
            desk.claims.put_back(claim)
            return
        except Cancelled:
            log.info("job %s: stopped", claim.job)
        except BackendError as error:
            self._fail(claim, str(error), error)
        except Exception as error:
            log.exception("job %s failed", claim.job)
            self._fail(claim, _sentence(error), error)
        self._cache.keep(0, None)
        desk.claims.let_go(claim)
        desk.sweep(claim)

    def _fail(self, claim: Claim, sentence: str, error: Exception) -> None:
        try:
            self._desk.claims.fail(claim, sentence, type(error).__name__)
        except Cancelled:
            log.info("job %s: failed after it was dismissed", claim.job)


def _sentence(error: Exception) -> str:
    """Say to a job's owner what an unforeseen error means for them."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "The device ran out of memory. Try a smaller extent, or fewer jobs at a time."
    if isinstance(error, OSError) and (said := space.sentence(error)):
        return said
    return (
        f"The backend failed with an unforeseen {type(error).__name__}."
        " Its log has the details under the id of this job."
    )


def main() -> None:
    """Run as the supervisor's child."""
    pulse = Pulse()
    pulse.start(own_output())
    order = json.loads(sys.stdin.buffer.readline())
    logs.begin("worker", order["settings"].get("log_format", "text"))
    for module in order["processes"]:
        processes.register(module)
    worker = _worker(order, pulse)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which then lets us go
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=worker.leave).start())
    threading.Thread(target=worker.listen, args=(sys.stdin.buffer,), daemon=True).start()
    worker.run()


def _worker(order: dict[str, Any], pulse: Pulse) -> Worker:
    name, device, settings = order["worker"], order["device"], Settings(**order["settings"])
    if "server" not in order:
        return Worker(name, device, settings, pulse)
    # Imported here: computers of workers run Linux, that of a backend may run anything.
    from model_backend.jobs.remote.desk import RemoteDesk

    desk = RemoteDesk.of(order["server"], settings, name)
    return Worker(name, device, settings, pulse, desk)


if __name__ == "__main__":
    main()
