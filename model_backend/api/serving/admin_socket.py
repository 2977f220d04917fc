"""The socket in the data folder on which administrators give orders: a file that its user alone can open.

Paths of sockets are short (about a hundred bytes) and those of folders need not be: so it is bound, and
opened, from within the folder.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "admin"
SUPPORTED = hasattr(socket, "AF_UNIX")  # not in Python on Windows


def listen(data_dir: Path) -> socket.socket | None:
    """Return the socket, listening, for whoever holds the folder's lock; None where there are no such ones.

    To be called before there are threads: for a moment it changes the working directory.
    """
    if not SUPPORTED:
        return None
    (data_dir / NAME).unlink(missing_ok=True)  # of one that was killed
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _within(data_dir):
        made.bind(NAME)
    os.chmod(data_dir / NAME, 0o600)
    made.listen(16)
    return made


def connect(data_dir: Path) -> socket.socket:
    """Return a connection to the backend of a folder; raises OSError if none answers."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _within(data_dir):
            made.connect(NAME)
    except OSError:
        made.close()
        raise
    return made


@contextmanager
def _within(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
