"""Classifiers of land whose features measure how far sets of windows are from each other.

One is trained on the classes of EuroSAT, for pixels of 10 and 30 m, one on those of UC Merced, for finer
ones; neither sees an image that it judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model_backend.evaluation import judge
from model_backend.evaluation.by_example import held_out
from model_backend.evaluation.by_example.held_out import Photograph
from model_backend.evaluation.chip_images import central_windows, percent
from model_backend.evaluation.judge import Judge
from model_backend.models.banks.bank import Bank
from model_backend.training.data_sets.land_cover import Chips, correct_colours

_EVERY = 6  # of EuroSAT's images, one in so many is read
_TESTED = 5  # one image in so many tells how good a judge is
_LEVEL = 0


def eurosat(data: Path, steps: int) -> tuple[Judge, float]:
    """Return a judge of EuroSAT's classes, and the percentage of other images that it tells right."""
    return _trained(eurosat_photographs(data), steps)


def eurosat_photographs(data: Path) -> list[Photograph]:
    """Return some of EuroSAT's images, in natural colours."""
    found = held_out.read(data, "eurosat_rgb", None, every=_EVERY)
    return [Photograph(one.file, correct_colours(one.pixels, one.label), one.label) for one in found]


def ucmerced(data: Path, bank: Bank, steps: int) -> tuple[Judge, float]:
    """Return a judge of UC Merced's classes, from images that no comparison uses, and how good it is."""
    return _trained(held_out.thirds(held_out.read(data, "ucmerced_0m50", bank))[2], steps)


def _trained(photographs: Sequence[Photograph], steps: int) -> tuple[Judge, float]:
    tested = [one for number, one in enumerate(photographs) if number % _TESTED == 0]
    learnt = [one for number, one in enumerate(photographs) if number % _TESTED]
    classes = tuple(sorted({one.label for one in photographs}))
    chips = {_LEVEL: _chips(learnt, classes)}
    options = judge.JudgeOptions(steps, shares={_LEVEL: 1.0})
    found = judge.train(chips, judge.labels_of(chips), options)
    held = central_windows(_chips(tested, classes))
    seen = found.classes_of(held.pixels, _LEVEL)
    return found, percent(np.mean([a == b for a, b in zip(seen, held.names, strict=True)]))


def _chips(photographs: Sequence[Photograph], classes: tuple[str, ...]) -> Chips:
    labels = np.array([classes.index(one.label) for one in photographs], np.int64)
    pixels = np.stack([one.pixels for one in photographs])
    return Chips(_LEVEL, pixels, labels, classes, tuple(one.file for one in photographs))
