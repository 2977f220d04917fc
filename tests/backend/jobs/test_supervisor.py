"""Workers as processes: started, woken, replaced without haste, ended with their backend."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from model_backend.jobs.desk import POLL
from model_backend.jobs.files import Files
from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.store.rows import RequestedOutputs, Submission
from model_backend.jobs.supervisor import Supervisor
from model_backend.jobs.uploads import Uploads
from model_backend.processes.base import Workload
from model_backend.settings import Settings
from tests.support.backend.service import NO_MODEL, PATIENCE, Backend, finished, submit, until


@pytest.fixture
def idle(start: Callable[..., Backend]) -> Backend:
    return start(*NO_MODEL)


def test_a_submit_wakes_an_idle_worker(idle: Backend) -> None:
    with idle.client() as client:
        finished(client, submit(client, "echo", {}))
        worker = psutil.Process(idle.worker().pid)
        until(lambda: worker.cpu_percent(0.5) < 5)  # it is asleep, and does not poll busily
        waited = []
        for _ in range(4):
            info = finished(client, submit(client, "echo", {}))
            created, started = (datetime.fromisoformat(info[name]) for name in ("created", "started"))
            waited.append((started - created).total_seconds())
    assert min(waited[1:]) < POLL / 2, "by polling alone, who comes after a job waits nearly that long"


def test_every_device_has_a_worker_and_they_share_the_threads(start: Callable[..., Backend]) -> None:
    server = start("--devices", "cpu, cpu", threads=6)
    store = JobStore.open(server.data_dir)
    profile, _ = until(lambda: store.profiles.of("tiny"))
    assert profile["threads"] == 3
    with server.client() as client:

        def both() -> bool:
            if store.queue.waiting() < 2:
                submit(client, "echo", {"pause": 1})
            return len(store.database.rows("SELECT DISTINCT worker FROM block WHERE worker IS NOT NULL")) == 2

        until(both)
    store.close()


def worker(folder: Path) -> subprocess.Popen[bytes]:
    order = {
        "worker": "w1",
        "device": "cpu",
        "processes": [],
        "settings": Settings(data_dir=folder, model="text2earth").model_dump(mode="json"),
    }
    process = subprocess.Popen([sys.executable, "-m", "model_backend.jobs.worker"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    process.stdin.flush()
    return process


def supervise(settings: Settings, store: JobStore) -> Supervisor:
    return Supervisor(settings, store, Files(settings.data_dir), Uploads(settings))


def put(store: JobStore, pause: int) -> str:
    requested, inputs = RequestedOutputs(), {"message": "", "pause": pause}
    submission = Submission("ada", "echo", "d", inputs, requested, Workload((10 * pause + 1,)))
    return store.queue.submit(submission, max_jobs=10, free=10**12).id


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    one = JobStore.open(tmp_path)
    yield one
    one.close()


def test_who_may_be_hired_is_ready_and_who_makes_no_pixels_is_not(store: JobStore, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, ray="127.0.0.1:1", ray_idle_minutes=1)
    supervisor = supervise(settings, store)
    with pytest.MonkeyPatch.context() as patch:  # only the worker of this computer, which joins blocks
        patch.setattr(supervisor._fleet, "look_after", lambda: False)
        supervisor.start()
        until(lambda: [worker["state"] for worker in supervisor.health()] == ["idle"])
        assert not supervisor.is_ready(), "there is no cluster"
        supervisor.guests.seen("cpu-elsewhere")
        assert supervisor.is_ready()
        supervisor.guests.left("cpu-elsewhere")
        patch.setattr(supervisor._fleet.workers[0], "health", lambda: {"state": "working"})
        assert supervisor.is_ready(), "there is a cluster that has no worker now"
        supervisor.stop()


@pytest.mark.parametrize("how", ["end of input", "signal"])
def test_a_worker_gives_its_block_back_when_told_to_leave(store: JobStore, tmp_path: Path, how: str) -> None:
    if how == "signal" and os.name != "posix":
        pytest.skip("Windows ends a process at once")
    job = put(store, pause=60)
    process = worker(tmp_path)
    until(lambda: store.queue.job("ada", job).status == "running")
    assert process.stdin is not None
    if how == "signal":
        process.terminate()
    process.stdin.close()
    assert process.wait(PATIENCE) == 0
    again = store.claims.take("other", 10, 3)
    assert again is not None
    assert (again.job, again.attempt) == (job, 2)


@pytest.mark.skipif(os.name != "posix", reason="uses a shell script")
def test_a_worker_that_dies_at_once_is_not_restarted_in_haste(
    store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = tmp_path / "starts"
    script = tmp_path / "broken"
    script.write_text(f"#!/bin/sh\ndate +%s.%N >> {starts}\nexit 1\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    supervisor = supervise(Settings(data_dir=tmp_path), store)
    supervisor.start()
    until(lambda: starts.exists() and len(starts.read_text().splitlines()) >= 4)
    supervisor.stop()
    times = [float(line) for line in starts.read_text().split()[:4]]
    pauses = [late - early for early, late in itertools.pairwise(times)]
    assert pauses[1] >= 0.99
    assert pauses[2] >= 1.99


def test_the_supervisor_outlives_a_store_that_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As with a full disk: rounds fail for a while, then go on."""
    broken = JobStore.open(tmp_path)
    supervisor = supervise(Settings(data_dir=tmp_path, model="text2earth"), broken)
    supervisor.start()
    first = put(broken, pause=0)
    until(
        lambda: broken.queue.job("ada", first).status == "successful"
    )  # a worker that begins makes the folder
    (tmp_path / "jobs").rename(tmp_path / "gone")

    def failed() -> bool:
        supervisor._sweep_at = 0.0  # the next round looks for a folder that is not there
        return "could not do its round" in caplog.text

    until(failed)
    (tmp_path / "gone").rename(tmp_path / "jobs")
    job = put(broken, pause=0)
    supervisor.wake()
    until(lambda: broken.queue.job("ada", job).status == "successful")
    assert supervisor._thread.is_alive()
    supervisor.stop()
    broken.close()
