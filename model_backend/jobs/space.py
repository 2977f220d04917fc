"""Disk space: found out before an hour of work, not after it.

Free bytes are no promise: a quota, a limit on file sizes or a folder that became read-only shows when bytes
are really taken. So a handler takes what it will write, and gives it back at once. Knows folders; no rows.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from model_backend.errors import StorageFull

_SAID = {
    errno.ENOSPC: "The disk of the backend is full. Remove finished jobs, then try again.",
    errno.EDQUOT: "The backend has used up its share of the disk. Remove finished jobs, then try again.",
    errno.EFBIG: "The backend may not write a file as large as this. Try a smaller extent.",
    errno.EROFS: "The backend's folder of results is read-only. Tell its administrator.",
    errno.EACCES: "The backend may not write into its folder of results. Tell its administrator.",
    errno.EPERM: "The backend may not write into its folder of results. Tell its administrator.",
}
_PROBE = 64 << 20  # bytes really written where a file system cannot set them aside


def sentence(error: OSError) -> str | None:
    """Say to a job's owner what an error of the disk means for them; None: it is another error."""
    return _SAID.get(error.errno or 0)


def take(folder: Path, needed: int) -> None:
    """Make sure that ``needed`` bytes can be written into a folder, in one file; raises StorageFull."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageFull(
            f"The disk of the backend is full: {needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB free."
            " Remove finished jobs, then try again."
        )
    path = folder / "space.part"
    try:
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, max(1, needed))
            else:
                for _ in range(0, min(needed, _PROBE), 1 << 20):
                    file.write(bytes(1 << 20))
    except OSError as error:
        raise StorageFull(sentence(error) or f"The backend cannot write: {error.strerror}.") from error
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def reserved(folder: Path, needed: int) -> Iterator[None]:
    """Write here what needs so many bytes; StorageFull before it, and after it if the disk made it fail.

    GDAL's errors do not say that it was.
    """
    take(folder, needed)
    try:
        yield
    except Exception:
        take(folder, needed)
        raise
