"""Scenes in blocks, made by workers that a test starts and kills, with no HTTP service around them."""

from __future__ import annotations

import itertools
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rasterio

from model_backend.jobs.files import Files
from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.store.rows import UNFINISHED, Job
from model_backend.models.card import EngineParameters
from model_backend.settings import Settings
from tests.support.backend.forked_workers import ForkedWorkers
from tests.support.backend.interruption import stop
from tests.support.backend.service import until
from tests.support.backend.submissions import submission
from tests.support.backend.tiny_models import build_tiny, tiny_card

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
RESULTS = ["image.tif", "item.json", "preview.png", "recipe.json"]


def small_model(folder: Path) -> Path:
    """Make the model that such blocks are of, and return its folder."""
    return build_tiny(folder / "small", vae="tiny", card=tiny_card(engine=SMALL))


class HeadlessBackend:
    """A backend without its HTTP service: a data directory, the job store, and workers that a test kills."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.store = settings, JobStore.open(settings.data_dir)
        self.files = Files(settings.data_dir)
        self._workers = ForkedWorkers(settings)
        self._living: dict[str, int] = {}

    def submit(self, process: str = "generate", **changed: Any) -> str:
        wish = SCENE | changed if process == "generate" else changed
        return self.store.queue.submit(submission(self.settings, process, wish), max_jobs=100, free=10**12).id

    def rows(self, job: str) -> list[sqlite3.Row]:
        return self.store.database.rows("SELECT * FROM block WHERE job = ? ORDER BY number", (job,))

    def job(self, job: str) -> Job:
        return self.store.queue.job("ada", job)

    def start(self, name: str, **how: Any) -> None:
        self._living[name] = self._workers.start(name, **how)

    def kill(self, name: str) -> bool:
        """Kill a worker and free what it held, as a supervisor does; say whether it held a block."""
        self._workers.kill(self._living.pop(name))
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
        names = (f"killed-{jobs[0]}-{number}" for number in itertools.count())
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
        self._workers.close()
        self.store.close()


def worker_settings(folder: Path, model: Path, **more: Any) -> Settings:
    """Return settings of a data directory in ``folder``, for workers that die often."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"lease_seconds": 60, "max_attempts": 1000, "threads": 1} | more
    return Settings(data_dir=folder, model=str(model), **settings)
