"""Images to be judged, real ones from chips and generated ones, with the names of their classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from model_backend.training.data_sets import land_cover
from model_backend.training.image_tensors import to_bytes, to_tensor

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Images:
    """Images (n, 3, 64, 64) in [-1, 1] of one level with the names of their classes."""

    level: int
    pixels: Tensor
    names: list[str]


def central_windows(chips: land_cover.Chips) -> Images:
    """Return the window in the middle of every chip."""
    pixels = to_tensor(land_cover.centre(chips.pixels).transpose(0, 3, 1, 2), CPU)
    return Images(chips.level, pixels, [chips.classes[label] for label in chips.labels])


def random_windows(chips: land_cover.Chips, count: int) -> Images:
    """Return so many windows as training sees them, always the same ones."""
    sampler = land_cover.WindowSampler({chips.level: chips}, {chips.level: 1.0})
    windows = sampler.draw(count, np.random.default_rng(3))
    return Images(chips.level, to_tensor(windows.pixels, CPU), list(windows.names))


def percent(share: Any) -> float:
    """Return a share of one as a percentage with one decimal."""
    return round(100 * float(share), 1)


def write_gallery(path: Path, made: Images, held: Images) -> None:
    """Write a picture of generated (left) and real held-out images (right), a row for every class."""
    names = sorted(set(made.names))
    each, tile, gap, label = 6, 64, 3, 130
    canvas = Image.new("RGB", (label + (2 * each * (tile + gap)) + 24, len(names) * (tile + gap)), "white")
    pen = ImageDraw.Draw(canvas)
    for row, name in enumerate(names):
        top = row * (tile + gap)
        pen.text((4, top + 26), name, fill="black")
        left = label
        for images in (made, held):
            picks = [index for index, other in enumerate(images.names) if other == name][:each]
            for pixels in to_bytes(images.pixels[picks]):
                canvas.paste(Image.fromarray(pixels), (left, top))
                left += tile + gap
            left = label + each * (tile + gap) + 24
    canvas.save(path, quality=92, subsampling=0)
