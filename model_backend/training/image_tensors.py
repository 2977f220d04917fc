"""Images as networks have them, tensors (n, 3, h, w) in [-1, 1], to and from bytes, and sheets of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor


def write_sheet(path: Path, images: Tensor, columns: int, zoom: int = 1) -> None:
    """Write images (n, 3, h, w) in [-1, 1] as one PNG of ``columns`` columns, every pixel ``zoom`` wide."""
    pixels = to_bytes(images)
    count, height, width, _ = pixels.shape
    rows = -(-count // columns)
    canvas = np.full((rows * (height + 2), columns * (width + 2), 3), 255, np.uint8)
    for index, image in enumerate(pixels):
        row, col = divmod(index, columns)
        top, left = row * (height + 2), col * (width + 2)
        canvas[top : top + height, left : left + width] = image
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(canvas)
    picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST).save(path)


def to_bytes(images: Tensor) -> NDArray[np.uint8]:
    """Return images (n, 3, h, w) in [-1, 1] as (n, h, w, 3) uint8, rounded."""
    scaled = (images.detach().float().clamp(-1, 1) + 1) * 127.5
    return scaled.round().byte().permute(0, 2, 3, 1).cpu().numpy()


def to_tensor(pixels: NDArray[np.uint8], where: torch.device) -> Tensor:
    """Return bytes (n, 3, h, w) as float32 in [-1, 1] on a device."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).to(where).float() / 127.5 - 1
