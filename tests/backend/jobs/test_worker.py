"""What a worker does with a block: models, messages, errors, previews."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from model_backend.errors import Cancelled, ModelUnavailable
from model_backend.jobs.cache import ModelCache
from model_backend.jobs.files import Files
from model_backend.jobs.pulse import Pulse
from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.store.rows import RequestedOutputs, Submission
from model_backend.jobs.worker import BlockReporter
from model_backend.models.card import read_card
from model_backend.models.loader import bytes_needed
from model_backend.models.registry import Registry
from model_backend.processes.base import Workload
from model_backend.settings import Settings
from tests.support.backend.interruption import JobHistory
from tests.support.backend.service import NO_MODEL, Backend, execute, finished, status_in, submit, until


def install(tiny: Path, data_dir: Path, name: str) -> Path:
    """Copy the tiny model into a data directory, under another name."""
    folder = data_dir / "models" / name
    shutil.copytree(tiny, folder)
    return folder


@pytest.fixture(scope="module")
def several(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend whose models are loaded by jobs only; one of them is broken; leases are short."""
    data_dir = tmp_path_factory.mktemp("several") / "data"
    install(tiny, data_dir, "good")
    weights = install(tiny, data_dir, "broken") / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    server = Backend(data_dir, *NO_MODEL, lease_seconds=1).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(several: Backend) -> Iterator[httpx.Client]:
    with several.client() as one:
        yield one


def test_a_long_load_keeps_its_lease_and_says_so(
    several: Backend, client: httpx.Client, scene: dict[str, Any]
) -> None:
    history = JobHistory(several.data_dir)
    job = submit(client, "generate", scene | {"model": "good"})
    assert finished(client, job)["status"] == "successful"
    assert "Loading the model good." in history.messages(job)
    history.close()
    folder = several.data_dir / "jobs" / job
    until(lambda: [path.name for path in folder.iterdir() if path.is_dir()] == ["1-1"])  # nobody else took it
    assert not list(folder.rglob("*.part")), "nothing half-written is left"


def test_a_broken_model_is_a_sentence(several: Backend, client: httpx.Client, scene: dict[str, Any]) -> None:
    worker = several.worker().pid
    job = submit(client, "generate", scene | {"model": "broken"})
    info = finished(client, job)
    assert info["status"] == "failed"
    assert "broken" in info["message"]
    assert str(several.data_dir) not in info["message"]
    until(lambda: not (several.data_dir / "jobs" / job).exists())  # a failed job leaves nothing
    assert several.worker().pid == worker


def test_an_unforeseen_error_fails_one_job_only(several: Backend, client: httpx.Client) -> None:
    ahead = submit(client, "echo", {"pause": 30})
    status_in(client, ahead, {"running"})
    job = submit(client, "echo", {})
    (several.data_dir / "jobs" / job).write_text("a file where the folder belongs")
    worker = several.worker().pid
    client.delete(f"/jobs/{ahead}")
    info = finished(client, job)
    assert info["status"] == "failed"
    assert "unforeseen" in info["message"]
    assert job in several.log
    assert finished(client, submit(client, "echo", {}))["status"] == "successful"
    assert several.worker().pid == worker


def test_a_prompt_that_is_cut_is_mentioned(client: httpx.Client, scene: dict[str, Any]) -> None:
    job = submit(client, "generate", scene | {"model": "good", "prompt": "a lake and a forest " * 40})
    message = finished(client, job)["message"]
    assert message.startswith("Done.")
    assert "longer than the model reads" in message


def test_words_that_the_model_does_not_know_are_mentioned(
    client: httpx.Client, scene: dict[str, Any]
) -> None:
    words = {"model": "text2earth-mini", "prompt": "a lake with gloop", "negative_prompt": "blarf, trees"}
    message = finished(client, submit(client, "generate", scene | words | {"steps": 1}))["message"]
    assert "Text2Earth mini does not know: gloop (prompt); blarf (negative prompt)." in message


def test_a_model_that_was_replaced_is_not_used(
    several: Backend, client: httpx.Client, tiny: Path, scene: dict[str, Any]
) -> None:
    folder = install(tiny, several.data_dir, "moving")
    ahead = submit(client, "echo", {"pause": 30})
    status_in(client, ahead, {"running"})
    job = submit(client, "generate", scene | {"model": "moving"})
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"_note": "another revision"}))
    client.delete(f"/jobs/{ahead}")
    info = finished(client, job)
    assert info["status"] == "failed"
    assert "replaced" in info["message"]


def test_a_model_that_comes_while_the_backend_runs_is_used(
    several: Backend, client: httpx.Client, tiny: Path, scene: dict[str, Any]
) -> None:
    late = scene | {"model": "late"}
    assert "no model 'late'" in execute(client, "generate", late).text
    install(tiny, several.data_dir, "late")
    assert "late" in [model["id"] for model in client.get("/models").json()["models"] if model["installed"]]
    assert finished(client, submit(client, "generate", late))["status"] == "successful"


def test_models_beyond_the_memory_budget_are_forgotten(tiny: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        install(tiny, tmp_path, name)
    size = bytes_needed(tiny, read_card(tiny), "cpu")
    settings = Settings(data_dir=tmp_path, model="a", model_memory_gb=2.5 * size / 1e9, threads=1)
    store = JobStore.open(tmp_path)
    cache = ModelCache(settings, "cpu", store, Registry(settings))
    revision = Registry(settings).default().card.revision_or_hash
    assert cache.get("a", revision) is cache.get("a", revision)
    cache.get("b", revision)
    cache.get("a", revision)  # b is now the one used longest ago
    cache.get("c", revision)
    assert [name for name in ("a", "b", "c") if cache.has(name, revision)] == ["a", "c"]
    assert not cache.has("a", "another revision")
    with pytest.raises(ModelUnavailable, match="replaced"):
        cache.get("a", "another revision")
    known = store.profiles.of("a")
    assert known is not None
    profile, rate = known
    assert profile["digest"]
    assert rate > 0
    store.close()


def test_previews_are_small_and_whole(tmp_path: Path) -> None:
    store, files = JobStore.open(tmp_path), Files(tmp_path)
    submission = Submission("ada", "echo", "d", {}, RequestedOutputs(), Workload((10,)))
    job = store.queue.submit(submission, max_jobs=1, free=10**12).id
    claim = store.claims.take("w", 30, 3)
    assert claim is not None
    files.attempt(claim)
    reporter = BlockReporter(store, claim, 30, files.preview(job), Pulse(), pause=3600.0)
    reporter.preview(np.full((3000, 2000, 3), 7, np.uint8))
    with Image.open(files.preview(job)) as picture:
        assert (picture.format, picture.size) == ("PNG", (512, 768))
    before = files.preview(job).read_bytes()
    reporter.preview(np.zeros((10, 10, 3), np.uint8))
    assert files.preview(job).read_bytes() == before, "not so soon after another"
    reporter.picture(np.zeros((10, 10, 3), np.uint8))
    assert files.preview(job).read_bytes() != before
    assert not list(files.of(job).glob("*.part"))

    reporter.step(1, 10)
    reporter.step(3, 10)
    assert store.queue.job("ada", job).done == 3
    assert reporter.seconds is not None
    store.queue.dismiss("ada", job)
    with pytest.raises(Cancelled):
        reporter.step(4, 10)
    store.close()


def test_the_first_moments_do_not_overrule_an_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_backend.jobs.store.line.SECONDS", 0.0)  # every look counts anew
    store = JobStore.open(tmp_path)
    work = Workload((10, 10), unit_seconds=6.0)
    job = store.queue.submit(Submission("ada", "echo", "d", {}, RequestedOutputs(), work), max_jobs=1, free=1)
    claim = store.claims.take("w", 30, 3)
    assert claim is not None
    reporter = BlockReporter(store, claim, 30, tmp_path / "preview.png", Pulse())

    def left() -> float:
        seconds = store.queue.position(store.queue.job("ada", job.id))[1]
        assert seconds is not None
        return seconds

    reporter.step(0, 10)
    reporter.step(5, 10)
    assert left() == 5 * 6 + 60, "five steps in no time may be chance"
    reporter.step(10, 10)
    assert left() < 1, "a whole block is no chance, and tells of the next"
    monkeypatch.setattr("model_backend.jobs.worker.MEASURE_SECONDS", 0.0)
    other = store.claims.take("w", 30, 3)
    assert other is not None
    reporter = BlockReporter(store, other, 30, tmp_path / "preview.png", Pulse())
    reporter.step(0, 10)
    reporter.step(5, 10)
    assert left() < 1, "measured for long enough"
    store.close()
