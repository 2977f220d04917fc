"""Real backends for the tests of the backend, and what is asked of them again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from launcher import BackendProcess
from tests.support.backend.ogc_schemas import check

T = TypeVar("T")
# A default model that is not there: workers that only echo need not import torch.
NO_MODEL = ("--model", "text2earth")
PATIENCE = 200.0  # seconds: so long takes only what will never happen, on any machine


class Backend(BackendProcess):
    """A backend whose answers are held against the official schemas."""

    def client(self, token: str | None = None, *, checked: bool = True) -> httpx.Client:
        """Return a client with the backend's token, or another one."""
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


def upload(client: httpx.Client, path: Path) -> dict[str, str]:
    """Send a raster; return the value of an input that means it."""
    return {"upload": client.post("/uploads", content=path.read_bytes()).raise_for_status().json()["id"]}


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
