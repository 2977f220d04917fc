"""A bank of a few made-up images, to test land by example with: one colour and pattern for each kind of land.

``python -m tests.support.backend.tiny_bank FOLDER [NAME]`` builds one.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from model_backend.models.card import ModelCard

SIDE = 96
COLOURS = {
    "water": (20, 40, 90),
    "forest": (30, 80, 30),
    "farmland": (170, 150, 80),
    "grassland": (110, 160, 70),
    "houses": (190, 90, 70),
    "town": (160, 140, 140),
    "road": (90, 90, 95),
    "sand": (230, 210, 160),
}


def build_bank(folder: Path, name: str = "tiny-bank") -> Path:
    """Write a bank of two images of every kind, for pixels of 0.25 to 60 m; return its folder."""
    place = folder / name
    place.mkdir(parents=True)
    chips = []
    with zipfile.ZipFile(place / "chips.zip", "w") as images:
        for number, kind in enumerate(list(COLOURS) * 2):
            file = f"{number:02d}.png"
            buffer = io.BytesIO()
            Image.fromarray(picture(kind, number)).save(buffer, "PNG")
            images.writestr(file, buffer.getvalue())
            chips.append(
                {"id": f"{number:02d}", "family": "small", "gsd": 1.0, "kinds": [kind], "words": [kind]}
                | {"source": "made up", "licence": "CC0-1.0", "image": file, "kind": kind}
            )
    family = {"id": "small", "title": "Made up", "gsd": 1.0, "finest": 0.25, "coarsest": 60.0}
    index = {"kinds": list(COLOURS), "families": [family | {"kinds": list(COLOURS)}], "chips": chips}
    (place / "chips.json").write_text(json.dumps(index))
    tiny_bank_card(name).write(place)
    return place


def tiny_bank_card(name: str = "tiny-bank") -> ModelCard:
    """Return the bank's card."""
    return ModelCard(
        id=name,
        title="Tiny bank",
        pipeline="examples",
        vae_factor=1,
        gsd=(0.25, 60.0),
        licence="CC0-1.0",
        non_commercial=False,
        attribution="Made up for tests",
    )


def picture(kind: str, seed: int) -> np.ndarray:
    """Return an image (96, 96, 3) of a kind: its colour with grain and stripes."""
    chance = np.random.default_rng(seed)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    stripes = 12 * (((rows + (seed % 3) * cols) // 6) % 2)[..., None]
    return (
        (np.array(COLOURS[kind]) + stripes + chance.normal(0, 5, (SIDE, SIDE, 3)))
        .clip(0, 255)
        .astype(np.uint8)
    )


def share_like(image: np.ndarray, kind: str, near: int = 45) -> float:
    """Return the share of pixels of an image (height, width, 3) whose colour is that of a kind."""
    apart = np.abs(image.astype(int) - np.array(COLOURS[kind]) - 6).max(-1)
    return float((apart < near).mean())


if __name__ == "__main__":
    print(build_bank(Path(sys.argv[1]), *sys.argv[2:]))
