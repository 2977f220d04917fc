"""The two-sample test: a small network is told which windows are real and which are made, then asked.

It learns on one half of both and is asked about the other half; no image and no scene lies in both halves.
Half of its answers are right where nothing tells the two sets apart.
"""

from __future__ import annotations

import numpy as np

from model_backend.arrays import BoolArray, UInt8Array
from model_backend.evaluation import judge
from model_backend.evaluation.by_example.held_out import Windows
from model_backend.evaluation.chip_images import CPU
from model_backend.training.data_sets.land_cover import Chips
from model_backend.training.image_tensors import to_tensor

_LEVEL = 0
_SIDES = ("one", "other")
_LIGHT = 0.0  # brightness is one of the things that may tell them apart


def accuracy(one: Windows, other: Windows, steps: int, seed: int) -> float:
    """Return the share of windows whose set is told right; both sets count alike."""
    halves = [
        _halves(windows, np.random.default_rng([seed, side])) for side, windows in enumerate((one, other))
    ]
    learnt = [windows.pixels[half] for windows, half in zip((one, other), halves, strict=True)]
    chips = {_LEVEL: _chips(learnt)}
    options = judge.JudgeOptions(steps, seed=seed, shares={_LEVEL: 1.0}, light=_LIGHT)
    network = judge.train(chips, judge.labels_of(chips), options)
    right = []
    for name, windows, half in zip(_SIDES, (one, other), halves, strict=True):
        images = to_tensor(windows.pixels[~half].transpose(0, 3, 1, 2), CPU)
        right.append(float(np.mean([said == name for said in network.classes_of(images, _LEVEL)])))
    return float(np.mean(right))


def pattern_alone(pixels: UInt8Array) -> UInt8Array:
    """Return windows (n, s, s, 3) of one mean and one deviation in every band: only patterns differ."""
    values = pixels.astype(np.float64)
    mean, deviation = values.mean((1, 2), keepdims=True), values.std((1, 2), keepdims=True)
    alike: UInt8Array = np.rint(128 + 40 * (values - mean) / (deviation + 1)).clip(0, 255).astype(np.uint8)
    return alike


def _halves(windows: Windows, rng: np.random.Generator) -> BoolArray:
    """Mark the windows of a random half of the images or scenes."""
    origins = np.unique(windows.origins)
    chosen = rng.permutation(origins)[: len(origins) // 2]
    return np.isin(windows.origins, chosen)


def _chips(sides: list[UInt8Array]) -> Chips:
    labels = np.concatenate([np.full(len(pixels), number, np.int64) for number, pixels in enumerate(sides)])
    files = tuple(str(number) for number in range(len(labels)))
    return Chips(_LEVEL, np.concatenate(sides), labels, _SIDES, files)
