"""Has tests of the API ask a backend that is deployed on this computer, instead of one that they start.

    TEXT2EARTH_BACKEND_URL=http://127.0.0.1:8765 TEXT2EARTH_TOKEN=... \\
    TEXT2EARTH_DEPLOYED_DATA=/var/lib/text2earth TEXT2EARTH_DEPLOYED_LOG='journalctl -u text2earth -o cat' \\
    .venv/backend/bin/pytest -p tests.support.backend.deployed tests/backend/api/test_conformance.py

A plugin of pytest, run as root, for modules whose tests leave settings alone: test_conformance, test_clients,
test_hostile, test_openapi_fuzz. The backend has the tests' tiny model (in DATA/models/tiny, by ``python -m
tests.support.backend.tiny_models``; TEXT2EARTH_MODEL=tiny), TEXT2EARTH_MAX_JOBS=1000, and nothing else to do.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from launcher import BackendProcess


def main_process(_: object) -> psutil.Process:
    """Return the process of the backend."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "serve" in words and any(word.endswith("/text2earth-backend") for word in words):
            return process
    raise RuntimeError("no backend runs here")


def log(_: object) -> str:
    """Return what it has logged."""
    command = os.environ["TEXT2EARTH_DEPLOYED_LOG"]
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def pytest_configure(config: pytest.Config) -> None:
    """From here on every backend is the deployed one."""
    backend: Any = BackendProcess
    backend.start = lambda self, port=0: self
    backend.stop = lambda self: 0
    backend.url = property(lambda self: os.environ["TEXT2EARTH_BACKEND_URL"])
    backend.token = property(lambda self: os.environ["TEXT2EARTH_TOKEN"])
    backend.process = property(main_process)
    backend.log = property(log)
    backend.data_dir = property(
        lambda self: Path(os.environ["TEXT2EARTH_DEPLOYED_DATA"]), lambda self, folder: None
    )
