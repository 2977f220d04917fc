"""Scenes in blocks, by workers that die: the same bytes as undisturbed, and little is made twice."""

from __future__ import annotations

import io
import itertools
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from model_backend.jobs.files import Files
from model_backend.jobs.store.job_store import JobStore
from tests.support.backend.headless_backend import (
    BLOCKS,
    RESULTS,
    SCENE,
    SMALL,
    HeadlessBackend,
    worker_settings,
)
from tests.support.backend.interruption import JobHistory
from tests.support.backend.service import Backend, finished, submit, until
from tests.support.backend.tiny_models import build_tiny, tiny_card

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks, and kills with POSIX signals")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    card = tiny_card(engine=SMALL)
    return build_tiny(tmp_path_factory.mktemp("models") / "small", vae="tiny", card=card)


@pytest.fixture(scope="module")
def headless(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadlessBackend]:
    one = HeadlessBackend(worker_settings(tmp_path_factory.mktemp("headless") / "data", model))
    yield one
    one.close()


@pytest.fixture(scope="module")
def calm(headless: HeadlessBackend) -> str:
    """The scene as one worker makes it that nobody kills: its job."""
    job = headless.submit()
    assert len(headless.rows(job)) == BLOCKS + 1
    done = headless.finish(job, "calm")
    assert (done.status, done.message) == ("successful", "Done.")
    assert [row["attempt"] for row in headless.rows(job)] == [1] * (BLOCKS + 1)
    assert headless.left(job) == RESULTS, "no block is left, nor a part of a file"
    return job


@pytest.fixture(scope="module")
def undisturbed(headless: HeadlessBackend, calm: str) -> np.ndarray:
    """The pixels of that scene."""
    with Image.open(headless.files.preview(calm)) as picture:
        assert picture.size == (363, 768)
        assert picture.getchannel("A").getextrema() == (255, 255), "nothing is left to be made"
        seen = np.asarray(picture.convert("RGB").resize((52, 110)), int)
    pixels = headless.pixels(calm)
    thin = pixels.reshape(3, 110, 10, 52, 10).mean((2, 4)).transpose(1, 2, 0)
    assert np.abs(thin - seen).mean() < 12, "the preview is the scene"
    return pixels


@pytest.fixture(scope="module")
def pace(headless: HeadlessBackend, calm: str) -> float:
    """How many seconds a block of that scene took on this machine: moments to kill at are drawn by it."""
    job = headless.job(calm)
    assert job.started is not None
    assert job.finished is not None
    return (job.finished - job.started) / (BLOCKS + 1)


@pytest.mark.slow
def test_workers_killed_at_random_moments_leave_the_same_bytes(
    headless: HeadlessBackend, undisturbed: np.ndarray, pace: float
) -> None:
    """Seventeen that held a block when they died."""
    jobs = headless.die_often(17, 5, 1.5 * pace)
    crashes = {job: [row["crashes"] for row in headless.rows(job)] for job in jobs}
    assert sum(map(sum, crashes.values())) == 17
    headless.finish(jobs[-1], "last")
    for job in jobs:
        attempts = [row["attempt"] for row in headless.rows(job)]
        assert attempts == [died + 1 for died in crashes[job]], "only what was being made is made again"
        np.testing.assert_array_equal(headless.pixels(job), undisturbed)


@pytest.mark.slow
def test_backends_killed_at_random_moments_leave_the_same_bytes(
    model: Path, tmp_path: Path, undisturbed: np.ndarray, pace: float
) -> None:
    """Three while there was work, over HTTP: no farewell, no hand over."""
    server, rng = Backend(tmp_path / "data", "--model", str(model)).start(), random.Random(7)
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


def test_a_worker_killed_while_it_joins_the_blocks(
    headless: HeadlessBackend, undisturbed: np.ndarray
) -> None:
    for attempt in itertools.count():  # should it be done before we look, another time
        job = headless.submit()
        name, folder = f"first-{attempt}", headless.files.of(job)
        headless.start(name)
        until(lambda folder=folder: list(folder.glob(f"{BLOCKS}-1/image.tif*")))
        headless.kill(name)
        if not headless.over(job):
            break
    assert headless.left(job).count("block.tif") == BLOCKS, "blocks stay until the file is there"
    headless.finish(job, "second")
    assert [row["attempt"] for row in headless.rows(job)] == [1] * BLOCKS + [2]
    np.testing.assert_array_equal(headless.pixels(job), undisturbed)
    assert headless.left(job) == RESULTS


@pytest.mark.slow
def test_two_workers_share_a_scene(headless: HeadlessBackend, undisturbed: np.ndarray) -> None:
    job = headless.submit()
    headless.start("one")
    until(lambda: headless.rows(job)[0]["worker"] == "one")
    with headless.stopped("one"):  # else it might be done before the other one has begun
        headless.start("two")
        until(lambda: any(row["worker"] == "two" for row in headless.rows(job)))
    headless.finish(job, "one", "two")
    makers = [row["worker"] for row in headless.rows(job)][:-1]
    assert set(makers) == {"one", "two"}
    changes = sum(a != b for a, b in zip(makers, makers[1:], strict=False))
    assert changes <= 3, f"neighbours are made by the same worker: {makers}"
    np.testing.assert_array_equal(headless.pixels(job), undisturbed)


@pytest.mark.slow
def test_a_backend_of_two_devices_makes_one_scene_on_both(
    model: Path, tmp_path: Path, undisturbed: np.ndarray
) -> None:
    """As `serve --devices cuda:0,cuda:1` does, over HTTP; they share two threads, so have one each."""
    server = Backend(tmp_path / "data", "--model", str(model), "--devices", "cpu,cpu", threads=2).start()
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
def test_a_block_that_is_lost_or_damaged_is_made_again(
    headless: HeadlessBackend, undisturbed: np.ndarray
) -> None:
    job = headless.submit()
    headless.make(job, "first", 2)
    folder, rows = headless.files.of(job), headless.rows(job)
    (folder / rows[0]["file"]).unlink()
    damaged = folder / rows[1]["file"]
    damaged.write_bytes(damaged.read_bytes()[:-100] + bytes(100))
    headless.finish(job, "second")
    attempts = [row["attempt"] for row in headless.rows(job)]
    assert (attempts[:2], attempts[-1]) == ([2, 2], 2), "found when they were to be joined"
    np.testing.assert_array_equal(headless.pixels(job), undisturbed)


@pytest.mark.slow
def test_another_profile_begins_anew_and_says_so(headless: HeadlessBackend, undisturbed: np.ndarray) -> None:
    job = headless.submit()
    headless.make(job, "one-thread", 2)
    headless.start("two-threads", threads=2)
    done = headless.finish(job, "two-threads")
    assert f"begun anew (2 of {BLOCKS} parts had been made)" in done.message
    rows = headless.rows(job)[:-1]
    assert len({row["profile"] for row in rows}) == 1
    assert {row["worker"] for row in rows} == {"two-threads"}
    difference = np.abs(headless.pixels(job).astype(int) - undisturbed)
    assert np.quantile(difference, 0.99) <= 1, "the same scene, if not the same bits"


@pytest.mark.slow
def test_workers_of_two_profiles_do_not_spoil_each_others_scene(headless: HeadlessBackend) -> None:
    job = headless.submit()
    headless.start("one-thread")
    until(lambda: any(row["profile"] for row in headless.rows(job)))
    headless.start("two-threads", threads=2)
    headless.finish(job, "one-thread", "two-threads")
    rows = headless.rows(job)[:-1]
    assert len({row["profile"] for row in rows}) == 1
    assert len({row["worker"] for row in rows}) == 1


def test_variants_are_joined_one_by_one(headless: HeadlessBackend) -> None:
    extent = {"bbox": [500_000, 5_200_000, 500_100, 5_200_600], "crs": "EPSG:32632"}
    job = headless.submit(extent=extent, variants=2)
    assert [row["part"] for row in headless.rows(job)] == [0, 1, None, 0, 1, None]
    done = headless.finish(job, "one")
    assert [result.output for result in headless.store.queue.results("ada", job)] == [
        "image", "item", "recipe", "image_2", "item_2", "recipe_2",
    ]  # fmt: skip
    assert (headless.pixels(job) != headless.pixels(job, "image_2")).mean() > 0.1
    assert done.progress == 100
    alone = headless.submit(extent=extent, seed=12)
    headless.finish(alone, "two")
    np.testing.assert_array_equal(headless.pixels(alone), headless.pixels(job, "image_2"))


@pytest.mark.slow
def test_progress_and_preview_grow_block_by_block(headless: HeadlessBackend) -> None:
    history, job = JobHistory(headless.settings.data_dir), headless.submit()
    headless.make(job, "one", 3)
    seen = history.progress(job)
    history.close()
    assert seen == sorted(seen), "progress does not go back"
    assert {0, 1, 2} <= {made for made, _ in seen}
    assert len({share for _, share in seen}) > 5
    assert 45 <= headless.job(job).progress < 100
    with Image.open(headless.files.preview(job)) as picture:
        opacity = np.asarray(picture.getchannel("A"), int)
    assert (opacity[:337] == 255).all(), "what is made is shown"
    assert (opacity[-37:] == 0).all(), "the rest hides nothing of the map"
    headless.store.queue.dismiss("ada", job)
    shutil.rmtree(headless.files.of(job))


@pytest.mark.slow
@pytest.mark.parametrize("when", ["between blocks", "at the last step"])
def test_a_cancelled_scene_ends_at_once_and_leaves_nothing(model: Path, tmp_path: Path, when: str) -> None:
    """Over HTTP, with finished blocks on the disk, or while they are joined."""
    server = Backend(tmp_path / "data", "--model", str(model)).start()
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
