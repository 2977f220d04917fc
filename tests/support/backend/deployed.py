"""Has tests of the API ask a backend that is deployed on this computer, instead of one that they start.

    TEXT2EARTH_BACKEND_URL=http://127.0.0.1:8765 TEXT2EARTH_TOKEN=... \\
    TEXT2EARTH_DEPLOYED_DATA=/var/lib/text2earth TEXT2EARTH_DEPLOYED_LOG='journalctl -u text2earth -o cat' \\
    .venv/backend/bin/pytest -p tests.support.backend.deployed tests/backend/api/test_conformance.py

A plugin of pytest, run as root, for modules whose tests leave settings alone: test_conformance,
test_clients, test_hostile, test_openapi_fuzz, test_raw_requests. The backend has the tests' tiny model
(TEXT2EARTH_MODEL=tiny; ``python -m tests.support.backend.tiny_models DATA/models/tiny text2image``),
TEXT2EARTH_MAX_JOBS=1000, and nothing else to do.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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
    url = os.environ["TEXT2EARTH_BACKEND_URL"]
    known = {
        "url": url,
        "port": urlsplit(url).port,
        "token": os.environ["TEXT2EARTH_TOKEN"],
        "data_dir": Path(os.environ["TEXT2EARTH_DEPLOYED_DATA"]),
    }
    for name, value in known.items():
        setattr(backend, name, property(lambda _, value=value: value, lambda *_: None))
    backend.start = lambda self, port=0: self
    backend.stop = lambda self: 0
    backend.process = property(main_process)
    backend.log = property(log)
