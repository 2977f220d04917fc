"""Random masks of training windows: everything, strokes, boxes, half planes; land set into other land.

1 is to be painted, 0 is kept. Knows numpy and Pillow only.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from model_backend.arrays import UInt8Array

Mask = UInt8Array

EVERYTHING = 0.55
"""Share of windows that are generated from nothing, as ``generate`` does."""
_LARGE = 0.25
_FADE = 6


def draw(count: int, size: int, rng: np.random.Generator) -> Mask:
    """Return random training masks (count, size, size) of 0 and 1."""
    return np.stack([_any(size, rng) if rng.random() > EVERYTHING else _full(size) for _ in range(count)])


def large(size: int, rng: np.random.Generator) -> Mask:
    """Return a random mask (size, size) that leaves at least a fifth and covers at least a quarter."""
    while True:
        mask = _any(size, rng)
        if _LARGE <= mask.mean() <= 0.8:
            return mask


def set_in(land: Mask, around: Mask, mask: Mask) -> Mask:
    """Return ``around`` (3, s, s) with ``land`` where ``mask`` (s, s) is 1, fading over 6 pixels inside it.

    What is kept stays exact. A small mask keeps its own surroundings: it would be all fade.
    """
    if mask.mean() < _LARGE:
        return land
    blurred = np.asarray(Image.fromarray(mask * 255).filter(ImageFilter.BoxBlur(_FADE)), np.float32) / 255
    share = (2 * blurred - 1).clip(0, 1) * mask
    return np.rint(share * land + (1 - share) * around).astype(np.uint8)


def _full(size: int) -> Mask:
    return np.ones((size, size), np.uint8)


def _any(size: int, rng: np.random.Generator) -> Mask:
    kind = rng.integers(4)
    if kind == 0:
        return _strokes(size, rng)
    if kind == 1:
        return _boxes(size, rng)
    if kind == 2:
        return _half_plane(size, rng)
    return 1 - _boxes(size, rng)


def _strokes(size: int, rng: np.random.Generator) -> Mask:
    picture = Image.new("L", (size, size))
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.integers(1, 4)):
        width = int(rng.integers(size // 10, size // 3))
        points = rng.integers(0, size, (rng.integers(1, 5), 2))
        points = np.repeat(points, 2, 0) if len(points) == 1 else points
        pen.line([tuple(map(int, point)) for point in points], 1, width)
        for x, y in points:
            pen.ellipse([int(x - width / 2), int(y - width / 2), int(x + width / 2), int(y + width / 2)], 1)
    return np.array(picture)


def _boxes(size: int, rng: np.random.Generator) -> Mask:
    mask = np.zeros((size, size), np.uint8)
    for _ in range(rng.integers(1, 3)):
        height, width = rng.integers(size // 5, size * 7 // 8, 2)
        top, left = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
        mask[top : top + height, left : left + width] = 1
    return mask


def _half_plane(size: int, rng: np.random.Generator) -> Mask:
    angle = rng.choice([0.0, 0.25, 0.5, 0.75]) * 2 * np.pi if rng.random() < 0.6 else rng.random() * 2 * np.pi
    y, x = np.mgrid[:size, :size] / size - 0.5
    beyond = x * np.cos(angle) + y * np.sin(angle) > rng.uniform(-0.3, 0.3)
    return np.asarray(beyond, np.uint8)
