"""Rasters that were sent here: received in pieces, checked, kept while they are used.

One folder per owner, whose name nobody can guess from outside; an id means something in its owner's folder
only. An upload is ``<id>.part`` while it arrives and ``<id>.tif`` once the checking child has rewritten it;
``<id>.json`` says how long it is, or what it came to. The time of its last use is the file's own. Knows no
HTTP.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_backend.errors import InvalidInput, NoSuchUpload, StorageFull
from model_backend.processes.base import StoredRaster
from model_backend.raster.files.upload_check import check
from model_backend.schemas import Upload
from model_backend.settings import Settings

_ID = re.compile(r"[0-9a-f]{32}")
_ADOPTED = 600.0  # seconds that what came in a request outlives its use
_SPARE = 1 << 28  # bytes of disk that uploads leave alone
_CHILDREN = threading.BoundedSemaphore(2)  # checks at a time, of this process


@dataclass(frozen=True)
class State:
    """How far an upload is: ``facts`` are the raster's once it is complete and checked."""

    id: str
    length: int
    received: int
    facts: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Return this as the JSON that callers get."""
        done = {"complete": self.facts is not None}
        return {"id": self.id, "length": self.length, "received": self.received} | done | (self.facts or {})


class Uploads:
    """The uploads of one backend."""

    def __init__(self, settings: Settings) -> None:
        """Use ``data_dir/uploads``."""
        self._settings = settings
        self._root = settings.data_dir / "uploads"
        self._lock = threading.Lock()  # of what is promised

    def start(self, owner: str, length: int) -> State:
        """Begin an upload of ``length`` bytes.

        Raises StorageFull: the disk, or what the owner may keep, is less than that and all that is promised.
        """
        folder = self._folder(owner)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock:
            # The file, and what it is rewritten to.
            if 2 * length + self.promised() + _SPARE > shutil.disk_usage(folder).free:
                raise StorageFull(
                    "The backend has not enough disk for this upload. Remove uploads and finished jobs, then"
                    " try again."
                )
            self._check_quota(owner, 1, length)
            upload = uuid.uuid4().hex
            (folder / f"{upload}.part").touch(mode=0o600)
            self._write(folder / f"{upload}.json", {"length": length})
        return State(upload, length, 0, None)

    def promised(self) -> int:
        """Return the bytes of disk that unfinished uploads of all owners may still take."""
        left = 0
        for part in self._root.glob("*/*.part"):
            with contextlib.suppress(OSError, ValueError):  # it ends as we look
                length = json.loads(part.with_suffix(".json").read_bytes())["length"]
                left += max(0, 2 * int(length) - part.stat().st_size)
        return left

    def _check_quota(self, owner: str, more: int, length: int) -> None:
        """Raise StorageFull if an owner may not keep so many ``more`` uploads of ``length`` bytes in all."""
        kept, size = more, length
        for record in self._folder(owner).glob("*.json"):
            kept += 1
            with contextlib.suppress(OSError, ValueError):
                known = json.loads(record.read_bytes())
                whole = "facts" in known
                size += record.with_suffix(".tif").stat().st_size if whole else int(known["length"])
        most, most_bytes = self._settings.owner_uploads, self._settings.owner_upload_bytes
        if kept > most or size > most_bytes:
            raise StorageFull(
                f"You may keep {most:,} uploads of {most_bytes / 1e9:,.1f} GB at a time; with this one there"
                f" would be {kept:,} of {size / 1e9:,.1f} GB. Remove some (DELETE /uploads/ID), or wait:"
                f" they expire {self._settings.upload_hours:g} hours after their last use."
            )

    def state(self, owner: str, upload: str) -> State:
        """Return how far an upload is; raises NoSuchUpload, also for those of other owners."""
        path = self._path(owner, upload, ".json")
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            if "facts" in known:
                return State(upload, known["length"], known["length"], known["facts"])
            return State(upload, known["length"], path.with_suffix(".part").stat().st_size, None)
        except FileNotFoundError:
            raise NoSuchUpload(
                "There is no such upload; it may have expired. Send the raster again."
            ) from None

    def part(self, owner: str, upload: str) -> Path:
        """Return the file that the bytes of an unfinished upload are appended to."""
        return self._path(owner, upload, ".part")

    def finish(self, owner: str, upload: str) -> State:
        """Check a file that is here completely.

        Raises InvalidInput (it is no raster that is taken) or StorageFull (unpacked it is more than its owner
        may keep), and then it is gone; NoSuchUpload if it was removed meanwhile.
        """
        part = self.part(owner, upload)
        made = part.with_suffix(".made")
        try:
            with _CHILDREN:
                facts = check(part, made, self._settings.max_raster)
            with made.open("rb") as file:
                facts["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
            length = part.stat().st_size
            self._check_quota(owner, 0, max(0, made.stat().st_size - length))
            os.replace(made, part.with_suffix(".tif"))
            if not part.with_suffix(".json").exists():
                raise FileNotFoundError(upload)
            self._write(part.with_suffix(".json"), {"length": length, "facts": facts})
            part.unlink()
        except FileNotFoundError:
            self.remove(owner, upload)
            raise NoSuchUpload("The upload was removed while it was looked at.") from None
        except BaseException:
            self.remove(owner, upload)
            raise
        return State(upload, length, length, facts)

    def adopt(self, owner: str, content: bytes | Path) -> str:
        """Make bytes, or a file of ours, an upload of its own, and return its id.

        Nobody else knows the id, so it goes soon after no job needs it.
        """
        length = len(content) if isinstance(content, bytes) else content.stat().st_size
        upload = self.start(owner, length).id
        try:
            if isinstance(content, bytes):
                self.part(owner, upload).write_bytes(content)
            else:
                shutil.copyfile(content, self.part(owner, upload))
        except BaseException:
            self.remove(owner, upload)
            raise
        state = self.finish(owner, upload)
        record = {"length": length, "facts": state.facts, "adopted": True}
        self._write(self._path(owner, upload, ".json"), record)
        return upload

    def remove(self, owner: str, upload: str) -> None:
        """Remove an upload, whole or not."""
        for ending in (".json", ".new", ".part", ".made", ".tif"):
            self._path(owner, upload, ending).unlink(missing_ok=True)

    def raster(self, owner: str, field: str, named: Upload) -> StoredRaster:
        """Return the raster that an input names, and keep it a while longer; raises InvalidInput."""
        try:
            state = self.state(owner, named.upload)
        except NoSuchUpload as error:
            raise InvalidInput(f"{field}.upload", str(error), value=named.upload) from None
        if state.facts is None:
            detail = f"The upload is not complete: {state.received:,} of {state.length:,} bytes are here."
            raise InvalidInput(f"{field}.upload", detail, value=named.upload)
        path = self._path(owner, named.upload, ".tif")
        os.utime(path)
        return StoredRaster(path, str(state.facts["sha256"]))

    def sweep(self, in_use: Callable[[str], bool]) -> None:
        """Remove uploads that nobody touched for long; ``in_use`` says whether a job still needs an id."""
        for record in self._root.glob("*/*.json"):
            kept = _ADOPTED if _is_adopted(record) else self._settings.upload_hours * 3600
            oldest = time.time() - kept
            touched = [path.stat().st_mtime for path in record.parent.glob(f"{record.stem}.*")]
            if max(touched, default=0.0) < oldest and not in_use(record.stem):
                for path in record.parent.glob(f"{record.stem}.*"):
                    with contextlib.suppress(PermissionError):  # Windows, while somebody reads it
                        path.unlink(missing_ok=True)

    def _folder(self, owner: str) -> Path:
        return self._root / hashlib.sha256(owner.encode()).hexdigest()[:32]

    def _path(self, owner: str, upload: str, ending: str) -> Path:
        if not _ID.fullmatch(upload):
            raise NoSuchUpload("There is no such upload.")
        return self._folder(owner) / f"{upload}{ending}"

    def _write(self, path: Path, value: dict[str, Any]) -> None:
        part = path.with_suffix(".new")
        part.write_text(json.dumps(value), encoding="utf-8")
        os.replace(part, path)


def _is_adopted(record: Path) -> bool:
    """Say whether an upload came as a part of a request."""
    with contextlib.suppress(OSError, ValueError):  # it ends as we look
        return bool(json.loads(record.read_bytes()).get("adopted"))
    return False
