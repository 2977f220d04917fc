"""A real backend in a process of its own, on a free loopback port, for tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from tests.support.ogc_schemas import check

T = TypeVar("T")
PATIENCE = 200.0  # seconds: so long takes only what will never happen, on any machine


class Server:
    """One backend; may be killed and started again on the same data directory."""

    program = "model_backend"

    def __init__(self, data_dir: Path, *flags: str, **settings: object) -> None:
        self.data_dir = data_dir
        self._flags = flags
        self._environment = {f"TEXT2EARTH_{name.upper()}": str(value) for name, value in settings.items()}
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    @property
    def log(self) -> str:
        return (self.data_dir.with_suffix(".log")).read_text()

    @property
    def token(self) -> str:
        return (self.data_dir / "token").read_text().split()[0]

    def start(self, port: int = 0) -> Server:
        with self.data_dir.with_suffix(".log").open("a") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", self.program, "serve", "--port", str(port),
                    "--data-dir", str(self.data_dir), *self._flags,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**_clean(), **self._environment, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.fullmatch(r"Listening on (http://\S+)\n", line)
        assert found, f"the backend said {line!r}\n{self.log}"
        self.url = found[1]
        return self

    def client(self, token: str | None = None, *, checked: bool = True) -> httpx.Client:
        """Return a client that holds every answer against the official schemas."""
        hooks: dict[str, list[Callable[..., Any]]] = {"response": [check]} if checked else {}
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, event_hooks=hooks)

    def worker(self) -> psutil.Process:
        """Return the worker process, once there is one."""

        def find() -> psutil.Process | None:
            children = psutil.Process(self.process.pid).children()
            workers = [c for c in children if "model_backend.jobs.worker" in _words(c)]
            return workers[0] if workers else None

        return until(find)

    def stop(self) -> int:
        """Ask the backend to end, and return its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        return self._end()

    def kill(self) -> None:
        """End the backend as a power cut would."""
        self.process.kill()
        self._end()

    def _end(self) -> int:
        process, self._process = self.process, None
        try:
            return process.wait(60)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def until(question: Callable[[], T | None], seconds: float = PATIENCE) -> T:
    """Ask until there is an answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = question()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"nothing came of {question} in {seconds} s")


def finished(client: httpx.Client, job: str, seconds: float = PATIENCE) -> dict[str, Any]:
    """Return a job's last statusInfo."""
    return status_in(client, job, {"successful", "failed", "dismissed"}, seconds)


def status_in(client: httpx.Client, job: str, states: set[str], seconds: float = PATIENCE) -> dict[str, Any]:
    """Return a job's statusInfo as soon as it is in one of ``states``."""

    def ask() -> dict[str, Any] | None:
        info: dict[str, Any] = client.get(f"/jobs/{job}").raise_for_status().json()
        return info if info["status"] in states else None

    return until(ask, seconds)


def execute(client: httpx.Client, process: str, inputs: dict[str, Any], **more: Any) -> httpx.Response:
    """Post an execute request as a job; ``headers`` go beside, the rest into the body."""
    headers = {"Prefer": "respond-async", **more.pop("headers", {})}
    return client.post(f"/processes/{process}/execution", json={"inputs": inputs, **more}, headers=headers)


def submit(client: httpx.Client, process: str, inputs: dict[str, Any], **more: Any) -> str:
    """Start a job and return its id."""
    response = execute(client, process, inputs, **more)
    assert response.status_code == 201, response.text
    return str(response.json()["jobID"])


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TEXT2EARTH_")}
