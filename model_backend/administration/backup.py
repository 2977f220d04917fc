"""A backup of a data folder in one file, made while the backend runs, and its way back.

A tar file: ``files/SHA256`` has every content once, ``manifest.json`` says where in the data folder each
lies, ``jobs.sqlite`` is the job store as it was at one moment (SQLite's own backup). In it are results,
finished blocks of unfinished jobs (which go on where they were), uploads, the key that signs links and the
default token file. Not in it: models, logs, a token file elsewhere.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from model_backend import __version__
from model_backend.api.serving.folder_lock import lock_folder
from model_backend.api.tokens import BadSetUp
from model_backend.jobs.store import database
from model_backend.jobs.store.job_store import FILE

MANIFEST = "manifest.json"
PRIVATE = ("secret", "token", "worker-token")  # files of the data folder itself
_PATH = re.compile(r"(jobs|uploads)(/[A-Za-z0-9][A-Za-z0-9._-]*)+|" + "|".join(PRIVATE))
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Amount:
    """What a backup holds."""

    jobs: int
    files: int
    bytes: int


def backup(data_dir: Path, target: Path) -> Amount:
    """Write a backup of a data folder into a file that is whole or not there; return what it holds.

    A job that was removed meanwhile is not in it; a block that was joined meanwhile will be made again.
    """
    if not (data_dir / FILE).exists():
        raise BadSetUp(f"{data_dir} holds no job store. Name the backend's folder (--data-dir).")
    part = target.with_name(f"{target.name}.part")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder:
        copied = Path(folder) / FILE
        with closing(sqlite3.connect(data_dir / FILE)) as source:
            database.copy(source, copied)
        try:
            with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as file:
                with tarfile.open(fileobj=file, mode="w") as tar:
                    amount = _fill(tar, data_dir, copied)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    return amount


def restore(source: Path, data_dir: Path) -> Amount:
    """Make a data folder that has no job store what it was; BadSetUp: it has one, or the file is damaged.

    The job store comes last: a folder whose restoring was interrupted has none, and can be restored again.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock_folder(data_dir):
        if (data_dir / FILE).exists():
            raise BadSetUp(f"{data_dir} holds a job store already. Move the folder away, or name another.")
        try:
            with tarfile.open(source, "r:") as tar:
                return _unpack(tar, data_dir)
        except (tarfile.TarError, KeyError, ValueError) as error:
            raise BadSetUp(f"{source} is no whole backup: {error}") from error


def _fill(tar: tarfile.TarFile, data_dir: Path, copied: Path) -> Amount:
    places: dict[str, str] = {}  # path below the data folder: SHA-256
    sizes: dict[str, int] = {}
    with closing(sqlite3.connect(copied)) as db:
        db.execute("PRAGMA foreign_keys = ON")
        for path, job, expected in _wanted(db, data_dir):
            found = _add(tar, data_dir / path, expected, sizes)
            if found is not None:
                places[path] = found
            elif job is not None:
                db.execute("DELETE FROM job WHERE id = ?", (job,))  # it was removed meanwhile
        db.commit()
        jobs: int = db.execute("SELECT count(*) FROM job WHERE NOT removed").fetchone()[0]
    manifest = {"version": __version__, "places": places}
    _add_bytes(tar, MANIFEST, json.dumps(manifest, indent=1).encode())
    tar.add(copied, FILE)
    return Amount(jobs, len(places), sum(sizes.values()) + copied.stat().st_size)


def _wanted(db: sqlite3.Connection, data_dir: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield (path, job that is nothing without it, SHA-256 if known) of all files to keep."""
    results = "SELECT job, file, sha256 FROM result WHERE file IS NOT NULL"
    for job, file, sha256 in db.execute(results).fetchall():
        yield f"jobs/{job}/{file}", job, sha256
    blocks = "SELECT job, file, sha256 FROM block WHERE file IS NOT NULL AND status = 'successful'"
    for job, file, sha256 in db.execute(blocks).fetchall():
        yield f"jobs/{job}/{file}", None, sha256
    others = ("jobs/*/preview.png", "uploads/*/*.json", "uploads/*/*.tif", *PRIVATE)
    for pattern in others:
        for path in sorted(data_dir.glob(pattern)):
            yield path.relative_to(data_dir).as_posix(), None, None


def _add(tar: tarfile.TarFile, path: Path, expected: str | None, sizes: dict[str, int]) -> str | None:
    """Add a file by its hash unless it is there; return that, None where it is gone or damaged."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if expected not in (None, sha256):
            return None
        if sha256 not in sizes:
            info = tarfile.TarInfo(f"files/{sha256}")
            info.size = sizes[sha256] = file.tell()
            file.seek(0)
            tar.addfile(info, file)
    return sha256


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _unpack(tar: tarfile.TarFile, data_dir: Path) -> Amount:
    places: dict[str, str] = json.loads(_member(tar, MANIFEST).read())["places"]
    size = 0
    for path, sha256 in places.items():
        if not _PATH.fullmatch(path) or not _SHA256.fullmatch(sha256):
            raise ValueError(f"{path!r} is no place in a data folder")
        size += _write(_member(tar, f"files/{sha256}"), data_dir / path, sha256)
    part = data_dir / f"{FILE}.restored"
    _write(_member(tar, FILE), part, None)
    with closing(sqlite3.connect(part)) as db:
        if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise ValueError("the job store is damaged")
        jobs: int = db.execute("SELECT count(*) FROM job WHERE NOT removed").fetchone()[0]
    size += part.stat().st_size
    os.replace(part, data_dir / FILE)
    return Amount(jobs, len(places), size)


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    file = tar.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is no file")
    return file


def _write(content: IO[bytes], path: Path, sha256: str | None) -> int:
    """Write a file that its owner alone can read, hold it to its hash, and return its size."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as file:
        shutil.copyfileobj(content, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
        file.seek(0)
        if sha256 not in (None, hashlib.file_digest(file, "sha256").hexdigest()):
            raise ValueError(f"the content of {path.name} is damaged")
    return size
