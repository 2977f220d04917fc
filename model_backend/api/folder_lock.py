"""A lock on the data folder: two backends in one would remove each other's files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

from model_backend.api.auth import BadSetUp


def lock_folder(folder: Path) -> BinaryIO:
    """Return the file whose lock says that a backend uses a folder; it is free once the file is closed.

    Raises BadSetUp if another one does. However that ends, the operating system frees its lock.
    """
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
