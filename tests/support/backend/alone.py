"""Runs a command where there is no network but this computer's own: ``python alone.py COMMAND ...``.

Standard library only. What listens on every address, as a Ray cluster does, is reached by nobody else.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

COMMAND = ("unshare", "--map-root-user", "--net", sys.executable, str(Path(__file__).resolve()))


def is_possible() -> bool:
    """Say whether this user may have a network of their own."""
    try:
        return not subprocess.run([*COMMAND, "true"], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    with socket.socket() as any_socket:  # the loopback is down in a new network; 0x8914 sets flags, 1 is up
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
    os.execvp(sys.argv[1], sys.argv[1:])
