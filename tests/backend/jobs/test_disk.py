"""A disk that is full, limited or read-only ends a job with a sentence, early, and leaves nothing."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from model_backend.errors import StorageFull
from model_backend.jobs import space
from model_backend.jobs.pulse import Pulse
from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.store.rows import Job, RequestedOutputs, Submission
from model_backend.jobs.uploads import Uploads
from model_backend.jobs.worker import Worker
from model_backend.processes.base import Workload
from model_backend.settings import Settings
from tests.support.backend.headless_backend import SCENE, SMALL
from tests.support.backend.raster_files import polygon, rich_scene
from tests.support.backend.submissions import OWNER, submission
from tests.support.backend.tiny_models import build_tiny, tiny_card

EXTENT = {"bbox": [500_000, 5_200_000, 500_520, 5_200_300], "crs": "EPSG:32632"}
ROOM = 3 << 20  # of the small disk: enough for the blocks and the file, not for much beside them


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("models") / "small", vae="tiny", card=tiny_card(engine=SMALL))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose results lie on a small disk of their own."""
    folder = tmp_path / "data" / "jobs"
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


class SingleWorker:
    """One worker in this process, and one job for it: two blocks of a scene and joining them, or an edit."""

    def __init__(self, folder: Path, model: Path, process: str = "generate", **wish: Any) -> None:
        folder.mkdir(exist_ok=True)
        settings = Settings(data_dir=folder, model=str(model), device="cpu", threads=1)
        self._worker = Worker("w", "cpu", settings, Pulse())
        self.store, self._last = self._worker._desk.store, None
        if "source" in wish:
            wish["source"] = {"upload": Uploads(settings).adopt(OWNER, wish["source"])}
        job = submission(settings, process, wish or SCENE | {"extent": EXTENT})
        self.id = self.store.queue.submit(job, max_jobs=1, free=10**12).id
        assert job.work.plan is not None
        self.plan = job.work.plan

    def next(self) -> Job:
        """Do the next block."""
        self._last: Any = self.store.claims.take("w", 60, 3, self._last)
        assert self._last is not None
        self._worker.work_on(self._last)
        return self.store.queue.job("ada", self.id)

    def sweep(self) -> None:
        """Remove the files of jobs that are over, as the worker does after each."""
        self._worker._desk.files.sweep(self.store.upkeep.folders)


def fill(folder: Path, leaving: int) -> Path:
    """Leave so many bytes of a disk."""
    path = folder / "filler"
    path.write_bytes(bytes(max(0, shutil.disk_usage(folder).free - leaving)))
    return path


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A data directory on a small disk of its own."""
    folder = tmp_path / "all"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16M", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_owners_can_look_and_remove_while_the_disk_is_full(full: Path) -> None:
    store = JobStore.open(full)
    store.database.keep_reserve()
    filler = fill(full, 0)
    jobs: list[Job] = []

    def submit() -> None:
        work = Workload((1,) * 50)
        asked = Submission(OWNER, "echo", "d", {"message": "x" * 1000}, RequestedOutputs(), work)
        jobs.append(store.queue.submit(asked, max_jobs=10**6, free=10**12))

    with pytest.raises(StorageFull, match="Remove finished jobs"):
        list(iter(submit, "for ever"))
    assert {store.queue.job(OWNER, job.id).status for job in jobs} <= {"accepted"}
    for job in jobs:
        assert store.queue.dismiss(OWNER, job.id).status == "dismissed"
    filler.unlink()
    store.database.keep_reserve()
    assert (full / "reserve").exists()
    submit()
    store.close()


def short_of_disk(labour: SingleWorker, disk: Path) -> Job:
    """Do the next block, which the full disk forbids; nothing but what fills it is left."""
    job = labour.next()
    assert job.status == "failed"
    assert "The disk of the backend is full" in job.message
    assert [path.name for path in disk.iterdir()] == ["filler"]
    return job


def test_a_scene_fits_into_what_was_reserved_for_it(disk: Path, model: Path) -> None:
    labour = SingleWorker(disk.parent, model)
    fill(disk, labour.plan.bytes)
    for _ in range(2):
        assert labour.next().status == "running"
    assert labour.next().status == "successful"


def test_a_full_disk_before_a_block(disk: Path, model: Path) -> None:
    labour = SingleWorker(disk.parent, model)
    fill(disk, 100_000)
    assert short_of_disk(labour, disk).done == 0, "before the first step"


def test_a_full_disk_before_the_blocks_are_joined(disk: Path, model: Path) -> None:
    labour = SingleWorker(disk.parent, model)
    for _ in range(2):
        assert labour.next().status == "running"
    fill(disk, 100_000)
    short_of_disk(labour, disk)


@pytest.mark.parametrize("leaving", [0, 50_000])
def test_a_disk_that_fills_up_while_it_is_written_to(
    disk: Path, model: Path, leaving: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else takes what was free a moment ago: while the blocks are joined, by GDAL."""
    labour, take = SingleWorker(disk.parent, model), space.take
    for _ in range(2):
        labour.next()

    def lost(folder: Path, needed: int) -> None:
        take(folder, needed)
        fill(disk, leaving)

    monkeypatch.setattr(space, "take", lost)
    short_of_disk(labour, disk)


def test_a_read_only_folder(disk: Path, model: Path) -> None:
    labour = SingleWorker(disk.parent, model)
    labour.next()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    job = labour.next()
    assert (job.status, "read-only" in job.message) == ("failed", True)
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    labour.sweep()
    assert list(disk.iterdir()) == [], "what could not go then goes with the next sweep"


@pytest.fixture
def painting(inpaint_folder: Path, tmp_path: Path) -> Callable[[Path, str], SingleWorker]:
    """Make the labour of an edit or an extension in a data directory."""
    path = rich_scene(tmp_path / "scene.tif", "uint8", 3, "utm", None)
    area, crs = polygon(path, [(10, 10), (80, 12), (50, 60)])
    where = {
        "edit": {"mask": {"geojson": area, "crs": crs}},
        "extend": {"extent": {"bbox": [500_000, 5_199_900, 500_200, 5_200_000], "crs": crs}},
    }

    def labour(folder: Path, process: str) -> SingleWorker:
        wish = {"source": path, "prompt": "a river", "steps": 2} | where[process]
        return SingleWorker(folder, inpaint_folder, process, **wish)

    return labour


@pytest.mark.parametrize("process", ["edit", "extend"])
def test_an_edit_fits_into_what_was_reserved_for_it(
    disk: Path, painting: Callable[[Path, str], SingleWorker], process: str
) -> None:
    labour = painting(disk.parent, process)
    fill(disk, labour.plan.bytes)
    assert labour.next().status == "successful"


@pytest.mark.parametrize("process", ["edit", "extend"])
def test_a_full_disk_before_an_edit(
    disk: Path, painting: Callable[[Path, str], SingleWorker], process: str
) -> None:
    labour = painting(disk.parent, process)
    fill(disk, 10_000)
    assert short_of_disk(labour, disk).done == 0, "before the first step"


def test_a_disk_that_fills_up_while_an_edit_is_written(
    disk: Path, painting: Callable[[Path, str], SingleWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    labour, take, taken = painting(disk.parent, "edit"), space.take, []

    def lost(folder: Path, needed: int) -> None:
        take(folder, needed)
        taken.append(needed)
        if len(taken) == 2:  # before it is written
            fill(disk, 0)

    monkeypatch.setattr(space, "take", lost)
    assert short_of_disk(labour, disk).done > 0


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.EDQUOT, "used up its share of the disk"),
        (errno.EACCES, "may not write into its folder"),
        (errno.EIO, "cannot write: Input/output error"),
    ],
)
def test_what_a_file_system_refuses_is_said(
    tmp_path: Path, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(StorageFull, match=said):
        space.take(tmp_path, 1000)
    assert list(tmp_path.iterdir()) == []


def test_a_limit_on_the_size_of_files(tmp_path: Path, model: Path) -> None:
    """As a quota is: the disk has room, but not for us."""
    labour = SingleWorker(tmp_path / "data", model)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for _ in range(2):
        labour.next()
    # The job store is to stay below the limit.
    labour.store.database._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, hard))
    try:
        job = labour.next()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (job.status, "file as large as this" in job.message) == ("failed", True)
    assert list((tmp_path / "data" / "jobs").iterdir()) == []
