"""Scenes in blocks, by workers that die: the same bytes as undisturbed, and nothing is made twice."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from model_backend.jobs.files import Files
from model_backend.jobs.rows import Wish
from model_backend.jobs.store import Store
from model_backend.models.card import EngineParameters
from model_backend.models.registry import Registry
from model_backend.processes import generate
from model_backend.settings import Settings
from tests.backend.mortal import Reaper, settings_of
from tests.backend.serving import until
from tests.tiny import build_tiny, tiny_card

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks, and kills with POSIX signals")

# Blocks of 512 pixels: 2 x 4 of them in the scene below.
SMALL = EngineParameters(
    window=12, stride=9, boundaries=(500,), decode_window=26, decode_core=16, decode_halo=5, batch=1
)
SCENE: dict[str, Any] = {
    "prompt": "a river",
    "extent": {"bbox": [500_000, 5_200_000, 501_000, 5_202_000], "crs": "EPSG:32632"},
    "gsd": 1.0,
    "seed": 11,
    "steps": 2,
    "guidance": 1.0,
}
BLOCKS = 8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("models") / "small", card=tiny_card(engine=SMALL))


class Place:
    """A data directory, its store, and workers to be killed."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.store, self.files = settings, Store(settings.data_dir / "jobs.sqlite"), None
        self.files = Files(settings.data_dir)
        self.reaper = Reaper(settings)

    def submit(self, **changed: Any) -> str:
        registry = Registry(self.settings)
        inputs = generate.PROCESS.parse(SCENE | changed)
        plan = generate.plan(inputs, registry, self.settings, None)
        from model_backend.jobs.rows import Submission

        submission = Submission(
            owner="ada",
            process="generate",
            digest="d",
            inputs=inputs.model_dump(mode="json"),
            wish=Wish(),
            totals=generate.blocks(plan, registry),
            variants=plan.variants,
            layout=generate.layout_seconds(plan),
            plan=plan,
        )
        return self.store.submit(submission, max_jobs=100, free=10**12).id

    def rows(self, job: str) -> list[sqlite3.Row]:
        return self.store._rows("SELECT * FROM block WHERE job = ? ORDER BY number", (job,))

    def finished(self, job: str, seconds: float = 60) -> str:
        until(lambda: self.store.job("ada", job).status not in ("accepted", "running"), seconds)
        done = self.store.job("ada", job)
        assert done.status == "successful", done.message
        return done.message

    def kill(self, worker: str, pid: int) -> None:
        """Kill a worker and free what it held, as a supervisor does."""
        self.reaper.kill(pid)
        self.store.release(worker, crashed=True)

    def pixels(self, job: str, output: str = "image") -> np.ndarray:
        results = {result.output: result for result in self.store.results("ada", job)}
        with rasterio.open(self.files.of(job) / str(results[output].file)) as file:
            return file.read()

    def left(self, job: str) -> list[str]:
        return sorted(path.name for path in self.files.of(job).rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def place(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    one = Place(settings_of(tmp_path_factory.mktemp("place") / "data", model))
    yield one
    one.reaper.close()
    one.store.close()


@pytest.fixture(scope="module")
def undisturbed(place: Place) -> np.ndarray:
    """The pixels as one worker makes them that nobody kills."""
    job = place.submit()
    assert len(place.rows(job)) == BLOCKS + 1
    pid = place.reaper.start("calm")
    assert place.finished(job) == "Done."
    assert [row["attempt"] for row in place.rows(job)] == [1] * (BLOCKS + 1)
    until(lambda: place.left(job) == ["image.tif", "item.json", "preview.jpg", "recipe.json"])
    place.kill("calm", pid)
    return place.pixels(job)


@pytest.mark.slow
def test_a_worker_killed_ten_times_ends_with_the_same_bytes(place: Place, undisturbed: np.ndarray) -> None:
    job, rng = place.submit(), random.Random(5)
    caught = []
    for death in range(10):
        pid = place.reaper.start(f"mortal-{death}")
        until(lambda: any(row["status"] == "running" for row in place.rows(job)))
        time.sleep(rng.uniform(0.2, 1.0))
        done = place.store.job("ada", job).status == "successful"
        held = [row["number"] for row in place.rows(job) if row["status"] == "running"]
        place.kill(f"mortal-{death}", pid)
        caught += held
        if done:
            break
    attempts = {row["number"]: row["attempt"] for row in place.rows(job)}
    pid = place.reaper.start("last")
    place.finished(job)
    place.kill("last", pid)
    print("killed in blocks", caught)
    assert len(caught) >= 5
    for row in place.rows(job):
        assert row["attempt"] <= caught.count(row["number"]) + 1, "only what was being made is made again"
    assert sum(attempts.values()) > 0
    np.testing.assert_array_equal(place.pixels(job), undisturbed)


def test_two_workers_share_a_scene(place: Place, undisturbed: np.ndarray) -> None:
    job = place.submit()
    pids = {name: place.reaper.start(name) for name in ("one", "two")}
    place.finished(job)
    for name, pid in pids.items():
        place.kill(name, pid)
    makers = [row["worker"] for row in place.rows(job)][:-1]
    print(makers)
    assert set(makers) == {"one", "two"}
    np.testing.assert_array_equal(place.pixels(job), undisturbed)
