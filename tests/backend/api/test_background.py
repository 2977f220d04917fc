"""A backend in the background: found by its user, one for a folder, ended by its user or by itself."""

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx
import psutil
import pytest

from launcher import BACKEND_PYTHON, ROOT, clean_environment
from tests.support.backend.service import NO_MODEL, Backend, until

IDLE = 0.03  # minutes


def command(name: str, data_dir: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the backend to its end."""
    words = [str(BACKEND_PYTHON), "-m", "model_backend", name, "--data-dir", str(data_dir), *flags]
    return subprocess.run(
        words, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=200, check=False
    )


def start(data_dir: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return command("serve", data_dir, "--background", "--port", "0", *NO_MODEL, *flags)


class InBackground(Backend):
    """A backend that runs on its own, as tests ask it."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.port = int((data_dir / "address").read_text().rsplit(":", 1)[1])

    def process_of(self) -> psutil.Process:
        (found,) = (
            process
            for process in psutil.process_iter()
            if str(self.data_dir) in _variables(process).values() and "serve" in process.cmdline()
        )
        return found


def _variables(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


@pytest.fixture
def data_dir(tmp_path):
    yield tmp_path / "data"
    command("stop", tmp_path / "data")


@pytest.mark.slow
def test_it_is_found_started_once_and_ended(data_dir):
    first = start(data_dir)
    assert first.returncode == 0, first.stderr
    address = (data_dir / "address").read_text()
    assert first.stdout == f"Listening on {address}"
    assert (data_dir / "address").stat().st_mode & 0o077 == 0
    with InBackground(data_dir).client() as client:
        assert client.get("/jobs").status_code == 200
        assert start(data_dir).stdout == first.stdout
        stopped = command("stop", data_dir)
        assert (stopped.returncode, stopped.stderr) == (0, "")
        assert not (data_dir / "address").exists()
        with pytest.raises(httpx.ConnectError):
            client.get("/healthz")


@pytest.mark.slow
def test_the_address_of_a_killed_one_is_not_believed(data_dir):
    start(data_dir)
    backend = InBackground(data_dir)
    os.killpg(backend.process_of().pid, signal.SIGKILL)
    assert (data_dir / "address").read_text().strip() == backend.url
    again = start(data_dir)
    assert again.stdout.strip() != f"Listening on {backend.url}"
    with InBackground(data_dir).client() as client:
        assert client.get("/healthz").status_code == 200


@pytest.mark.slow
def test_it_ends_when_nobody_needs_it(data_dir):
    start(data_dir, "--idle-minutes", str(IDLE))
    backend = InBackground(data_dir)
    process = backend.process_of()
    with backend.client() as client:
        for _ in range(6):  # longer than it waits, in requests
            time.sleep(0.6)
            assert client.get("/healthz").status_code == 200
        worker = until(process.children)[0]
        worker.suspend()
        inputs = {"inputs": {"message": "x"}}
        body = client.post("/processes/echo/execution", json=inputs, headers={"Prefer": "respond-async"})
        assert body.status_code == 201, body.text
    time.sleep(2 * 60 * IDLE + 1)
    assert process.is_running()
    worker.resume()
    process.wait(60)
    assert "Nobody needed this backend" in (data_dir / "backend.log").read_text()


def test_why_it_does_not_start_is_told(data_dir):
    data_dir.mkdir()
    (data_dir / "token").write_text("short")
    failed = start(data_dir)
    assert failed.returncode == 1
    assert "did not start (code 1)" in failed.stderr
    assert f"A token in {data_dir / 'token'} is shorter" in failed.stderr
