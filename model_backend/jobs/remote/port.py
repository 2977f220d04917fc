"""What workers on other computers may ask a backend for, call by call: the store's own claims, files, models.

Every call but the first names the block that its worker holds, and the rows decide. Knows no HTTP. It has a
connection to the store of its own, which does not wait for the disk at every step as accepted jobs do.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_backend import processes
from model_backend.errors import Cancelled, Declined, InvalidInput, ModelUnavailable, NoSuchJob
from model_backend.jobs.files import Files
from model_backend.jobs.preview import laid_over
from model_backend.jobs.remote.guests import Guests
from model_backend.jobs.remote.messages import PREVIEW_SECONDS, hold_of, of_claim
from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.store.rows import Hold, Result
from model_backend.jobs.uploads import Uploads
from model_backend.models.registry import Registry
from model_backend.processes.base import StoredRaster
from model_backend.schemas import Upload
from model_backend.settings import Settings

Message = dict[str, Any]
PREVIEW_SHARE = 2.0  # seconds between previews of all workers, each of which takes about a tenth of one
# What is this backend's own business, and no worker's.
_PRIVATE = {
    "host",
    "port",
    "public_url",
    "allowed_hosts",
    "data_dir",
    "token_file",
    "no_token",
    "device",
    "threads",
}


class WorkerPort:
    """The calls of workers on other computers.

    ``guests`` are told who they are; ``wake`` tells those of this computer that there may be blocks to join.
    """

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        files: Files,
        uploads: Uploads,
        registry: Registry,
        guests: Guests,
        wake: Callable[[], None],
    ) -> None:
        self._settings, self._store, self._files = settings, store, files
        self._uploads, self._registry, self._guests, self._wake = uploads, registry, guests, wake
        self._painting = threading.Lock()  # previews are read, changed and written
        self._sums: dict[tuple[str, int, int], str] = {}  # SHA-256 of files of models, by path, size and time
        self._calls: dict[str, Callable[..., Any]] = {
            "order": self._order,
            "take": self._take,
            "release": self._release,
            "ignores_cancel": self._ignores_cancel,
            "extend_lease": self._extend_lease,
            "finish": self._finish,
            "progress": self._progress,
            "begin": self._plain("begin"),
            "record_block": self._plain("record_block"),
            "put_back": self._plain("put_back"),
            "set_message": self._plain("set_message"),
            "fail": self._plain("fail"),
            "let_go": self._plain("let_go"),
            "record_profile": store.profiles.record,
            "profile_of": store.profiles.of,
            "raster": self._raster,
            "model": self._model,
        }

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def call(self, name: str, arguments: Message) -> Message:
        """Answer a call: ``answer``, or what it ``raised`` in a worker on this computer."""
        if name not in self._calls:
            raise InvalidInput(
                "call", f"Workers cannot ask for {name[:100]!r}.", allowed=", ".join(self._calls)
            )
        try:
            return {"answer": self._calls[name](**arguments)}
        except (Cancelled, Declined) as stop:
            return {"raised": type(stop).__name__}

    def folder(self, job: str, attempt: str, variant: str) -> Path:
        """Return where files of an attempt (NUMBER-ATTEMPT) at a block go; Cancelled if it does not hold."""
        number, _, which = attempt.partition("-")
        if not (number.isdecimal() and which.isdecimal() and variant.isdecimal()):
            raise Cancelled
        if not self._store.claims.holds(Hold(job, int(number), int(which), int(variant))):
            raise Cancelled
        return self._files.of(job) / attempt

    def show(self, job: str, made: Path) -> float:
        """Lay a worker's preview over what is known of a job, where it knows more.

        Return after how many seconds the worker may send another one: the more workers there are, the later.
        """
        with self._painting:
            path = self._files.preview(job)
            laid_over(path if path.exists() else None, made)
            os.replace(made, path)
        return max(PREVIEW_SECONDS, PREVIEW_SHARE * len(self._guests.names()))

    def raster(self, job: str, upload: str) -> StoredRaster:
        """Return the raster that an input of an unfinished job names; InvalidInput if it does not."""
        owner = self._store.queue.owner(job)
        return self._uploads.raster(owner, "upload", Upload(upload=upload))

    def model_file(self, model: str, name: str) -> Path:
        """Return a file of a model; InvalidInput if there is none."""
        folder = self._folder(model)
        if folder is None or name not in _files_of(folder):
            raise InvalidInput("name", "The model has no such file.", value=name)
        return folder / name

    # ---- calls ------------------------------------------------------------------------------------------

    def _order(self) -> Message:
        """Say what a worker is told at its start, as the supervisor tells those of this computer."""
        settings = self._settings.model_dump(mode="json", exclude=_PRIVATE)
        default = self._registry.default().card
        return {
            "processes": processes.registered(),
            "settings": settings | {"model": default.id},
            "revision": default.revision_or_hash,
        }

    def _take(self, worker: str, last: Message | None, excluded: list[str]) -> Message | None:
        claim = None
        if self._store.queue.waiting():  # else nobody need wait for the writer
            claim = self._store.claims.take(
                worker,
                self._settings.lease_seconds,
                self._settings.max_attempts,
                hold_of(last) if last is not None else None,
                excluded,
                "pixels",
            )
        self._guests.seen(worker, at_work=claim is not None)
        if claim is None:
            return None
        self._files.attempt(claim)
        return of_claim(claim)

    def _release(self, worker: str, crashed: bool, fault: str | None) -> None:
        self._guests.left(worker)
        self._store.claims.release(worker, crashed=crashed, fault=fault)

    def _ignores_cancel(self, worker: str) -> bool:
        self._guests.seen(worker)
        return self._store.upkeep.is_ignoring_cancel(worker, self._settings.cancel_seconds)

    def _extend_lease(self, claim: Message) -> bool:
        return self._store.claims.extend_lease(hold_of(claim), self._settings.lease_seconds)

    def _progress(self, claim: Message, done: int, total: int, rate: float | None) -> None:
        self._store.claims.progress(hold_of(claim), done, total, rate, self._settings.lease_seconds)

    def _finish(self, claim: Message, results: list[Message], notes: list[str]) -> None:
        self._store.claims.finish(hold_of(claim), [Result(**result) for result in results], notes)
        self._wake()

    def _plain(self, name: str) -> Callable[..., Any]:
        """Return the method of ``Claims`` of that name, for the block that a message means."""
        method = getattr(self._store.claims, name)
        return lambda claim, **arguments: method(hold_of(claim), **arguments)

    def _raster(self, job: str, field: str, upload: str) -> Message:
        try:
            return {"sha256": self.raster(job, upload).sha256}
        except (InvalidInput, NoSuchJob) as error:
            return {"refused": str(error)}

    def _model(self, model: str) -> Message:
        folder = self._folder(model)
        if folder is None:
            return {"revision": None, "files": {}}
        sums = {name: self._sum(folder / name) for name in _files_of(folder)}
        return {"revision": self._registry.get(model).card.revision_or_hash, "files": sums}

    def _folder(self, model: str) -> Path | None:
        """Return the folder of a model; None: there is no such model, or no files of it."""
        try:
            return self._registry.get(model).folder
        except ModelUnavailable:
            return None

    def _sum(self, path: Path) -> str:
        stat = path.stat()
        key = str(path), stat.st_size, stat.st_mtime_ns
        if key not in self._sums:
            with path.open("rb") as file:
                self._sums[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._sums[key]


def _files_of(folder: Path) -> list[str]:
    """Return the files of a model as paths below its folder, hidden ones left out."""
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]
