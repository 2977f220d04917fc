"""A disk that is full, limited or read-only ends a job with a sentence, early, and leaves nothing."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model_backend.jobs import space
from model_backend.jobs.rows import Job, Submission, Wish
from model_backend.jobs.worker import Worker
from model_backend.models.registry import Registry
from model_backend.processes import generate
from model_backend.settings import Settings
from tests.backend.test_resume import SCENE, SMALL
from tests.tiny import build_tiny, tiny_card

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


class Labour:
    """One worker in this process, and one job for it: two blocks, and joining them."""

    def __init__(self, folder: Path, model: Path) -> None:
        folder.mkdir(exist_ok=True)
        settings = Settings(data_dir=folder, model=str(model), device="cpu", threads=1)
        registry = Registry(settings)
        self._worker = Worker("w", "cpu", settings)
        self.store, self._last = self._worker._store, None
        inputs = generate.PROCESS.parse(SCENE | {"extent": EXTENT})
        plan = generate.plan(inputs, registry, settings, None)
        totals, layout = generate.blocks(plan, registry), generate.layout_seconds(plan)
        given = inputs.model_dump(mode="json")
        submission = Submission(
            "ada", "generate", "d", given, Wish(), totals, plan.variants, layout, plan
        )  # fmt: skip
        self.id = self.store.submit(submission, max_jobs=1, free=10**12).id
        self.plan = plan

    def next(self) -> Job:
        """Do the next block."""
        self._last: Any = self.store.claim("w", 60, 3, self._last)
        assert self._last is not None
        self._worker._do(self._last)
        return self.store.job("ada", self.id)


def fill(folder: Path, leaving: int) -> Path:
    """Leave so many bytes of a disk."""
    path = folder / "filler"
    path.write_bytes(bytes(max(0, shutil.disk_usage(folder).free - leaving)))
    return path


def test_a_scene_fits_into_what_was_reserved_for_it(disk: Path, model: Path) -> None:
    labour = Labour(disk.parent, model)
    fill(disk, labour.plan.bytes)
    for _ in range(2):
        assert labour.next().status == "running"
    assert labour.next().status == "successful"


def test_a_full_disk_before_a_block(disk: Path, model: Path) -> None:
    labour = Labour(disk.parent, model)
    filler = fill(disk, 100_000)
    job = labour.next()
    assert (job.status, job.done) == ("failed", 0), "before the first step"
    assert "The disk of the backend is full" in job.message
    assert list(disk.iterdir()) == [filler]


def test_a_full_disk_before_the_blocks_are_joined(disk: Path, model: Path) -> None:
    labour = Labour(disk.parent, model)
    for _ in range(2):
        assert labour.next().status == "running"
    filler = fill(disk, 100_000)
    job = labour.next()
    assert job.status == "failed"
    assert "The disk of the backend is full" in job.message
    assert list(disk.iterdir()) == [filler]


@pytest.mark.parametrize("leaving", [0, 50_000])
def test_a_disk_that_fills_up_while_it_is_written_to(
    disk: Path, model: Path, leaving: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else takes what was free a moment ago: while the blocks are joined, by GDAL."""
    labour, take = Labour(disk.parent, model), space.take
    for _ in range(2):
        labour.next()

    def lost(folder: Path, needed: int) -> None:
        take(folder, needed)
        fill(disk, leaving)

    monkeypatch.setattr(space, "take", lost)
    job = labour.next()
    assert job.status == "failed"
    assert "The disk of the backend is full" in job.message
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_a_read_only_folder(disk: Path, model: Path) -> None:
    labour = Labour(disk.parent, model)
    labour.next()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    job = labour.next()
    assert (job.status, "read-only" in job.message) == ("failed", True)


def test_a_limit_on_the_size_of_files(tmp_path: Path, model: Path) -> None:
    """As a quota is: the disk has room, but not for us."""
    labour = Labour(tmp_path / "data", model)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for _ in range(2):
        labour.next()
    labour.store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the job store is to stay below the limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, hard))
    try:
        job = labour.next()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (job.status, "file as large as this" in job.message) == ("failed", True)
    assert list((tmp_path / "data" / "jobs").iterdir()) == []
