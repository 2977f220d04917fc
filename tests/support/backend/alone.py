"""Runs a command where there is no network but this computer's own: ``python alone.py COMMAND ...``.

Standard library only. What listens on every address, as a Ray cluster does, is reached by nobody else.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
COMMAND = ("unshare", "--map-root-user", "--net", sys.executable, str(Path(__file__).resolve()))


def is_possible() -> bool:
    """Say whether this user may have a network of their own."""
    try:
        return not subprocess.run([*COMMAND, "true"], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return False


def outcome(module: str, folder: Path, *flags: str) -> Any:
    """Run a module that has a Ray cluster in a folder, and return the JSON of its last line."""
    done = subprocess.run(
        [*COMMAND, sys.executable, "-m", module, str(folder), *flags],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / '.ci'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    log = folder / "ray.log"
    assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    with socket.socket() as any_socket:  # the loopback is down in a new network; 0x8914 sets flags, 1 is up
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
    os.execvp(sys.argv[1], sys.argv[1:])
