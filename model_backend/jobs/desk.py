"""Where a worker gets its work and hands it in: one interface, wherever the backend is.

On this computer it is the job store and the folders beside it (``LocalDesk``); a worker elsewhere asks over
HTTP (``remote.desk``). Handlers and workers know no other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from model_backend.jobs.files import Files
from model_backend.jobs.store.claims import Claims
from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.store.profiles import Profiles
from model_backend.jobs.store.rows import Claim, Hold, Result, Work
from model_backend.jobs.uploads import Uploads
from model_backend.models.registry import Registry
from model_backend.processes.base import StoredRaster
from model_backend.schemas import Upload
from model_backend.settings import Settings

POLL = 5.0  # seconds between looks for work that nobody announced: the safety net
PREVIEW_SECONDS = 1.0  # between previews


class WorkerClaims(Protocol):
    """What a worker says of blocks; see ``store.claims.Claims``, which is one."""

    def take(
        self,
        worker: str,
        lease: float,
        max_crashes: int,
        last: Hold | None = None,
        excluded: Collection[str] = (),
        work: Work = "any",
    ) -> Claim | None:
        """Take a block; None: there is none."""

    def begin(self, claim: Claim, profile: str) -> int:
        """Enter what a block is to be computed on; return how many finished ones another profile made."""

    def record_block(self, claim: Claim, file: str, sha256: str, approximate: bool) -> None:
        """Enter where the pixels of a block lie and how they came out."""

    def put_back(self, claim: Claim) -> None:
        """Give a block back that somebody else is to do."""

    def set_message(self, claim: Claim, message: str) -> None:
        """Tell the owner what is being done."""

    def progress(self, claim: Claim, done: int, total: int, rate: float | None, lease: float) -> None:
        """Record the steps that are done, and extend the lease."""

    def extend_lease(self, claim: Claim, lease: float) -> bool:
        """Extend the lease; false when the claim no longer holds."""

    def finish(self, claim: Claim, results: Sequence[Result], notes: Sequence[str] = ()) -> None:
        """Record a block's results and sentences for the owner."""

    def fail(self, claim: Claim, sentence: str, kind: str = "other") -> None:
        """End the job with a sentence for its owner, and count its kind of failure."""

    def let_go(self, claim: Claim) -> None:
        """Let go of a cancelled claim."""

    def release(self, worker: str, *, crashed: bool = False, fault: str | None = None) -> None:
        """Free what a worker held when it ended."""


class WorkerProfiles(Protocol):
    """What models are like, as a worker sees it; see ``store.profiles.Profiles``, which is one."""

    def record(self, model: str, device: str, profile: dict[str, Any], rate: float) -> None:
        """Remember a loaded model's profile and its seconds per evaluation."""

    def of(self, model: str) -> tuple[dict[str, Any], float] | None:
        """Return what was remembered."""


class Journal(Protocol):
    """The rows of jobs, as a worker sees them."""

    @property
    def claims(self) -> WorkerClaims:
        """Blocks."""

    @property
    def profiles(self) -> WorkerProfiles:
        """Models."""


class Desk(Journal, Protocol):
    """The rows, and the files that go in and come out."""

    @property
    def files(self) -> Files:
        """Where a worker writes."""

    @property
    def poll(self) -> float:
        """Seconds between looks for work that nobody announced."""

    @property
    def preview_pause(self) -> float:
        """Seconds between previews: nobody sees more."""

    def raster(self, job: str, field: str, named: Upload) -> StoredRaster:
        """Return the raster that an input of a job names; raises InvalidInput."""

    def fetch_models(self, claim: Claim, registry: Registry) -> None:
        """Have the models here that a block is made with, as far as the backend has them."""

    def tidy(self, claim: Claim) -> None:
        """Remove what is not needed after a block is finished."""

    def sweep(self, claim: Claim) -> None:
        """Remove what a block that came to nothing left behind."""


@dataclass(frozen=True)
class LocalDesk:
    """The desk of a worker on the computer of its backend."""

    store: JobStore
    files: Files
    uploads: Uploads
    poll: float = POLL
    preview_pause: float = PREVIEW_SECONDS

    @classmethod
    def open(cls, settings: Settings) -> LocalDesk:
        """Open the data folder of a backend."""
        return cls(JobStore.open(settings.data_dir), Files(settings.data_dir), Uploads(settings))

    @property
    def claims(self) -> Claims:
        """Blocks."""
        return self.store.claims

    @property
    def profiles(self) -> Profiles:
        """Models."""
        return self.store.profiles

    def raster(self, job: str, field: str, named: Upload) -> StoredRaster:
        """Return the raster that an input of a job names; raises InvalidInput."""
        return self.uploads.raster(self.store.queue.owner(job), field, named)

    def fetch_models(self, claim: Claim, registry: Registry) -> None:
        """Do nothing: they are here."""

    def tidy(self, claim: Claim) -> None:
        """Remove the blocks of scenes that have been joined."""
        if claim.part is None:
            self.files.forget_blocks(self.store)

    def sweep(self, claim: Claim) -> None:
        """Remove the folders of jobs whose files are not wanted."""
        self.files.sweep(self.store.upkeep.folders)
