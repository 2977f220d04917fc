"""Contact sheets of a bank: every image beside its labels, by family and kind, to be judged by eye."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from model_backend.arrays import UInt8Array
from model_backend.models.banks.bank import UNUSABLE, Bank
from model_backend.models.banks.index import Chip

_SIDE = 128  # of an image on a sheet
_LINE = 12
_WIDE = 6  # images in a row
_GOLDEN = 0.381966  # hues of neighbouring labels lie far apart


def write(bank: Bank, folder: Path) -> None:
    """Write one PNG for every kind of every family."""
    folder.mkdir(parents=True, exist_ok=True)
    for family in bank.families:
        for kind in family.kinds:
            chips = bank.of(family.id, kind)
            sheet(bank, chips).save(folder / f"{family.id}-{kind.replace(' ', '-')}.png")


def sheet(bank: Bank, chips: Sequence[Chip]) -> Image.Image:
    """Draw images, each with its labels to the right, its id above."""
    rows = -(-len(chips) // _WIDE)
    paper = Image.new("RGB", (_WIDE * (2 * _SIDE + 4), rows * (_SIDE + _LINE)), "white")
    draw = ImageDraw.Draw(paper)
    for place, chip in enumerate(chips):
        left, top = place % _WIDE * (2 * _SIDE + 4), place // _WIDE * (_SIDE + _LINE)
        found = bank.pixels(chip)
        draw.text((left, top), chip.id, fill="black")
        for offset, pixels in ((0, found.rgb), (_SIDE, overlaid(found.rgb, found.labels))):
            small = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
            paper.paste(small, (left + offset, top + _LINE))
    return paper


def overlaid(rgb: UInt8Array, labels: UInt8Array) -> UInt8Array:
    """Tint an image by its labels; what is not to be used is black."""
    tints = np.zeros((256, 3), np.float64)
    for label in range(UNUSABLE):
        turn = 2 * np.pi * (label * _GOLDEN % 1 + np.arange(3) / 3)
        tints[label] = 127.5 + 127.5 * np.cos(turn)
    mixed = 0.5 * rgb + 0.5 * tints[labels]
    return np.where(labels[..., None] == UNUSABLE, 0, np.rint(mixed)).astype(np.uint8)
