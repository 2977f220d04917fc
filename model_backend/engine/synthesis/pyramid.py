"""Images, label maps and masks at half their size, in whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import BoolArray, Int32Array, Int64Array, UInt8Array
from model_backend.engine.synthesis.room import room

UNUSABLE = 255  # label of pixels that nothing may be taken from


def half(image: UInt8Array) -> UInt8Array:
    """Halve an image, (height, width, bands) with even sides, by the filter 1 3 3 1; borders are repeated."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), "edge").astype(np.uint32)
    rows: NDArray[Any] = sum(k * padded[j : j + height : 2] for j, k in enumerate((1, 3, 3, 1)))  # type: ignore[assignment]
    both: NDArray[Any] = sum(k * rows[:, j : j + width : 2] for j, k in enumerate((1, 3, 3, 1)))  # type: ignore[assignment]
    return ((both + 32) >> 6).astype(np.uint8)


def half_with_lines(image: UInt8Array) -> UInt8Array:
    """Halve an image whose fourth band is the strength of lines, so that thin ones outlive coarse levels."""
    result = half(image)
    lines = image[..., 3].astype(np.int32)
    four = [lines[row::2, col::2] for row in (0, 1) for col in (0, 1)]
    if lines.any():
        result[..., 3] = (12 * np.maximum.reduce(four) + np.add.reduce(four)) // 16
    return result


def half_labels(labels: UInt8Array) -> UInt8Array:
    """Halve a label map: a quarter's last pixel counts, and one unusable pixel makes it unusable."""
    four = np.stack([labels[row::2, col::2] for row in (0, 1) for col in (0, 1)])
    return np.where(four.max(0) == UNUSABLE, UNUSABLE, four[3]).astype(np.uint8)


def with_lines(image: UInt8Array, gain: int) -> UInt8Array:
    """Append to RGB how far a pixel stands out of the 5 x 5 around it (roads, shores), times ``gain``."""
    light = image[..., :3].astype(np.int32).sum(-1)
    height, width = light.shape
    padded = np.pad(light, 2, "edge")
    around = sum(padded[j : j + height, i : i + width] for j in range(5) for i in range(5))
    strength = np.minimum(255, np.abs(25 * light - around) * gain // 75)
    return np.concatenate([image[..., :3], strength[..., None].astype(np.uint8)], -1)


def grown(mask: BoolArray, steps: int) -> BoolArray:
    """Widen a mask by so many pixels, diagonals included; at its edges it goes on as it is."""
    for _ in range(steps):
        padded = np.pad(mask, 1, "edge")
        mask = padded[:-2] | padded[1:-1] | padded[2:]
        mask = mask[:, :-2] | mask[:, 1:-1] | mask[:, 2:]
    return mask


def doubled(coarse: Int32Array, rows: Int64Array, cols: Int64Array) -> Int32Array:
    """Give pixels of the finer level the sources of the coarser one, twice as far; odd pixels lie one further
    on.

    ``coarse`` is (height, width, 2), rows and columns count from its first pixel, doubled.
    """
    found: Int32Array = room((len(rows), len(cols), 2), np.int32)
    np.take(coarse.take(rows >> 1, 0), cols >> 1, 1, found, "clip")  # "raise" would make a copy first
    found *= 2
    found[..., 0] += (rows & 1).astype(np.int32)[:, None]
    found[..., 1] += (cols & 1).astype(np.int32)
    return found
