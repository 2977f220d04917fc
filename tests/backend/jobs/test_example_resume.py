"""Scenes by example by several workers, and by workers that die: the same bytes as in one piece."""

from __future__ import annotations

import hashlib
import io
import json
import random
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import psutil
import pytest
import rasterio

from model_backend.engine.by_example.scene import ExampleScene
from model_backend.engine.makers import Origins
from model_backend.jobs.store.job_store import JobStore
from model_backend.models.banks.bank import Bank
from model_backend.schemas import Recipe
from tests.support.backend.service import Backend, finished, submit, until
from tests.support.backend.tiny_bank import build_bank

SCENE: dict[str, Any] = {
    "prompt": "farmland with a lake and a village",
    "gsd": 1.0,
    "seed": 11,
    "crs": "EPSG:32633",
    "extent": {
        "bbox": [500000, 5397900, 501600, 5400000],
        "crs": "EPSG:32633",
    },  # 6 blocks of 1,600 x 2,100 px
}
DEATHS = 4
OUTPUTS: dict[str, Any] = {"outputs": {"image": {}, "sources": {}}}


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bank(tmp_path_factory.mktemp("banks"))


class Silent:
    """A listener that never asks to stop."""

    def step(self, done: int, total: int) -> None:
        pass

    def preview(self, rgb: np.ndarray) -> None:
        pass


class Whole(NamedTuple):
    """The scene in one piece, (3, height, width), and where each pixel is from."""

    pixels: np.ndarray
    origins: Origins


@pytest.fixture(scope="module")
def whole(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    server = Backend(tmp_path_factory.mktemp("plan") / "data", "--model", str(bank)).start()
    with server.client() as client:
        body = {"inputs": {"process": "generate", "inputs": SCENE}}
        plan = client.post("/processes/plan/execution", json=body).raise_for_status().json()
    server.stop()
    recipe = Recipe.model_validate(plan["recipe"])
    scene = ExampleScene(Bank.read(bank), recipe, 2)
    pixels, origins = scene.pixels(recipe.grid, Silent()), scene.origins()
    assert origins is not None
    return Whole(pixels, origins)


def check(client: httpx.Client, job: str, whole: Whole) -> str:
    """Hold both files of a job to the scene in one piece; return the checksum of the raster of sources."""
    status = finished(client, job)
    assert status["status"] == "successful", status
    image, sources = (client.get(f"/jobs/{job}/results/{name}.tif").content for name in ("image", "sources"))
    with rasterio.open(io.BytesIO(image)) as file:
        assert np.array_equal(file.read(), whole.pixels)
    with rasterio.open(io.BytesIO(sources)) as file:
        assert np.array_equal(file.read(), whole.origins.places)
        counts = {int(number): json.loads(text)["pixels"] for number, text in file.tags(ns="SOURCES").items()}
    assert counts == {image.number: image.pixels for image in whole.origins.images}
    return hashlib.sha256(sources).hexdigest()


@pytest.mark.slow
def test_two_workers_make_one_scene(bank, whole, tmp_path):
    server = Backend(tmp_path / "data", "--model", str(bank), "--devices", "cpu,cpu", threads=2).start()
    store, makers, files = JobStore.open(server.data_dir), set[str](), set[str]()
    with server.client() as client:
        for _ in range(6):  # one worker may have made all of it before the other one is there
            job = submit(client, "generate", SCENE, **OUTPUTS)
            files.add(check(client, job, whole))
            rows = store.database.rows("SELECT worker FROM block WHERE job = ?", (job,))
            makers = {row["worker"] for row in rows}
            if len(makers) == 2:
                break
    store.close()
    server.stop()
    assert len(makers) == 2
    assert len(files) == 1


@pytest.mark.slow
def test_workers_killed_at_random_moments_leave_the_same_bytes(bank, whole, tmp_path):
    chance = random.Random(5)
    server = Backend(tmp_path / "data", "--model", str(bank), lease_seconds=1.0, max_attempts=9).start()
    store = JobStore.open(server.data_dir)
    deaths, jobs = 0, []
    with server.client() as client:
        while deaths < DEATHS:
            jobs.append(job := submit(client, "generate", SCENE, **OUTPUTS))
            claimed = "SELECT worker FROM block WHERE job = ? AND status = 'running'"
            while client.get(f"/jobs/{job}").json()["status"] in ("accepted", "running"):
                if deaths < DEATHS and store.database.rows(claimed, (job,)):
                    time.sleep(chance.uniform(0, 1.0))
                    if store.database.rows(claimed, (job,)):
                        victim = until(server.worker)
                        psutil.Process(victim.pid).kill()
                        victim.wait()
                        deaths += 1
                time.sleep(0.05)
        assert len({check(client, job, whole) for job in jobs}) == 1
    store.close()
    server.stop()
