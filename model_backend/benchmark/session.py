"""One visit to a GPU that is there for minutes: speed, then number formats, then training with the rest.

Every part is a program of its own with a time of its own, so that one that fails or hangs costs no other.
What is known so far lies in the folder of results at any time. Knows programs and clocks; no networks.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ENDING = 60.0  # seconds: exporting and packing what was trained
_COUNTED = 0.8  # of the time of training: reading chips and saving are not counted by its budget
_PIECE = 15 * 2**20  # bytes of a piece of the trained model
_MINI = Path(__file__).resolve().parents[2] / "resources" / "models" / "text2earth-mini"


@dataclass(frozen=True)
class Part:
    """One program, by its name and words after ``python -m``, and the share of the whole time it may take."""

    name: str
    words: tuple[str, ...]
    share: float


def run(given: argparse.Namespace) -> int:
    """Do all parts; return how many failed."""
    began = time.monotonic()
    end = began + 60 * given.minutes
    given.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for part in parts(given):
        limit = min(part.share * 60 * given.minutes, end - time.monotonic())
        failed += not _do(part, limit, given.out)
    left = end - time.monotonic() - _ENDING
    if given.training_minutes is not None:
        left = min(left, 60 * given.training_minutes)
    if given.data is not None and left > 0:
        failed += not _train(given, left, end)
    print(f"All in {time.monotonic() - began:.0f} s; {failed} parts failed. Results: {given.out}", flush=True)
    return failed


def parts(given: argparse.Namespace) -> Iterator[Part]:
    """Yield what is measured, the most wanted first."""
    shape, device = ("--random-weights", given.random_weights), ("--device", given.device)
    program, tiny = "model_backend.benchmark", given.random_weights == "tiny"
    half = "float32" if tiny else "float16"
    small, large = ("128", "192") if tiny else ("512", "2048")
    speed = (program, "speed", *shape, *device, "--dtype", half, "--rounds", "1")
    few = ("--steps", "2") if tiny else ()
    yield Part("speed", (*speed, "--size", small, *few), 0.25)
    yield Part("formats", (program, "formats", *shape, *device, *few), 0.2)
    yield Part("large", (*speed, "--size", large, "--cutoff", "130", "--alone", *few), 0.2)


def _do(part: Part, limit: float, out: Path) -> bool:
    """Run a part within its time; its figures are in NAME.json, what it says in NAME.txt."""
    words = (*part.words, "--out", str(out / f"{part.name}.json"))
    return _program(part.name, words, limit, out)


def _program(name: str, words: tuple[str, ...], limit: float, out: Path) -> bool:
    began = time.monotonic()
    with (out / f"{name}.txt").open("w", encoding="utf-8") as said:
        try:
            command = [sys.executable, "-m", *words]
            code = subprocess.run(command, stdout=said, stderr=said, timeout=max(1, limit)).returncode
        except subprocess.TimeoutExpired:
            code = -1
    how = {0: "done", -1: f"stopped at its limit of {limit:.0f} s"}.get(code, f"failed ({code})")
    print(f"{name}: {how}, {time.monotonic() - began:.0f} s", flush=True)
    if code > 0:
        print((out / f"{name}.txt").read_text(encoding="utf-8")[-2000:], flush=True)
    return code == 0


def _train(given: argparse.Namespace, seconds: float, end: float) -> bool:
    """Train text encoder and UNet anew beside the bundled autoencoder; leave the model in pieces."""
    work = given.work
    shutil.copytree(_MINI / "vae", work / "vae", dirs_exist_ok=True)
    where = ("--data", str(given.data), "--work", str(work))
    program = ("model_backend.training", "train-mini", "--stage")
    budget = ("--minutes", str(seconds / 60 * _COUNTED))
    batch = ("--batch", "4") if given.random_weights == "tiny" else ()
    limit = end - time.monotonic() - _ENDING / 2
    whole = _program("training", (*program, "diffusion", *where, *budget, *batch), limit, given.out)
    if not (work / "model").is_dir():  # it is saved every five minutes and at the end
        return False
    folder = work / "text2earth-mini"
    words = (*program, "export", *where, "--out", str(folder))
    made = _program("export", words, end - time.monotonic() + 30, given.out)
    _pack(folder if made else work / "model", given.out)
    return whole and made


def _pack(folder: Path, out: Path) -> None:
    """Put a folder into model.tar.0, model.tar.1, ..., which ``cat`` joins."""
    whole = out / "model.tar"
    with tarfile.open(whole, "w") as archive:
        archive.add(folder, folder.name)
    with whole.open("rb") as file:
        for number, piece in enumerate(iter(lambda: file.read(_PIECE), b"")):
            (out / f"model.tar.{number}").write_bytes(piece)
    whole.unlink()
