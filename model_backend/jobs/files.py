"""Where the files of jobs lie: one folder per job below the data directory.

Knows paths and their removal; rows decide what is wanted (``Upkeep.folders``). Every attempt at a block
writes into a folder of its own, so a worker that has lost its claim can never touch what replaced it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.store.rows import Claim

log = logging.getLogger(__name__)

SET_ASIDE = "set-aside"


class Files:
    """The folders of all jobs."""

    def __init__(self, data_dir: Path) -> None:
        """Use (and make) ``data_dir/jobs``, readable by its owner only."""
        self.root = data_dir / "jobs"
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def of(self, job: str) -> Path:
        """Return the folder of a job, whether or not it exists."""
        return self.root / job

    def preview(self, job: str) -> Path:
        """Return where a job's preview lies once there is one."""
        return self.of(job) / "preview.png"

    def attempt(self, claim: Claim) -> Path:
        """Make a fresh folder for a claim; what earlier attempts at the block left goes."""
        for old in self.of(claim.job).glob(f"{claim.number}-*"):
            remove(old)
        for part in self.of(claim.job).glob(f"preview.{claim.number}-*.part"):
            part.unlink(missing_ok=True)
        folder = self.of(claim.job) / f"{claim.number}-{claim.attempt}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def forget_blocks(self, store: JobStore) -> None:
        """Remove the blocks of scenes that have been joined."""
        blocks = store.upkeep.joined_blocks()
        for job, number in blocks:
            for attempt in self.of(job).glob(f"{number}-*"):
                remove(attempt)
        if blocks:
            store.upkeep.forget_files(blocks)

    def sweep(self, rows: Callable[[], dict[str, bool]]) -> None:
        """Remove the folders of jobs whose files are not wanted, as ``rows`` say it; see ``Upkeep.folders``.

        A folder of which there is no row is set aside, never removed: the rows may be what was lost. They are
        asked after the folders were listed: a folder is made after its row, so a job submitted meanwhile is
        safe.
        """
        names = sorted(path.name for path in self.root.iterdir() if path.name != SET_ASIDE)
        wanted = rows()
        for name in names:
            if not wanted.get(name, True):
                remove(self.of(name))
        self._set_aside([name for name in names if name not in wanted])

    def remove(self, jobs: Sequence[str]) -> list[str]:
        """Remove the folders of jobs and return those of which nothing is left."""
        for job in jobs:
            remove(self.of(job))
        return [job for job in jobs if not self.of(job).exists()]

    def _set_aside(self, names: Sequence[str]) -> None:
        place = self.root / SET_ASIDE  # on the same disk, whatever is mounted where
        for name in names:
            if not self.of(name).is_dir():
                continue
            place.mkdir(mode=0o700, exist_ok=True)
            target = place / name
            if target.exists():
                target = place / f"{name}-{time.time_ns()}"
            with suppress(FileNotFoundError):  # somebody else did so, or it has been removed with its row
                os.replace(self.of(name), target)
                log.warning("no job is called %s: set aside as %s, to be removed by hand", name, target)


def remove(folder: Path) -> None:
    """Remove a folder; what cannot go now (open elsewhere, on Windows) is left to the next sweep."""

    def left(_: object, path: str, error: BaseException) -> None:
        if not isinstance(error, FileNotFoundError):
            log.warning("cannot remove %s yet: %s", os.path.basename(path), error)

    shutil.rmtree(folder, onerror=lambda function, path, info: left(function, path, info[1]))


def is_as_written(path: Path, sha256: str) -> bool:
    """Say whether a file has the bytes that it was written with."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False
