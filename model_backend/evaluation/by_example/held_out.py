"""Real images to compare land by example with: those that a bank does not hold, nor any of the same place.

Reads the parquet tables of the training data; knows which images a bank names, and what ground they show.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model_backend.arrays import Int64Array, UInt8Array
from model_backend.models.banks.bank import Bank
from model_backend.training.data_sets.land_cover import WINDOW, crop

_NO_LABEL = "land"


@dataclass(frozen=True)
class Photograph:
    """A real image (height, width, 3), the class it shows, and its near infrared where it has one."""

    file: str
    pixels: UInt8Array
    label: str
    nir: UInt8Array | None = None


@dataclass(frozen=True)
class Windows:
    """Windows (n, 64, 64, 3), the image or scene each is from, and what it is meant to show."""

    pixels: UInt8Array
    origins: Int64Array
    names: tuple[str, ...]

    @classmethod
    def joined(cls, parts: Sequence[Windows]) -> Windows:
        """Put sets together; images and scenes of different sets stay apart."""
        origins, most = [], 0
        for part in parts:
            origins.append(part.origins + most)
            most += int(part.origins.max(initial=-1)) + 1
        names = tuple(name for part in parts for name in part.names)
        return cls(np.concatenate([part.pixels for part in parts]), np.concatenate(origins), names)

    def with_pixels(self, pixels: UInt8Array) -> Windows:
        """Return the same windows with other pixels."""
        return replace(self, pixels=pixels)


def used(bank: Bank) -> frozenset[str]:
    """Return the names, without folder and ending, of the files that a bank was made from."""
    return frozenset(Path(chip.image).stem for chip in bank.chips)


def read(
    data: Path, table: str, bank: Bank | None, only: Iterable[str] | None = None, every: int = 1
) -> list[Photograph]:
    """Return a table's images in the order of their files, or one in so many, that a bank neither holds nor
    overlaps; of the classes in ``only``, if it is given."""
    rows = sorted(_rows(data / f"{table}.parquet"), key=lambda row: str(row["file"]))[::every]
    taken = used(bank) if bank else frozenset()
    grounds = [_ground(row) for row in rows]
    holds = [Path(row["file"]).stem in taken for row in rows]
    theirs = [ground for ground, held in zip(grounds, holds, strict=True) if held]
    classes = None if only is None else frozenset(only)
    return [
        _decoded(row)
        for row, ground, held in zip(rows, grounds, holds, strict=True)
        if not held
        and (classes is None or row.get("label") in classes)
        and not any(_meet(ground, other) for other in theirs)
    ]


def thirds(photographs: Sequence[Photograph]) -> list[list[Photograph]]:
    """Deal images into three parts by their names alone; the last of them trains judges."""
    parts: list[list[Photograph]] = [[], [], []]
    for one in photographs:
        parts[hashlib.sha256(one.file.encode()).digest()[0] % 3].append(one)
    return parts


def windows(photographs: Sequence[Photograph], count: int, seed: int) -> Windows:
    """Cut so many random windows, as evenly from all images as it goes; images in random order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(photographs))
    picks = [int(order[number % len(order)]) for number in range(count)]
    pixels = np.stack([crop_of(photographs[pick].pixels, rng) for pick in picks])
    return Windows(pixels, np.array(picks), tuple(photographs[pick].label for pick in picks))


def by_class(photographs: Sequence[Photograph], counts: dict[str, int], seed: int) -> Windows:
    """Cut so many windows of every class that is there."""
    parts = []
    for label, count in counts.items():
        able = [one for one in photographs if one.label == label]
        if able:
            parts.append(windows(able, count, seed))
    return Windows.joined(parts)


def crop_of(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Return a random window of an image, which need not be square."""
    side = min(pixels.shape[:2])
    assert side >= WINDOW
    row, col = (int(rng.integers(length - side + 1)) for length in pixels.shape[:2])
    return crop(pixels[row : row + side, col : col + side], rng)


def _rows(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def _decoded(row: dict[str, Any]) -> Photograph:
    nir = _opened(row["nir"], "L") if row.get("nir") else None
    return Photograph(row["file"], _opened(row["image"], "RGB"), row.get("label") or _NO_LABEL, nir)


def _opened(data: bytes, mode: str) -> UInt8Array:
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert(mode))


def _ground(row: dict[str, Any]) -> tuple[str, float, float, float] | None:
    """Return the zone of an image, its west and north, and how many metres it is wide; None: nobody knows."""
    zone = row.get("crs") or row.get("epsg")
    if zone is None or row.get("west") is None:
        return None
    with Image.open(io.BytesIO(row["image"])) as opened:
        side = max(opened.size) * float(row["gsd_m"])
    return str(zone), float(row["west"]), float(row["north"]), side


def _meet(one: tuple[str, float, float, float] | None, other: tuple[str, float, float, float] | None) -> bool:
    """Say whether two images show some of the same ground."""
    if one is None or other is None or one[0] != other[0]:
        return False
    apart = max(abs(one[1] - other[1]), abs(one[2] - other[2]))
    return apart < max(one[3], other[3])
