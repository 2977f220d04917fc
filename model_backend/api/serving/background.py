"""Starts a backend that outlives whoever starts it: QGIS, a terminal, a script.

The starter waits until the backend answers and says where, or says why it does not. A backend that is there
already is as good. What it logs is kept beside its data.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from model_backend.api.serving.address import read_address
from model_backend.api.serving.folder_lock import lock_folder
from model_backend.api.tokens import BadSetUp

PATIENCE = 120.0  # seconds until it must answer: a slow disk, a first start
LOOK = 0.05  # seconds between two looks
LOG = "backend.log"
LAST = 2_000  # characters of the log that a failed start is told with


def start_in_background(data_dir: Path, settings: dict[str, object]) -> str:
    """Start one with these settings, by name, unless a backend uses the folder; return its URL.

    Raises BadSetUp with what it said if it ends, or does not answer in time.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    process: subprocess.Popen[bytes] | None = None
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        used = _is_used(data_dir)  # else the address is that of one that was killed
        if used and (url := read_address(data_dir)):
            return url
        if not used and process is None:
            process = _start(data_dir, settings)
        elif not used and process is not None and process.poll() is not None:
            code = process.returncode
            raise BadSetUp(f"The backend did not start (code {code}). It said:\n{_said(data_dir)}")
        time.sleep(LOOK)
    if process is not None:
        process.kill()
    raise BadSetUp(f"The backend does not answer after {PATIENCE:.0f} s. It said:\n{_said(data_dir)}")


def _start(data_dir: Path, settings: dict[str, object]) -> subprocess.Popen[bytes]:
    """Start the process in a session of its own, without the terminal and the pipes of this one."""
    windows = ("DETACHED_PROCESS", "CREATE_NEW_PROCESS_GROUP")  # there a session is called so
    with (data_dir / LOG).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "model_backend", "serve"],
            env=os.environ | {f"TEXT2EARTH_{name.upper()}": _text(value) for name, value in settings.items()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            creationflags=sum(getattr(subprocess, name, 0) for name in windows),
        )


def _text(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _said(data_dir: Path) -> str:
    """Return the end of what the last backend logged."""
    try:
        text = (data_dir / LOG).read_text("utf-8", "replace").strip()
    except FileNotFoundError:
        text = ""
    return text[-LAST:] or "nothing"


def _is_used(data_dir: Path) -> bool:
    try:
        lock_folder(data_dir).close()
    except BadSetUp:
        return True
    return False
