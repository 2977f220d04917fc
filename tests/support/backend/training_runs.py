"""Small made-up chips of land cover, and a model that was trained on them for a few steps."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from model_backend.training.data_sets import land_cover
from model_backend.training.process_group import ProcessGroup
from model_backend.training.stages import autoencoder, diffusion
from model_backend.training.trainer import Budget


def write_parquet(path: Path, classes: list[str], size: int, each: int) -> None:
    """Write chips of plain colours with noise, a colour for each class."""
    rng = np.random.default_rng(1)
    rows = []
    for number, label in enumerate(classes):
        for index in range(each):
            colour = 60 + 120 * np.array([number & 1, number >> 1 & 1, number >> 2 & 1])
            pixels = (colour + rng.normal(0, 12, (size, size, 3))).clip(0, 255).astype(np.uint8)
            stored = io.BytesIO()
            Image.fromarray(pixels).save(stored, "WEBP", lossless=True)
            rows.append({"image": stored.getvalue(), "file": f"{label}/{label}_{index}", "label": label})
    pq.write_table(pa.Table.from_pylist(rows), path)


def made_up_chips(folder: Path) -> land_cover.ChipsByLevel:
    """Return chips of three classes at every level; read from files, then from the cache."""
    write_parquet(folder / "eurosat_rgb.parquet", ["Forest", "Residential", "SeaLake"], 64, 40)
    write_parquet(folder / "ucmerced_0m50.parquet", ["beach", "denseresidential", "river"], 156, 40)
    first = land_cover.load(folder, folder / "cache")
    again = land_cover.load(folder, folder / "cache")
    assert all(np.array_equal(first[level].pixels, again[level].pixels) for level in first)
    return first


def train_few_steps(work: Path, chips: land_cover.ChipsByLevel) -> Path:
    """Run a few steps of the stages autoencoder and diffusion in a work folder, and return it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    few = autoencoder.Options(width=16, batch=4)
    autoencoder.Stage(work, few, Budget(None, 3), ProcessGroup()).run(chips)
    options = diffusion.Options(widths=(32, 64), batch=4)
    diffusion.Stage(work, options, Budget(None, 2), ProcessGroup()).run(chips)
    torch.set_num_threads(threads)
    return work
