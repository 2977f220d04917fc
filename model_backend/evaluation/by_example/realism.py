"""Whether windows of scenes can be told from real ones: two-sample test, Fréchet distance, precision, recall.

Every figure stands beside that of real windows against other real ones, and of the bank's own images, which
are real, too: what tells those from the rest is their choice and their tone, not how they are arranged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from model_backend.arrays import Float64Array, UInt8Array
from model_backend.evaluation.by_example import held_out, telling_apart
from model_backend.evaluation.by_example.held_out import Photograph, Windows
from model_backend.evaluation.by_example.scenes import Maker, cut
from model_backend.evaluation.by_example.sets import LandSet
from model_backend.evaluation.chip_images import CPU, percent
from model_backend.evaluation.judge import Judge
from model_backend.evaluation.metrics.image_sets import frechet_distance, precision_recall
from model_backend.models.banks.bank import Bank
from model_backend.training.image_tensors import to_tensor

Figures = dict[str, Any]


@dataclass(frozen=True)
class Amounts:
    """How much is made and trained: a share of the usual scenes, steps of the networks, runs of a test."""

    share: float = 1.0
    steps: int = 200
    runs: int = 2

    def scenes(self, land: LandSet) -> list[tuple[str, str]]:
        """Return the prompts and classes of the scenes of a set."""
        asked = land.asked()
        return asked[:: max(1, round(1 / self.share))]


@dataclass(frozen=True)
class Compared:
    """All windows of a set, real ones in two halves that share no image, in the tone of the bank."""

    land: LandSet
    first: Windows
    second: Windows
    banked: Windows
    made: Windows

    @property
    def real(self) -> Windows:
        """As many windows of both halves as there are in one."""
        both = Windows.joined([self.first, self.second])
        some = slice(None, None, 2)
        return Windows(both.pixels[some], both.origins[some], both.names[some])


def compared(data: Path, maker: Maker, land: LandSet, amounts: Amounts) -> Compared:
    """Read, make and cut all windows of a set."""
    photographs = held_out.read(data, land.table, maker.bank, land.labels or None)
    tone = usual_tone(maker.bank, land.family)
    asked = amounts.scenes(land)
    pictures = [
        maker.picture(prompt, land.gsd, land.side, 100 + seed) for seed, (prompt, _) in enumerate(asked)
    ]
    made = cut(pictures, [label for _, label in asked], land.each, 1)
    counts = {label: made.names.count(label) for label in dict.fromkeys(made.names)}
    halves = [
        held_out.by_class(part, counts, seed) for seed, part in enumerate(held_out.thirds(photographs)[:2])
    ]
    first, second = (half.with_pixels(toned(half.pixels, tone)) for half in halves)
    return Compared(land, first, second, held_out.by_class(bank_images(maker.bank, land), counts, 2), made)


def pairs(data: Path, maker: Maker, land: LandSet, count: int) -> tuple[list[UInt8Array], list[UInt8Array]]:
    """Return so many real images and scenes, drawn by lot; of a set with classes, of the same ones."""
    rng = np.random.default_rng(9)
    photographs = held_out.read(data, land.table, maker.bank, land.labels or None)
    tone = usual_tone(maker.bank, land.family)
    asked = land.asked()
    real, made = [], []
    for number in rng.choice(len(asked), count, replace=False):
        prompt, label = asked[number]
        able = [one for one in photographs if one.label == label]
        real.append(toned(able[int(rng.integers(len(able)))].pixels, tone))
        made.append(maker.picture(prompt, land.gsd, land.side, int(rng.integers(1 << 31))))
    return real, made


def usual_tone(bank: Bank, family: str) -> Float64Array:
    """Return the middle gain and offset, (3, 2), by which a family's images were brought to one tone."""
    tones = [one.tone for one in bank.of(family) if one.tone]
    found: Float64Array = np.median(tones, 0) / 256 if tones else np.array([[1.0, 0.0]] * 3)
    return found


def toned(pixels: UInt8Array, tone: Float64Array) -> UInt8Array:
    """Return real pixels (..., 3) brightened as a family's images usually are."""
    return np.rint(pixels * tone[:, 0] + tone[:, 1]).clip(0, 255).astype(np.uint8)


def bank_images(bank: Bank, land: LandSet) -> list[Photograph]:
    """Return a family's own images; of a set with classes, those of them that its originals are named by."""
    found = []
    for chip in bank.of(land.family):
        label = Path(chip.image).stem.rstrip("0123456789") if land.labels else "land"
        if not land.labels or label in land.labels:
            found.append(Photograph(chip.id, bank.at(chip, land.gsd).rgb, label))
    return found


def measure(sets: Compared, judge: Judge, amounts: Amounts) -> Figures:
    """Measure scenes, bank images and real windows of a set against real windows."""
    said = partial(two_sample, amounts=amounts)
    pairs = {
        "real | other real": (sets.first, sets.second),
        "bank's images | real": (sets.banked, sets.real),
        "scenes | real": (sets.made, sets.real),
        "scenes | real, pattern alone": tuple(map(_pattern, (sets.made, sets.real))),
    }
    figures: Figures = {
        "title": sets.land.title,
        "prompts": dict(sets.land.prompts),
        "windows a side": len(sets.made.pixels),
        "two-sample accuracy %": {name: said(*pair) for name, pair in pairs.items()},
        "Frechet distance": {},
        "precision %, recall %": {},
    }
    features = _features(judge)
    for name, (one, other) in list(pairs.items())[:3]:
        ours, theirs = features(one), features(other)
        figures["Frechet distance"][name] = frechet_distance(ours, theirs)
        figures["precision %, recall %"][name] = [percent(x) for x in precision_recall(ours, theirs)]
    if sets.land.labels:
        figures["class recognised %"] = {
            "scenes": recognised(judge, sets.made),
            "real": recognised(judge, sets.real),
        }
    return figures


def two_sample(one: Windows, other: Windows, amounts: Amounts) -> Figures:
    """Return the mean accuracy of several runs, and that of each."""
    runs = [
        percent(telling_apart.accuracy(one, other, amounts.steps, 30 + run)) for run in range(amounts.runs)
    ]
    return {"mean": float(np.mean(runs)), "runs": runs}


def recognised(judge: Judge, windows: Windows) -> float:
    """Return how often a judge sees the class that a window is named after."""
    level = judge.labels[0][0]
    seen = judge.classes_of(_images(windows), level)
    return percent(np.mean([a == b for a, b in zip(seen, windows.names, strict=True)]))


def _pattern(windows: Windows) -> Windows:
    return windows.with_pixels(telling_apart.pattern_alone(windows.pixels))


def _features(judge: Judge) -> Callable[[Windows], Any]:
    return lambda windows: judge.features(_images(windows))


def _images(windows: Windows) -> Any:
    return to_tensor(windows.pixels.transpose(0, 3, 1, 2), CPU)
