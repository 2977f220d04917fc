"""A lock on the data folder: two backends in one would remove each other's files."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import BinaryIO

from model_backend.api.tokens import BadSetUp

LOOK = 0.1  # seconds between two tries


def lock_folder(folder: Path, patience: float = 0.0) -> BinaryIO:
    """Return the file whose lock says that a backend uses a folder; it is free once the file is closed.

    Raises BadSetUp if another one does, and still after ``patience`` seconds: whoever looks whether there is
    one holds the lock for a moment too. However that ends, the operating system frees its lock.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return _lock(folder)
        except BadSetUp:
            if time.monotonic() >= end:
                raise
            time.sleep(LOOK)


def _lock(folder: Path) -> BinaryIO:
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    file = os.fdopen(handle, "r+b", buffering=0)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise BadSetUp(
            f"Another backend uses {folder}. Stop it, or give this one a folder of its own (--data-dir)."
        ) from error
    return file
