"""Scenes in blocks, by workers that die: the same bytes as undisturbed, and little is made twice."""

from __future__ import annotations

import io
import itertools
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import rasterio
from PIL import Image

from model_backend.jobs.files import Files
from model_backend.jobs.rows import UNFINISHED, Job
from model_backend.jobs.store import JobStore
from model_backend.models.card import EngineParameters
from model_backend.settings import Settings
from tests.support.backend_process import Server, finished, submit, until
from tests.support.interruption import Diary, stop
from tests.support.killed_workers import Reaper, settings_of
from tests.support.submissions import submission
from tests.support.tiny_models import build_tiny, tiny_card

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks, and kills with POSIX signals")

# Blocks of at most 512 pixels: 2 x 3 of them in the scene below, one column of which is 8 pixels wide.
SMALL = EngineParameters(
    window=12,
    stride=9,
    boundaries=(500,),
    guidance_cutoff=500,
    decode_window=36,
    decode_core=32,
    decode_halo=2,
    decode_fade=2,
    batch=1,
)
SCENE: dict[str, Any] = {
    "prompt": "a river",
    "extent": {"bbox": [500_000, 5_200_000, 500_520, 5_201_100], "crs": "EPSG:32632"},
    "gsd": 1.0,
    "seed": 11,
    "steps": 2,
    "guidance": 2.0,  # at the first of its steps
}
BLOCKS = 6
RESULTS = ["image.tif", "item.json", "preview.jpg", "recipe.json"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    card = tiny_card(engine=SMALL)
    return build_tiny(tmp_path_factory.mktemp("models") / "small", vae="tiny", card=card)


class Place:
    """A data directory, its store, and workers to be killed."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.store = settings, JobStore.open(settings.data_dir)
        self.files = Files(settings.data_dir)
        self._reaper = Reaper(settings)
        self._living: dict[str, int] = {}

    def submit(self, process: str = "generate", **changed: Any) -> str:
        wish = SCENE | changed if process == "generate" else changed
        return self.store.queue.submit(submission(self.settings, process, wish), max_jobs=100, free=10**12).id

    def rows(self, job: str) -> list[sqlite3.Row]:
        return self.store.database.rows("SELECT * FROM block WHERE job = ? ORDER BY number", (job,))

    def job(self, job: str) -> Job:
        return self.store.queue.job("ada", job)

    def start(self, name: str, **how: Any) -> None:
        self._living[name] = self._reaper.start(name, **how)

    def kill(self, name: str) -> bool:
        """Kill a worker and free what it held, as a supervisor does; say whether it held a block."""
        self._reaper.kill(self._living.pop(name))
        held = self.store.database.rows(
            "SELECT 1 FROM block WHERE worker = ? AND status = 'running'", (name,)
        )
        self.store.claims.release(name, crashed=True)
        return bool(held)

    def die_often(
        self, deaths: int, seed: int, seconds: float, process: str = "generate", /, **wish: Any
    ) -> list[str]:
        """Kill workers that hold a block, ``seconds`` into it at most; return the jobs that this took."""
        jobs, died, rng = [self.submit(process, **wish)], 0, random.Random(seed)
        names = (f"mortal-{jobs[0]}-{number}" for number in itertools.count())
        while died < deaths:
            if self.over(jobs[-1]):
                jobs.append(self.submit(process, **wish))
            name = next(names)
            self.start(name)
            until(lambda name=name: any(row["worker"] == name for row in self.rows(jobs[-1])))  # type: ignore[misc]
            time.sleep(rng.uniform(0, seconds))
            died += self.kill(name)
        return jobs

    def over(self, job: str) -> bool:
        """Say whether a job has ended."""
        return self.job(job).status not in UNFINISHED

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Have a worker rest for a while, where it holds no lock."""
        worker = psutil.Process(self._living[name])
        stop(worker, self.settings.data_dir)
        yield
        worker.resume()

    def make(self, job: str, name: str, count: int) -> None:
        """Have a worker make so many blocks of a job and no more, and kill it."""
        self.start(name, claims=count)
        until(lambda: sum(row["status"] == "successful" for row in self.rows(job)) == count)
        self.kill(name)

    def finish(self, job: str, *names: str) -> Job:
        """Have workers finish a job, and end them."""
        for name in names:
            if name not in self._living:
                self.start(name)
        until(lambda: self.over(job))
        if self.job(job).status == "successful":  # its blocks go right after
            until(lambda: all(row["file"] is None for row in self.rows(job)))
        for name in names:
            self.kill(name)
        return self.job(job)

    def pixels(self, job: str, output: str = "image") -> np.ndarray:
        results = {result.output: result for result in self.store.queue.results("ada", job)}
        with rasterio.open(self.files.of(job) / str(results[output].file)) as file:
            return file.read()

    def left(self, job: str) -> list[str]:
        return sorted(path.name for path in self.files.of(job).rglob("*") if path.is_file())

    def close(self) -> None:
        self._reaper.close()
        self.store.close()


@pytest.fixture(scope="module")
def place(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    one = Place(settings_of(tmp_path_factory.mktemp("place") / "data", model))
    yield one
    one.close()


@pytest.fixture(scope="module")
def calm(place: Place) -> str:
    """The scene as one worker makes it that nobody kills: its job."""
    job = place.submit()
    assert len(place.rows(job)) == BLOCKS + 1
    done = place.finish(job, "calm")
    assert (done.status, done.message) == ("successful", "Done.")
    assert [row["attempt"] for row in place.rows(job)] == [1] * (BLOCKS + 1)
    assert place.left(job) == RESULTS, "no block is left, nor a part of a file"
    return job


@pytest.fixture(scope="module")
def undisturbed(place: Place, calm: str) -> np.ndarray:
    """The pixels of that scene."""
    with Image.open(place.files.preview(calm)) as picture:
        assert picture.size == (484, 1024)
        seen = np.asarray(picture.resize((52, 110)), int)
    pixels = place.pixels(calm)
    thin = pixels.reshape(3, 110, 10, 52, 10).mean((2, 4)).transpose(1, 2, 0)
    assert np.abs(thin - seen).mean() < 12, "the preview is the scene"
    return pixels


@pytest.fixture(scope="module")
def pace(place: Place, calm: str) -> float:
    """How many seconds a block of that scene took on this machine: moments to kill at are drawn by it."""
    job = place.job(calm)
    assert job.started is not None
    assert job.finished is not None
    return (job.finished - job.started) / (BLOCKS + 1)


@pytest.mark.slow
def test_workers_killed_at_random_moments_leave_the_same_bytes(
    place: Place, undisturbed: np.ndarray, pace: float
) -> None:
    """Seventeen that held a block when they died."""
    jobs = place.die_often(17, 5, 1.5 * pace)
    crashes = {job: [row["crashes"] for row in place.rows(job)] for job in jobs}
    assert sum(map(sum, crashes.values())) == 17
    place.finish(jobs[-1], "last")
    for job in jobs:
        attempts = [row["attempt"] for row in place.rows(job)]
        assert attempts == [died + 1 for died in crashes[job]], "only what was being made is made again"
        np.testing.assert_array_equal(place.pixels(job), undisturbed)


@pytest.mark.slow
def test_backends_killed_at_random_moments_leave_the_same_bytes(
    model: Path, tmp_path: Path, undisturbed: np.ndarray, pace: float
) -> None:
    """Three while there was work, over HTTP: no farewell, no hand over."""
    server, rng = Server(tmp_path / "data", "--model", str(model)).start(), random.Random(7)
    store = JobStore.open(server.data_dir)
    deaths: dict[str, int] = {}  # by job
    job = ""

    def state() -> tuple[bool, int, int]:
        """Return whether the job is unfinished, how often its blocks were claimed, how many are made."""
        rows = store.database.rows("SELECT status, attempt FROM block WHERE job = ?", (job,))
        made = sum(row["status"] == "successful" for row in rows)
        return made < len(rows), sum(row["attempt"] for row in rows), made

    while sum(deaths.values()) < 3:
        if not state()[0]:  # as above: it may take another scene
            with server.client() as client:
                job = submit(client, "generate", SCENE)
            deaths[job] = 0
        before = state()
        until(lambda before=before: state()[:2] != before[:2])  # somebody is at it, or it has ended
        time.sleep(rng.uniform(0, 1.5 * pace))
        server.kill()
        after = state()
        deaths[job] += after[0]
        assert after[2] >= before[2], "what was made stays"
        server.start()
    with server.client() as client:
        for job in deaths:
            assert finished(client, job)["status"] == "successful"
            content = client.get(f"/jobs/{job}/results/image.tif").content
            claimed = state()[1]
            assert claimed <= BLOCKS + 1 + deaths[job], "only what was being made is made again"
            with rasterio.open(io.BytesIO(content)) as file:
                np.testing.assert_array_equal(file.read(), undisturbed)
    store.close()
    server.stop()


def test_a_worker_killed_while_it_joins_the_blocks(place: Place, undisturbed: np.ndarray) -> None:
    for attempt in itertools.count():  # should it be done before we look, another time
        job = place.submit()
        name, folder = f"first-{attempt}", place.files.of(job)
        place.start(name)
        until(lambda folder=folder: list(folder.glob(f"{BLOCKS}-1/image.tif*")))
        place.kill(name)
        if not place.over(job):
            break
    assert place.left(job).count("block.tif") == BLOCKS, "blocks stay until the file is there"
    place.finish(job, "second")
    assert [row["attempt"] for row in place.rows(job)] == [1] * BLOCKS + [2]
    np.testing.assert_array_equal(place.pixels(job), undisturbed)
    assert place.left(job) == RESULTS


@pytest.mark.slow
def test_two_workers_share_a_scene(place: Place, undisturbed: np.ndarray) -> None:
    job = place.submit()
    place.start("one")
    until(lambda: place.rows(job)[0]["worker"] == "one")
    with place.stopped("one"):  # else it might be done before the other one has begun
        place.start("two")
        until(lambda: any(row["worker"] == "two" for row in place.rows(job)))
    place.finish(job, "one", "two")
    makers = [row["worker"] for row in place.rows(job)][:-1]
    assert set(makers) == {"one", "two"}
    changes = sum(a != b for a, b in zip(makers, makers[1:], strict=False))
    assert changes <= 3, f"neighbours are made by the same worker: {makers}"
    np.testing.assert_array_equal(place.pixels(job), undisturbed)


@pytest.mark.slow
def test_a_backend_of_two_devices_makes_one_scene_on_both(
    model: Path, tmp_path: Path, undisturbed: np.ndarray
) -> None:
    """As `serve --devices cuda:0,cuda:1` does, over HTTP; they share two threads, so have one each."""
    server = Server(tmp_path / "data", "--model", str(model), "--devices", "cpu,cpu", threads=2).start()
    store, makers = JobStore.open(server.data_dir), set[str]()
    with server.client() as client:
        for _ in range(10):  # one worker may have made all of it before the other one is there
            job = submit(client, "generate", SCENE)
            assert finished(client, job)["status"] == "successful"
            with rasterio.open(io.BytesIO(client.get(f"/jobs/{job}/results/image.tif").content)) as file:
                np.testing.assert_array_equal(file.read(), undisturbed)
            makers = {
                row["worker"] for row in store.database.rows("SELECT worker FROM block WHERE job = ?", (job,))
            }
            if len(makers) == 2:
                break
    assert len(makers) == 2
    store.close()
    server.stop()


@pytest.mark.slow
def test_a_block_that_is_lost_or_damaged_is_made_again(place: Place, undisturbed: np.ndarray) -> None:
    job = place.submit()
    place.make(job, "first", 2)
    folder, rows = place.files.of(job), place.rows(job)
    (folder / rows[0]["file"]).unlink()
    damaged = folder / rows[1]["file"]
    damaged.write_bytes(damaged.read_bytes()[:-100] + bytes(100))
    place.finish(job, "second")
    attempts = [row["attempt"] for row in place.rows(job)]
    assert (attempts[:2], attempts[-1]) == ([2, 2], 2), "found when they were to be joined"
    np.testing.assert_array_equal(place.pixels(job), undisturbed)


@pytest.mark.slow
def test_another_profile_begins_anew_and_says_so(place: Place, undisturbed: np.ndarray) -> None:
    job = place.submit()
    place.make(job, "one-thread", 2)
    place.start("two-threads", threads=2)
    done = place.finish(job, "two-threads")
    assert f"begun anew (2 of {BLOCKS} parts had been made)" in done.message
    rows = place.rows(job)[:-1]
    assert len({row["profile"] for row in rows}) == 1
    assert {row["worker"] for row in rows} == {"two-threads"}
    difference = np.abs(place.pixels(job).astype(int) - undisturbed)
    assert np.quantile(difference, 0.99) <= 1, "the same scene, if not the same bits"


@pytest.mark.slow
def test_workers_of_two_profiles_do_not_spoil_each_others_scene(place: Place) -> None:
    job = place.submit()
    place.start("one-thread")
    until(lambda: any(row["profile"] for row in place.rows(job)))
    place.start("two-threads", threads=2)
    place.finish(job, "one-thread", "two-threads")
    rows = place.rows(job)[:-1]
    assert len({row["profile"] for row in rows}) == 1
    assert len({row["worker"] for row in rows}) == 1


def test_variants_are_joined_one_by_one(place: Place) -> None:
    extent = {"bbox": [500_000, 5_200_000, 500_100, 5_200_600], "crs": "EPSG:32632"}
    job = place.submit(extent=extent, variants=2)
    assert [row["part"] for row in place.rows(job)] == [0, 1, None, 0, 1, None]
    done = place.finish(job, "one")
    assert [result.output for result in place.store.queue.results("ada", job)] == [
        "image", "item", "recipe", "image_2", "item_2", "recipe_2",
    ]  # fmt: skip
    assert (place.pixels(job) != place.pixels(job, "image_2")).mean() > 0.1
    assert done.progress == 100
    alone = place.submit(extent=extent, seed=12)
    place.finish(alone, "two")
    np.testing.assert_array_equal(place.pixels(alone), place.pixels(job, "image_2"))


@pytest.mark.slow
def test_progress_and_preview_grow_block_by_block(place: Place) -> None:
    diary, job = Diary(place.settings.data_dir), place.submit()
    place.make(job, "one", 3)
    seen = diary.progress(job)
    diary.close()
    assert seen == sorted(seen), "progress does not go back"
    assert {0, 1, 2} <= {made for made, _ in seen}
    assert len({share for _, share in seen}) > 5
    assert 45 <= place.job(job).progress < 100
    with Image.open(place.files.preview(job)) as picture:
        pixels = np.asarray(picture, int)
    nothing = np.abs(pixels - 128).max(axis=(1, 2)) < 8
    assert not nothing[:450].any(), "what is made is shown"
    assert nothing[-50:].all(), "the rest is grey"
    place.store.queue.dismiss("ada", job)
    shutil.rmtree(place.files.of(job))


@pytest.mark.slow
@pytest.mark.parametrize("when", ["between blocks", "at the last step"])
def test_a_cancelled_scene_ends_at_once_and_leaves_nothing(model: Path, tmp_path: Path, when: str) -> None:
    """Over HTTP, with finished blocks on the disk, or while they are joined."""
    server = Server(tmp_path / "data", "--model", str(model)).start()
    store, files = JobStore.open(server.data_dir), Files(server.data_dir)
    awaited = "1-1/block.tif" if when == "between blocks" else f"{BLOCKS}-1/image.tif*"
    with server.client() as client:
        for _ in range(10):  # joining takes a moment only, which we may miss
            job = submit(client, "generate", SCENE)
            until(lambda job=job: list(files.of(job).glob(awaited)))  # type: ignore[misc]
            began = time.monotonic()
            client.delete(f"/jobs/{job}").raise_for_status()
            if store.database.rows("SELECT 1 FROM job WHERE id = ? AND status = 'dismissed'", (job,)):
                break
        until(lambda: not files.of(job).exists(), 2.0)
        assert time.monotonic() - began < 2.0
        assert client.get(f"/jobs/{job}").json()["status"] == "dismissed"
        after = submit(client, "echo", {"message": "next"})
        assert finished(client, after)["status"] == "successful", "the worker is free again"
        assert not files.of(job).exists()
    store.close()
    server.stop()
