"""Nothing lost: workers and backends that die, and cancels that reach the step loop."""

from __future__ import annotations

import io
import math
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import rasterio

from tests.support.backend.interruption import HOURS, begun, caught, stopped
from tests.support.backend.service import NO_MODEL, PATIENCE, Backend, finished, status_in, submit, until

EXTENT = {"bbox": [500000, 5200000, 500128, 5200128], "crs": "EPSG:32632"}
LONG = {"prompt": "a river", "extent": EXTENT, "gsd": 1.0, "seed": 11, "steps": 60}
LEASE = 3.0

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills with POSIX signals")


def pixels(client: httpx.Client, job: str) -> Any:
    with rasterio.open(io.BytesIO(client.get(f"/jobs/{job}/results/image.tif").content)) as file:
        return file.read()


def attempts(server: Backend, job: str) -> list[str]:
    return sorted(path.name for path in (server.data_dir / "jobs" / job).iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def undisturbed(client: httpx.Client) -> Any:
    """The pixels of the long scene as nobody killed it."""
    job = submit(client, "generate", LONG)
    assert finished(client, job)["status"] == "successful"
    return pixels(client, job)


@pytest.fixture(scope="module")
def killed_backend(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend that the tests kill, one after another, and leave running."""
    server = Backend(
        tmp_path_factory.mktemp("killed_backend") / "data", "--model", str(tiny), lease_seconds=LEASE
    )
    yield server.start()
    server.stop()


def test_a_killed_worker_is_replaced_and_the_job_ends_the_same(
    killed_backend: Backend, undisturbed: Any
) -> None:
    with killed_backend.client() as client:
        with caught(killed_backend, client, LONG) as (job, victim):
            victim.kill()
        assert finished(client, job)["status"] == "successful"
        assert killed_backend.worker().pid != victim.pid
        until(
            lambda: attempts(killed_backend, job) == ["1-1"]
        )  # what the block and its first attempt left goes
        assert np.array_equal(pixels(client, job), undisturbed)


def test_a_killed_backend_continues_at_its_next_start(
    killed_backend: Backend, scene: dict[str, Any], undisturbed: Any
) -> None:
    with killed_backend.client() as client:
        done = submit(client, "generate", scene, response="document")
        assert finished(client, done)["status"] == "successful"
        link = client.get(f"/jobs/{done}/results").json()["image"]["href"]
        content = client.get(link).content
        with caught(killed_backend, client, LONG) as (running, worker):
            queued = submit(client, "echo", {"message": "later"}, response="document")
            killed_backend.kill()
    gone = psutil.wait_procs([worker], timeout=PATIENCE)[0]
    assert gone, "a worker leaves when its backend is gone"

    killed_backend.start(httpx.URL(link).port or 0)
    with killed_backend.client() as client:
        assert httpx.get(link).content == content, "finished results still download, by the old link too"
        assert client.get(f"/jobs/{done}/preview").status_code == 200
        first, second = finished(client, running), finished(client, queued)
        assert (first["status"], second["status"]) == ("successful", "successful")
        assert first["finished"] <= second["started"], "in the order of the queue"
        assert np.array_equal(pixels(client, running), undisturbed)


def test_a_stopped_backend_leaves_its_job_in_the_queue(killed_backend: Backend) -> None:
    with killed_backend.client() as client:
        job = submit(client, "generate", HOURS)
        begun(killed_backend, job)
        processes = [psutil.Process(killed_backend.process.pid), killed_backend.worker()]
        assert killed_backend.stop() == 0, "it does not wait for the job"
    assert not [process for process in processes if process.is_running()]
    assert "Traceback" not in killed_backend.log
    folder = killed_backend.data_dir / "jobs" / job
    assert attempts(killed_backend, job) == ["0-1"]
    killed_backend.start()
    with killed_backend.client() as client:
        until((folder / "0-2").exists)
        client.delete(f"/jobs/{job}")


def test_a_cancel_reaches_the_step_loop(client: httpx.Client, server: Backend) -> None:
    with caught(server, client, HOURS) as (job, worker):
        assert client.delete(f"/jobs/{job}").json()["status"] == "dismissed", "nobody waits for the worker"
    next_one = submit(client, "echo", {})
    assert finished(client, next_one)["status"] == "successful", "the worker is free, hours before its end"
    assert server.worker().pid == worker.pid, "and it is the same worker"
    assert client.get(f"/jobs/{job}").json()["status"] == "dismissed"
    until(lambda: not (server.data_dir / "jobs" / job).exists())


@pytest.mark.parametrize("moment", ["queued", "loading", "done"])
def test_a_cancel_at_any_moment(
    client: httpx.Client, server: Backend, scene: dict[str, Any], moment: str
) -> None:
    if moment == "queued":
        ahead = submit(client, "echo", {"pause": 30})
        status_in(client, ahead, {"running"})
    job = submit(client, "generate", scene)
    if moment == "loading":
        status_in(client, job, {"running", "successful"})
    if moment == "done":
        finished(client, job)
    for _ in range(3):
        assert client.delete(f"/jobs/{job}").json()["status"] == "dismissed"
    if moment == "queued":
        client.delete(f"/jobs/{ahead}")
    after = submit(client, "echo", {})
    assert finished(client, after)["status"] == "successful"
    until(lambda: not (server.data_dir / "jobs" / job).exists())
    assert client.get(f"/jobs/{job}/results").status_code == 404


def test_a_worker_that_ignores_a_cancel_is_killed(start: Callable[..., Backend]) -> None:
    server = start(*NO_MODEL, cancel_seconds=1, lease_seconds=LEASE)
    with server.client() as client:
        job = submit(client, "echo", {"pause": 60})
        status_in(client, job, {"running"})
        with stopped(server) as stuck:  # as a kernel on a GPU that never ends
            assert client.delete(f"/jobs/{job}").json()["status"] == "dismissed"
            after = submit(client, "echo", {})
            assert finished(client, after)["status"] == "successful"
            assert not stuck.is_running()


@pytest.mark.parametrize("ending", ["alone", "dismissed"])
def test_a_worker_that_stands_still_is_replaced(start: Callable[..., Backend], ending: str) -> None:
    """Stopped in a job whose lease runs out long before anybody may call the worker stuck."""
    server = start(*NO_MODEL, lease_seconds=0.3, silence_seconds=4)
    with server.client() as client:
        until(lambda: client.get("/healthz").json()["ready"])
        job = submit(client, "echo", {"pause": 20})
        status_in(client, job, {"running"})
        with stopped(server) as stuck:
            if ending == "dismissed":
                client.delete(f"/jobs/{job}")
            after = submit(client, "echo", {})
            assert finished(client, after)["status"] == "successful"
            assert not stuck.is_running()
        if ending == "alone":
            message = finished(client, job)["message"]
            assert re.fullmatch(r"Done. The worker gave no sign of life for \d+ s and was replaced.", message)


def test_a_worker_that_stands_still_without_work_is_replaced(start: Callable[..., Backend]) -> None:
    server = start(*NO_MODEL, silence_seconds=6)
    with server.client() as client:
        until(lambda: client.get("/healthz").json()["ready"])
        with stopped(server) as stuck:
            until(lambda: client.get("/healthz").json()["status"] == "stuck")
            health = client.get("/healthz").json()
            assert (health["ready"], health["workers"][0]["state"]) == (False, "stuck")
            assert finished(client, submit(client, "echo", {}))["status"] == "successful"
            assert not stuck.is_running()


def test_a_job_without_progress_fails_and_says_so(start: Callable[..., Backend], tmp_path: Path) -> None:
    """A step that never ends, as in a kernel on a GPU: the worker lives, its work does not go on."""
    (tmp_path / "sitecustomize.py").write_text(
        "import time\nslept = time.sleep\ntime.sleep = lambda s: slept(3600 if s > 0.05 else s)\n"
    )
    server = start(*NO_MODEL, variables={"PYTHONPATH": str(tmp_path)}, stall_seconds=2, max_attempts=2)
    with server.client() as client:
        job = submit(client, "echo", {"pause": 20})
        message = finished(client, job)["message"]
        assert "died 2 times" in message
        assert re.search(r"The worker made no progress for \d+ s and was replaced.", message)
        assert finished(client, submit(client, "echo", {}))["status"] == "successful"


def test_a_job_that_kills_its_worker_fails_in_the_end(start: Callable[..., Backend]) -> None:
    server = start(*NO_MODEL, max_attempts=2, lease_seconds=LEASE)
    with server.client() as client:
        job = submit(client, "echo", {"pause": 60})
        after = submit(client, "echo", {})
        for attempt in (1, 2):
            until((server.data_dir / "jobs" / job / f"0-{attempt}").exists)
            server.worker().send_signal(signal.SIGKILL)
        info = finished(client, job)
        assert info["status"] == "failed"
        assert "died 2 times" in info["message"]
        assert finished(client, after)["status"] == "successful", "the others go on"
        assert client.get(f"/jobs/{job}/results").status_code == 500
        until(lambda: not (server.data_dir / "jobs" / job).exists())


def test_what_has_expired_is_gone(start: Callable[..., Backend]) -> None:
    server = start(*NO_MODEL, result_hours=1e-6)
    with server.client() as client:
        job = submit(client, "echo", {})
        finished(client, job)
        assert (server.data_dir / "jobs" / job).is_dir()
        server.stop()
    server.start()
    with server.client() as client:
        until(lambda: client.get(f"/jobs/{job}").status_code == 404)
        until(lambda: not (server.data_dir / "jobs" / job).exists())


def test_a_full_disk_refuses_at_the_door(start: Callable[..., Backend], scene: dict[str, Any]) -> None:
    server = start(max_pixels=10**13, max_evaluations=10**15)
    # Eight bytes per pixel and variant are reserved: somewhat more than the disk has, which is quick to plan.
    side = math.ceil(math.sqrt(1.2 * shutil.disk_usage(server.data_dir).free / 8 / 8))
    wide = {"bbox": [400000, 5000000, 400000 + side, 5000000 + side], "crs": "EPSG:32632"}
    inputs = scene | {"extent": wide, "variants": 8}
    with server.client() as client:
        answer = client.post("/processes/generate/execution", json={"inputs": inputs})
        assert answer.status_code == 507, answer.text
        assert "smaller extent" in answer.json()["detail"]
        assert client.get("/jobs").json()["jobs"] == []


def test_a_missing_model_is_said_at_the_door(start: Callable[..., Backend], scene: dict[str, Any]) -> None:
    server = start(*NO_MODEL)
    with server.client() as client:
        answer = client.post("/processes/generate/execution", json={"inputs": scene})
        assert answer.status_code == 503
        assert "models pull text2earth" in answer.json()["detail"]
        unknown = client.post("/processes/generate/execution", json={"inputs": scene | {"model": "none"}})
        assert unknown.status_code in (400, 503)
        assert client.get("/healthz").json()["installed"] is False
        cards = {card["id"]: card for card in client.get("/models").json()["models"]}
        assert cards["text2earth"]["default"]
        assert not cards["text2earth"]["installed"]
        assert cards["text2earth"]["pullable"]
        assert cards["text2earth"]["bytes"] > 3e9
        assert 0 < cards["open-land"]["bytes"] < 1e9
        assert all(card["about"] for card in cards.values())
        assert client.get("/healthz").json()["memory"] > 1e9
        assert cards["text2earth"]["non_commercial"]
