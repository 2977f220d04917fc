"""The raster of sources: kept beside the blocks of a scene and joined as they are, or written for an edit.

Only made where a plan has it. Which image every pixel is from the engine says; knows files and JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from model_backend.arrays import BoolArray
from model_backend.engine.makers import Origins, SourceImage
from model_backend.jobs.files import is_as_written
from model_backend.raster.files import scene_writer
from model_backend.raster.files.provenance import Provenance
from model_backend.raster.files.source import Source
from model_backend.raster.files.sources_raster import SOURCES, write_edit_sources, write_scene_sources
from model_backend.schemas import Box, Frame, Recipe

_PLACES, _ABOUT = "sources.tif", "sources.json"  # beside the pixels of a block


def keep(folder: Path, origins: Origins, box: Box, frame: Frame) -> None:
    """Keep what the pixels of a block were copied from."""
    digest = scene_writer.write_block(folder / _PLACES, origins.places, box, frame, SOURCES)
    about = {"sha256": digest, "images": origins.images}
    (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")


def is_whole(folder: Path) -> bool:
    """Say whether what was kept of a block is as it was written."""
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        return is_as_written(folder / _PLACES, str(about["sha256"]))
    except (OSError, ValueError, KeyError):
        return False


def join(path: Path, blocks: Sequence[tuple[Box, Path]], recipe: Recipe, made: Provenance) -> None:
    """Join what was kept of all blocks, each in a folder, to the raster of a scene."""
    total: dict[int, SourceImage] = {}
    for _, folder in blocks:
        for members in json.loads((folder / _ABOUT).read_text(encoding="utf-8"))["images"]:
            image = SourceImage(*members)
            before = total[image.number].pixels if image.number in total else 0
            total[image.number] = image._replace(pixels=before + image.pixels)
    images = [total[number]._asdict() for number in sorted(total)]
    write_scene_sources(path, [(box, folder / _PLACES) for box, folder in blocks], recipe, images, made)


def write(
    path: Path,
    source: Source,
    mask: tuple[Box, BoolArray],
    origins: Origins,
    recipe: Recipe,
    made: Provenance,
) -> None:
    """Write what the painted pixels of a raster, those of a mask in a box of it, were copied from."""
    images = [image._asdict() for image in origins.images]
    write_edit_sources(path, source, (*mask, origins.places), recipe, images, made)
