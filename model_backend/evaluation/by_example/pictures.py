"""Sheets to look at: pairs of real and generated land without labels, and fills before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model_backend.arrays import UInt8Array
from model_backend.evaluation.by_example.fills import Fill

_TILE = 128
_GAP, _BETWEEN = 3, 14
COLUMNS = 5
_QUALITY = 88


Row = tuple[str, Sequence[UInt8Array], Sequence[UInt8Array]]


def write_pairs(path: Path, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Write a row of pairs for each (name, real, generated); return which side is which, row by row.

    The side is drawn by lot, so that a reader can guess first.
    """
    lots = np.random.default_rng(8)
    width = COLUMNS * (2 * _TILE + _GAP) + (COLUMNS - 1) * _BETWEEN
    sheet = Image.new("RGB", (width, len(rows) * (_TILE + _BETWEEN) - _BETWEEN), "white")
    key = []
    for row, (name, real, made) in enumerate(rows):
        sides = []
        for column in range(COLUMNS):
            made_left = bool(lots.integers(2))
            left = column * (2 * _TILE + _GAP + _BETWEEN)
            pair = (made[column], real[column]) if made_left else (real[column], made[column])
            for number, one in enumerate(pair):
                place = left + number * (_TILE + _GAP), row * (_TILE + _BETWEEN)
                sheet.paste(Image.fromarray(_middle(one)), place)
            sides.append("left" if made_left else "right")
        key.append({"row": name, "generated": sides})
    _save(path, sheet)
    return key


def write_fills(path: Path, fills: Sequence[Fill], columns: int = 4) -> None:
    """Write land with its mask in white, and filled, side by side."""
    tile = 160
    rows = -(-len(fills) // columns)
    step = 2 * tile + _GAP + _BETWEEN
    sheet = Image.new("RGB", (columns * step - _BETWEEN, rows * (tile + _BETWEEN) - _BETWEEN), "white")
    for number, one in enumerate(fills):
        top, left = number // columns * (tile + _BETWEEN), number % columns * step
        for side, land in enumerate((np.where(one.mask, 255, one.land[:3]), one.filled[:3])):
            shown = _around(land.astype(np.uint8).transpose(1, 2, 0), one, tile)
            sheet.paste(Image.fromarray(shown), (left + side * (tile + _GAP), top))
    _save(path, sheet)


def _middle(pixels: UInt8Array) -> UInt8Array:
    row, col = ((side - _TILE) // 2 for side in pixels.shape[:2])
    return pixels[row : row + _TILE, col : col + _TILE]


def _around(land: UInt8Array, fill: Fill, tile: int) -> UInt8Array:
    """Return the part of a picture with the mask in its middle, as far as it goes."""
    middles = [int(np.flatnonzero(fill.mask.any(axis)).mean()) for axis in (1, 0)]
    row, col = (
        max(0, min(middle - tile // 2, side - tile))
        for middle, side in zip(middles, land.shape[:2], strict=True)
    )
    return np.ascontiguousarray(land[row : row + tile, col : col + tile])


def _save(path: Path, sheet: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=_QUALITY)
