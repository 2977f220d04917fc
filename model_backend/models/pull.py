"""Fetching a model from the hub, and holding a fetched model to its checksums.

A download is pinned, checked and resumable: the revision is the card's, or, where the card names none, the
commit that the hub resolves at the first pull; every file is checked against the SHA-256 the hub states for
it (small files: its git hash) and against any the card pins; an interrupted file continues where it stopped.
The folder appears under its final name only when it is complete. The card written into it then names the
commit and the SHA-256 of every file: it is the lock that `verify` checks from then on.

Nothing is fetched without being asked for, and the licence situation is agreed to first. Only safetensors and
JSON are fetched: no pickles, no code. Talks to the hub that ``HF_ENDPOINT`` names; knows nothing of torch.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub import constants as hf_constants
from huggingface_hub.errors import HTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, disable_progress_bars

from model_backend.errors import BackendError, ModelUnavailable, StorageFull
from model_backend.models.card import FileSum, ModelCard, read_card, stored_card
from model_backend.models.weights import WEIGHTED_PARTS, is_page, variant_of

# What a model folder is made of; variants such as "model.fp16.safetensors" are second copies of the same
# weights.
_WANTED = re.compile(
    r"model_index\.json|README\.md|LICENSE[\w.]*|"
    r"(unet|vae|text_encoder|tokenizer|scheduler)/[\w-]+(\.index)?\.(json|txt|safetensors)"
)
# Without these nothing can be loaded; better to know before gigabytes are fetched.
_NEEDED = (
    "model_index.json",
    *(f"{part}/config.json" for part in WEIGHTED_PARTS),
    "scheduler/scheduler_config.json",
    "tokenizer/tokenizer_config.json",
)
_ACCEPTED = ".accepted"


class PullFailed(BackendError):
    """A download did not come through, or not unharmed."""

    status = 503
    title = "Download failed"


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository: its name, bytes, and the checksum the hub states for it."""

    name: str
    size: int
    sha256: str | None  # of large files
    git_hash: str | None  # of small ones: SHA-1 over "blob <size>\0" and the content


@dataclass(frozen=True)
class Offer:
    """What a pull would fetch: files of one commit."""

    card: ModelCard
    revision: str
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def unfamiliar(self) -> str:
        """A sentence if the commit is none that this version knows, else empty."""
        return "" if self.card.revision else self.card.unfamiliar(self.revision)


def offer(card: ModelCard) -> Offer:
    """Ask the hub what there is of a model. Raises ModelUnavailable or PullFailed."""
    if card.repo is None:
        raise ModelUnavailable(f"The model {card.id} is not on the hub; it cannot be pulled.")
    info = _describe(card)
    siblings = info.siblings or []
    files = tuple(
        RemoteFile(
            name=sibling.rfilename,
            size=(sibling.lfs.size if sibling.lfs else sibling.size) or 0,
            sha256=sibling.lfs.sha256 if sibling.lfs else None,
            git_hash=None if sibling.lfs else sibling.blob_id,
        )
        for sibling in siblings
        if _WANTED.fullmatch(sibling.rfilename)
    )
    names = {file.name for file in files}
    for part in WEIGHTED_PARTS:
        if not any(name.startswith(part + "/") and name.endswith(".safetensors") for name in names):
            raise PullFailed(_no_weights(card, part, [sibling.rfilename for sibling in siblings]))
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise PullFailed(f"{card.repo} has no {missing[0]}: it is no model in the layout of diffusers.")
    absent = sorted(set(card.files) - names)
    if absent:
        raise PullFailed(f"{card.repo} has no {absent[0]}, which the card of {card.id} pins.")
    if card.revision not in (None, info.sha):
        raise PullFailed(f"The hub offers commit {info.sha} of {card.repo}, not the pinned {card.revision}.")
    return Offer(card, str(info.sha), files)


def _describe(card: ModelCard) -> Any:
    """Return what the hub says of a card's repository, at its revision."""
    try:
        return HfApi().model_info(card.repo, revision=card.revision, files_metadata=True)
    except (HTTPError, OSError) as error:
        raise PullFailed(f"The hub does not answer for {card.repo}: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # it describes no repository
        raise PullFailed(
            f"What answers for {card.repo} at {hf_constants.ENDPOINT} is not the hub, perhaps the login page"
            " of a network. Open any page in a browser, log in, and pull again."
        ) from error


def _no_weights(card: ModelCard, part: str, names: list[str]) -> str:
    """Say that a repository has no weights of a part that could be fetched, and what there is instead."""
    variants = [name for name in names if name.startswith(part + "/") and name.endswith(".safetensors")]
    if not variants:
        return f"{card.repo} has no safetensors weights of its {part}; pickles are not fetched."
    return (
        f"{card.repo} has the weights of its {part} only as {variants[0]}, which is not fetched. Download the"
        f' repository yourself, take ".{variant_of(variants[0])}" out of the names of such files, and set '
        "the model to that folder."
    )


def pull(offered: Offer, models: Path, accept: Callable[[str], bool]) -> Path:
    """Fetch an offer into ``models``/ID and return that folder.

    ``accept(text)`` is asked once, with the licence situation; what was accepted stays accepted for a pull
    that is resumed. Raises PullFailed, StorageFull, or ModelUnavailable if the answer is no or the model is
    there already.
    """
    card = offered.card
    target = models / card.id
    if target.exists():
        raise ModelUnavailable(
            f"{card.id} is installed already, in {target}. Delete the folder to pull it anew."
        )
    staging = models / f".pull-{card.id}-{offered.revision[:12]}"
    staging.mkdir(parents=True, exist_ok=True)
    if card.notice and not (staging / _ACCEPTED).exists():
        if not accept(card.notice):
            raise ModelUnavailable(f"{card.id} was not downloaded: its licence situation was not accepted.")
        (staging / _ACCEPTED).write_text(card.notice, encoding="utf-8")
    missing = [file for file in offered.files if not (staging / file.name).exists()]
    if sum(file.size for file in missing) > shutil.disk_usage(staging).free:
        raise StorageFull(
            f"{card.id} needs {offered.size / 1e9:.1f} GB; there is not enough free space in {models}."
        )
    with _progress(staging, offered.size):
        sums = {file.name: _fetch(offered, file, staging) for file in offered.files}
    card.model_copy(update={"revision": offered.revision, "files": sums}).write(staging)
    read_card(staging)
    (staging / _ACCEPTED).unlink(missing_ok=True)
    os.replace(staging, target)
    return target


def verify(folder: Path) -> list[str]:
    """List the faults of a model folder, a sentence each; none if it is as it was locked.

    Raises ModelUnavailable if the folder holds no checksums to check against.
    """
    card = stored_card(folder)
    if card is None or not card.files:
        raise ModelUnavailable(
            f"{folder} holds no checksums; only pulled and bundled models can be verified."
        )
    wrong = []
    for name, expected in sorted(card.files.items()):
        file = folder / name
        if not file.is_file():
            wrong.append(f"{name} is missing.")
        elif expected.size not in (None, file.stat().st_size) or _digest(file) != expected.sha256:
            wrong.append(f"{name} is not the file that was locked.")
    return wrong


@contextmanager
def _progress(staging: Path, size: int) -> Iterator[None]:
    """Say every second how much of ``size`` bytes has come, on a line of its own, unless somebody looks."""
    if sys.stderr.isatty():  # the bars of the hub's library are seen
        yield
        return
    disable_progress_bars()
    over = threading.Event()

    def tell() -> None:
        while not over.wait(1):
            come = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
            print(f"{100 * come / max(1, size):.1f} % of {size / 1e6:,.0f} MB", flush=True)

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _fetch(offered: Offer, file: RemoteFile, staging: Path) -> FileSum:
    """Bring one file into the staging folder, or find it there; return its checksum once it is checked."""
    path = staging / file.name
    if not path.exists():
        part = path.with_name(path.name + ".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        url = hf_hub_url(offered.card.repo, file.name, revision=offered.revision)
        try:
            with part.open("ab") as stream:
                http_get(
                    url,
                    stream,
                    resume_size=stream.tell(),
                    headers=build_hf_headers(),
                    expected_size=file.size,
                )
        except (HTTPError, OSError) as error:
            _refuse_page(part, file)
            raise PullFailed(
                f"{file.name} did not come through; pull again to go on where it stopped. ({error})"
            ) from error
        _refuse_page(part, file)
        os.replace(part, path)
    found = FileSum(sha256=_digest(path), size=path.stat().st_size)
    pinned = offered.card.files.get(file.name)
    stated = found.sha256 == file.sha256 if file.sha256 else _git_hash(path) == file.git_hash
    if not stated or (pinned and pinned.sha256 != found.sha256):
        path.unlink()
        whose = "the card pins" if stated else "the hub states"
        raise PullFailed(f"{file.name} has another checksum than {whose}; it was thrown away.")
    return found


def _refuse_page(part: Path, file: RemoteFile) -> None:
    """Throw away what is a web page instead of a file: nothing could be made of it, now or later."""
    with part.open("rb") as stream:
        page = is_page(stream.read(64))
    if page and not file.name.endswith(".md"):
        part.unlink()
        raise PullFailed(
            f"Instead of {file.name} a web page came, perhaps the login page of a network. Open any page in "
            "a browser, log in, and pull again; what is complete stays."
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_hash(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
