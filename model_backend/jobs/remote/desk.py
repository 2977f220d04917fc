"""The desk of a worker on another computer: what it says goes over HTTP to the backend, whose rows decide.

Leases, fences, profiles and turns are those of the backend's own workers, since the same rows are written by
the same code there. Files of a block go when it is recorded or finished, and lie in the backend's folder of
that attempt before its row says so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_backend.errors import InvalidInput
from model_backend.jobs.files import Files, remove
from model_backend.jobs.preview import THUMBNAIL
from model_backend.jobs.remote.connection import Connection
from model_backend.jobs.remote.messages import PREVIEW_SECONDS, claim_of, of_hold, of_result
from model_backend.jobs.remote.models import RemoteModels, needed
from model_backend.jobs.store.rows import Claim, Hold, Result, Work
from model_backend.models.registry import Registry
from model_backend.processes.base import StoredRaster
from model_backend.schemas import Upload
from model_backend.settings import Settings

POLL = 1.0  # seconds between looks for work: nobody wakes a worker over HTTP
STEP_SECONDS = 1.0  # between reports of steps, as often as QGIS asks
FAREWELL = 3.0  # seconds that a worker which ends waits for the backend
RASTER_SECONDS = 24 * 3600.0  # that an input is kept after its last use


@dataclass
class RemoteClaims:
    """The blocks of a backend elsewhere; see ``desk.WorkerClaims``."""

    connection: Connection
    files: Files
    preview_pause: float = PREVIEW_SECONDS
    _reported: float = 0.0
    _shown: tuple[float, str, int] = (0.0, "", 0)  # when the last preview was sent; its job and file's time
    _sent: dict[str, int] = field(default_factory=dict)  # time of files of the block in hand, by name

    def take(
        self,
        worker: str,
        lease: float,
        max_crashes: int,
        last: Hold | None = None,
        excluded: Collection[str] = (),
        work: Work = "any",
    ) -> Claim | None:
        """Take a block that computes pixels; the backend's settings, not the worker's, are heeded."""
        asked: dict[str, Any] = {
            "worker": worker,
            "last": of_hold(last) if last is not None else None,
            "excluded": list(excluded),
        }
        try:
            message = self.connection.call("take", 0.0, **asked)
        except ConnectionError:  # it may have been given a block, and the answer was lost
            self.connection.call("release", worker=worker, crashed=False, fault=None)
            message = self.connection.call("take", **asked)
        self._reported, self._sent = 0.0, {}
        return None if message is None else claim_of(message)

    def begin(self, claim: Claim, profile: str) -> int:
        """Enter what a block is to be computed on; see ``Claims.begin``."""
        return int(self._call("begin", claim, profile=profile))

    def record_block(self, claim: Claim, file: str, sha256: str, approximate: bool) -> None:
        """Hand in the files of a block, and enter how they came out."""
        self._hand_in(claim)
        self._call("record_block", claim, file=file, sha256=sha256, approximate=approximate)

    def put_back(self, claim: Claim) -> None:
        """Give a block back that somebody else is to do."""
        self._call("put_back", claim)

    def set_message(self, claim: Claim, message: str) -> None:
        """Tell the owner what is being done."""
        self._call("set_message", claim, message=message)

    def progress(self, claim: Claim, done: int, total: int, rate: float | None, lease: float) -> None:
        """Record the steps that are done, not each of them, and show what there is to see."""
        now = time.monotonic()
        if done < total and now - self._reported < STEP_SECONDS:
            return
        self._reported = now
        self._call("progress", claim, done=done, total=total, rate=rate)
        self._show(claim)

    def extend_lease(self, claim: Claim, lease: float) -> bool:
        """Extend the lease; false when the claim no longer holds."""
        return bool(self._call("extend_lease", claim))

    def finish(self, claim: Claim, results: Sequence[Result], notes: Sequence[str] = ()) -> None:
        """Hand in what is left of the files, and record results and notes."""
        self._hand_in(claim)
        self._show(claim, last=bool(results))
        self._call("finish", claim, results=[of_result(result) for result in results], notes=list(notes))

    def fail(self, claim: Claim, sentence: str, kind: str = "other") -> None:
        """End the job with a sentence for its owner, and count its kind of failure."""
        self._call("fail", claim, sentence=sentence, kind=kind)

    def let_go(self, claim: Claim) -> None:
        """Let go of a cancelled claim."""
        self._call("let_go", claim)

    def release(self, worker: str, *, crashed: bool = False, fault: str | None = None) -> None:
        """Free what a worker held when it ended; a backend that is away finds out by the lease."""
        try:
            self.connection.call("release", FAREWELL, worker=worker, crashed=crashed, fault=fault)
        except ConnectionError:
            return

    def _call(self, name: str, claim: Claim, **arguments: Any) -> Any:
        return self.connection.call(name, claim=of_hold(claim), **arguments)

    def _hand_in(self, claim: Claim) -> None:
        """Send the files of a block that were written since they were sent last."""
        folder = self.files.of(claim.job) / f"{claim.number}-{claim.attempt}"
        for path in sorted(folder.iterdir()):
            written = path.stat().st_mtime_ns
            if path.suffix == ".part" or self._sent.get(path.name) == written:
                continue
            self.connection.send(f"/files/{claim.job}/{folder.name}/{claim.variant}/{path.name}", path)
            self._sent[path.name] = written

    def _show(self, claim: Claim, *, last: bool = False) -> None:
        """Send the preview if there is another one than before, and a while ago, or if it is the last one."""
        sent, job, then = self._shown
        now, path = time.monotonic(), self.files.preview(claim.job)
        written = path.stat().st_mtime_ns if path.exists() else 0
        if written in (0, then):
            return
        if job == claim.job and not last and now < sent + self.preview_pause:
            return
        self._shown = now, claim.job, written
        where = f"{claim.number}-{claim.attempt}/{claim.variant}"
        self.preview_pause = self.connection.send(f"/previews/{claim.job}/{where}", path)["pause"]


@dataclass(frozen=True)
class RemoteProfiles:
    """What models are like, told to the backend, so that its plans know how fast workers are."""

    connection: Connection

    def record(self, model: str, device: str, profile: dict[str, Any], rate: float) -> None:
        """Remember a loaded model's profile and its seconds per evaluation."""
        self.connection.call("record_profile", model=model, device=device, profile=profile, rate=rate)

    def of(self, model: str) -> tuple[dict[str, Any], float] | None:
        """Return what was remembered."""
        known = self.connection.call("profile_of", model=model)
        return None if known is None else (known[0], known[1])


@dataclass(frozen=True)
class RemoteDesk:
    """The desk of one worker: its backend, a folder of its own to write in, one for models and rasters."""

    connection: Connection
    claims: RemoteClaims
    profiles: RemoteProfiles
    models: RemoteModels
    files: Files
    rasters: Path
    poll: float = POLL

    @classmethod
    def of(cls, server: dict[str, str], settings: Settings, worker: str) -> RemoteDesk:
        """Set up the desk of a worker of that name; ``server`` has the backend's url and token."""
        connection = Connection(**server)
        files = Files(settings.data_dir / "workers" / worker)
        models = RemoteModels(connection, settings)
        claims = RemoteClaims(connection, files)
        rasters = settings.data_dir / "rasters"
        return cls(connection, claims, RemoteProfiles(connection), models, files, rasters)

    def raster(self, job: str, field: str, named: Upload) -> StoredRaster:
        """Return the raster that an input of a job names, fetched unless one of these bytes is here."""
        found = self.connection.call("raster", job=job, field=field, upload=named.upload)
        if "refused" in found:
            raise InvalidInput(field, found["refused"], value=named.upload)
        path = self.rasters / f"{found['sha256']}.tif"
        if path.exists():
            os.utime(path)
        else:
            self._forget_rasters()
            self.connection.fetch(f"/rasters/{job}/{named.upload}", path, found["sha256"])
        return StoredRaster(path, found["sha256"])

    @property
    def preview_pause(self) -> float:
        """Seconds between previews, as many as the backend asked for."""
        return self.claims.preview_pause

    def fetch_models(self, claim: Claim, registry: Registry) -> None:
        """Have the models here that a block is made with, as far as the backend has them."""
        if claim.plan is not None:
            for model, revision in needed(claim.plan.recipe).items():
                self.models.have(model, revision, registry)

    def tidy(self, claim: Claim) -> None:
        """Remove the files of a block, which the backend has, but its thumbnail: later previews show it."""
        for folder in self.files.root.iterdir():
            if folder.name != claim.job:
                remove(folder)
        for path in self.files.of(claim.job).glob(f"{claim.number}-*/*"):
            if path.name != THUMBNAIL:
                path.unlink()

    def sweep(self, claim: Claim) -> None:
        """Remove what a block that came to nothing left behind."""
        remove(self.files.of(claim.job))

    def _forget_rasters(self) -> None:
        oldest = time.time() - RASTER_SECONDS
        for path in self.rasters.glob("*.tif"):
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)
