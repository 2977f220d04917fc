"""The preview of a scene in blocks: thumbnails of those that are finished, and of those being made.

It is transparent where nothing is known yet, and half so where a block is half made, so that it hides no map.

Every block keeps its thumbnail beside its pixels, so that whoever works on the scene, after whatever death,
sees what all have made. Knows boxes and a job's folder; does not know how often a picture may be written
(that is the reporter's).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_backend.arrays import UInt8Array
from model_backend.engine.blocks import Blocks

SIDE = 1024  # pixels, at most
THUMBNAIL = "thumb.png"
FIRST_LOOK = 200  # opacity of what is only a first look
SKETCHED = 130  # of colours of what will lie where


class Preview:
    """The preview of a scene; ``first`` is the number of the scene's first block in the job."""

    def __init__(self, folder: Path, blocks: Blocks, first: int) -> None:
        self._folder, self._blocks, self._first = folder, blocks, first
        grid = blocks.grid
        self._scale = min(1.0, SIDE / max(grid.width, grid.height))
        size = (self._along(grid.height), self._along(grid.width))
        self._picture = np.zeros((*size, 4), np.uint8)
        self._seen: dict[str, int] = {}  # time of the thumbnail last painted, by attempt

    def begin(self, rgb: UInt8Array, opacity: int) -> None:
        """Show ``rgb`` (height, width, 3), what is known of all of the scene, where nothing is made yet."""
        height, width = self._picture.shape[:2]
        image = Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC)
        self._picture[..., :3] = np.asarray(image)
        self._picture[..., 3] = opacity
        self._seen.clear()

    def keep(self, attempt: Path, rgb: NDArray[np.uint8], share: float = 1.0) -> None:
        """Make ``rgb`` (height, width, 3), all of a block, its thumbnail; ``share`` of the work is done."""
        number = int(attempt.name.partition("-")[0])
        _, _, width, height = self._place(number)
        image = Image.fromarray(rgb).resize((width, height), Image.Resampling.BOX, reducing_gap=2.0)
        image.putalpha(round(255 * share))
        part = attempt / f"{THUMBNAIL}.part"
        image.save(part, "PNG", compress_level=1)
        try:
            os.replace(part, attempt / THUMBNAIL)
        except PermissionError:  # Windows, while another worker reads it: the next one will do
            part.unlink()

    def picture(self) -> NDArray[np.uint8]:
        """Return the scene as far as it is made, (height, width, 4): RGB and opacity."""
        for attempt in os.scandir(self._folder):
            number, _, which = attempt.name.partition("-")
            if which.isdecimal() and 0 <= int(number) - self._first < len(self._blocks):
                self._paint(attempt.path, int(number))
        return self._picture

    def _paint(self, attempt: str, number: int) -> None:
        path = os.path.join(attempt, THUMBNAIL)
        try:
            changed = os.stat(path).st_mtime_ns
            if self._seen.get(attempt) == changed:
                return
            with Image.open(path) as image:
                left, top, width, height = self._place(number)
                pixels = np.asarray(image.convert("RGBA").resize((width, height)))
        except FileNotFoundError:  # not yet, or not any more
            return
        self._picture[top : top + height, left : left + width] = pixels
        self._seen[attempt] = changed

    def _place(self, number: int) -> tuple[int, int, int, int]:
        """Return left, top, width and height of a block in the picture."""
        box, grid = self._blocks[number - self._first], self._blocks.grid
        left, top = int((box.col - grid.col) * self._scale), int((box.row - grid.row) * self._scale)
        right = self._along(box.col - grid.col + box.width)
        below = self._along(box.row - grid.row + box.height)
        return left, top, right - left, below - top

    def _along(self, pixels: int) -> int:
        return max(1, round(pixels * self._scale))


def laid_over(known: Path | None, made: Path) -> None:
    """Change the preview ``made`` so that it shows what ``known`` does where that knows more of a scene."""
    if known is None:
        return
    with Image.open(known) as below, Image.open(made) as above:
        if below.mode != "RGBA" or above.mode != "RGBA" or below.size != above.size:
            return
        old, new = np.asarray(below), np.asarray(above)
    picture = np.where(new[..., 3:] >= old[..., 3:], new, old)
    Image.fromarray(picture).save(made, "PNG", compress_level=1)
