"""The training chips: parquet files to arrays in memory, held-out files, balanced random windows.

Knows the two data sets (EuroSAT, UC Merced; README of the data folder), their colour correction and the
levels that can be learned honestly from them. Does not know captions, networks or evaluation. Needs numpy,
Pillow and pyarrow only, so that it runs on a bare GPU box.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from model_backend.arrays import BoolArray, Float64Array, Int64Array, UInt8Array

Pixels = UInt8Array

WINDOW = 64
"""Pixels of one training window."""
LEVELS = {18: 0.5, 17: 1.0, 14: 8.0}
"""Trained resolution levels and their ground metres per pixel: 2 ** (17 - level)."""
SHARE = {18: 0.36, 17: 0.28, 14: 0.36}
"""Share of the windows of each level in training."""
_HAZE = np.array([20.7, 37.8, 55.8], np.float32)
_FLAT_STD = 5.0
_FLAT_SHARE = 0.3
_EVERY = 10


@dataclass(frozen=True)
class Chips:
    """All chips of one level: ``pixels`` (n, s, s, 3) uint8, ``labels`` (n,) into ``classes``."""

    level: int
    pixels: Pixels
    labels: Int64Array
    classes: tuple[str, ...]
    files: tuple[str, ...]

    def subset(self, keep: BoolArray) -> Chips:
        """Return the chips for which ``keep`` (n,) is true."""
        files = tuple(name for name, wanted in zip(self.files, keep, strict=True) if wanted)
        return Chips(self.level, self.pixels[keep], self.labels[keep], self.classes, files)

    def split(self) -> tuple[Chips, Chips]:
        """Return (training chips, held-out chips)."""
        out = np.array([held_out(name) for name in self.files])
        return self.subset(~out), self.subset(out)


ChipsByLevel = dict[int, Chips]


def held_out(file: str) -> bool:
    """Say whether a file stays out of training: one in ten, by a hash of its name alone."""
    return int(hashlib.sha256(file.encode()).hexdigest()[:8], 16) % _EVERY == 0


def correct_colours(rgb: Pixels, label: str) -> Pixels:
    """Return a EuroSAT chip in natural colours (formula of the data's README); open water stays as it is."""
    if label == "SeaLake":
        return rgb
    scaled = (rgb.astype(np.float32) - _HAZE) / (253 - _HAZE)
    return np.rint(255 * scaled.clip(0, 1) ** 0.75).astype(np.uint8)


def load(folder: Path, cache: Path) -> dict[int, Chips]:
    """Return the chips of every level, decoded once into ``cache`` (a folder of ``.npz``)."""
    return {level: _load_level(folder, cache / f"chips-{level}.npz", level) for level in LEVELS}


def _load_level(folder: Path, cached: Path, level: int) -> Chips:
    if not cached.exists():
        chips = _decode(folder, level)
        cached.parent.mkdir(parents=True, exist_ok=True)
        part = cached.with_suffix(f".{os.getpid()}.part")  # each process of a team may come first
        with part.open("wb") as out:
            np.savez(
                out,
                pixels=chips.pixels,
                labels=chips.labels,
                classes=np.array(chips.classes),
                files=np.array(chips.files),
            )
        os.replace(part, cached)
    with np.load(cached) as stored:
        classes, files = tuple(map(str, stored["classes"])), tuple(map(str, stored["files"]))
        return Chips(level, stored["pixels"], stored["labels"], classes, files)


def _decode(folder: Path, level: int) -> Chips:
    import pyarrow.parquet as pq

    name, size, method = {
        18: ("ucmerced_0m50", None, Image.Resampling.BOX),
        17: ("ucmerced_0m50", 78, Image.Resampling.BOX),
        14: ("eurosat_rgb", 80, Image.Resampling.BICUBIC),
    }[level]
    table = pq.read_table(folder / f"{name}.parquet").to_pydict()
    classes = tuple(sorted(set(table["label"])))
    images = []
    for data, label in zip(table["image"], table["label"], strict=True):
        with Image.open(io.BytesIO(data)) as opened:
            rgb = np.asarray(opened.convert("RGB"))
        if name == "eurosat_rgb":
            rgb = correct_colours(rgb, label)
        if size is not None:
            rgb = np.asarray(Image.fromarray(rgb).resize((size, size), method))
        images.append(rgb)
    labels = np.array([classes.index(label) for label in table["label"]], np.int64)
    return Chips(level, np.stack(images), labels, classes, tuple(table["file"]))


def chip_weights(chips: Chips) -> Float64Array:
    """Return sampling probabilities (n,): every class alike, nearly uniform chips at most 30 % of a class."""
    flat = np.array([chip.std((0, 1)).mean() < _FLAT_STD for chip in chips.pixels])
    weights = np.zeros(len(chips.labels))
    for index in range(len(chips.classes)):
        inside = chips.labels == index
        dull, lively = inside & flat, inside & ~flat
        if not lively.any() or not dull.any():
            weights[inside] = 1 / max(inside.sum(), 1)
            continue
        share = min(_FLAT_SHARE, dull.sum() / inside.sum())
        weights[dull], weights[lively] = share / dull.sum(), (1 - share) / lively.sum()
    weights /= weights.sum()
    return weights


@dataclass(frozen=True)
class Windows:
    """A batch of training windows: ``pixels`` (b, 3, 64, 64) uint8, ``levels`` (b,), class names."""

    pixels: Pixels
    levels: Int64Array
    names: tuple[str, ...]


class WindowSampler:
    """Draws random windows: level by ``SHARE``, class evenly, any crop, any of the 8 flips/rotations."""

    def __init__(self, chips: dict[int, Chips], shares: dict[int, float] | None = None) -> None:
        self._chips = chips
        shares = shares or SHARE
        self._levels = [level for level in shares if level in chips]
        self._shares = np.array([shares[level] for level in self._levels])
        self._weights = {level: chip_weights(chips[level]) for level in self._levels}

    def draw(self, count: int, rng: np.random.Generator) -> Windows:
        """Return ``count`` windows, a function of the state of ``rng`` alone."""
        levels = rng.choice(self._levels, count, p=self._shares / self._shares.sum())
        pixels = np.empty((count, 3, WINDOW, WINDOW), np.uint8)
        names = [""] * count
        for level in self._levels:
            chips = self._chips[level]
            slots = np.flatnonzero(levels == level)
            picks = rng.choice(len(chips.labels), len(slots), p=self._weights[level])
            for slot, pick in zip(slots, picks, strict=True):
                pixels[slot] = turn(crop(chips.pixels[pick], rng), int(rng.integers(8))).transpose(2, 0, 1)
                names[slot] = chips.classes[chips.labels[pick]]
        return Windows(pixels, levels, tuple(names))


def crop(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a random window (64, 64, 3) of a chip (s, s, 3)."""
    row, col = rng.integers(0, pixels.shape[0] - WINDOW + 1, 2)
    return pixels[row : row + WINDOW, col : col + WINDOW]


def centre(pixels: Pixels) -> Pixels:
    """Return the central windows (n, 64, 64, 3) of chips (n, s, s, 3)."""
    start = (pixels.shape[1] - WINDOW) // 2
    return pixels[:, start : start + WINDOW, start : start + WINDOW]


def turn(pixels: Pixels, way: int) -> Pixels:
    """Return one of the 8 flips/rotations of a square image (s, s, c): from above all are as likely."""
    turned = np.rot90(pixels, way % 4)
    return turned[:, ::-1] if way >= 4 else turned
