"""The raster of sources: a GeoTIFF that says for every pixel of a result which image it was copied from.

On the grid of the result, three bands of whole numbers: the number of an image, and column and row in it,
counted from 0 at its upper left pixel; all three are -1 where nothing was copied. What the numbers mean says
the metadata domain SOURCES, an entry of JSON for each. Knows files; knows no example images.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.windows import Window

from model_backend.arrays import BoolArray, Int32Array
from model_backend.raster.files.edit_writer import placed
from model_backend.raster.files.mosaic import Bands
from model_backend.raster.files.provenance import Provenance, source_tags
from model_backend.raster.files.scene_writer import cog_options, scratch, staging, write_joined
from model_backend.raster.files.source import SEALED, Source
from model_backend.raster.georeference.grids import slices_in
from model_backend.schemas import Box, Recipe

NOWHERE = -1
SOURCES = Bands(("source", "column", "row"), "int32", NOWHERE)

Images = Sequence[Mapping[str, Any]]  # ``number`` and whatever is to be said of each


def write_scene_sources(
    path: Path, blocks: Sequence[tuple[Box, Path]], recipe: Recipe, images: Images, provenance: Provenance
) -> None:
    """Join blocks that were written with the bands SOURCES, as ``write_scene`` joins those of the scene.

    Where a scene is resampled into another CRS, a pixel has the source of the one nearest to it.
    """
    write_joined(path, blocks, recipe, source_tags(recipe, images, provenance), SOURCES)


def write_edit_sources(
    path: Path,
    source: Source,
    patch: tuple[Box, BoolArray, Int32Array],
    recipe: Recipe,
    images: Images,
    provenance: Provenance,
) -> None:
    """Write where the painted pixels of a raster were copied from, whole or not at all.

    ``patch`` is a box of the raster, which of its pixels are painted, and of each of those number, column and
    row, (3, n). Of the rest of the raster no tile is written.
    """
    at, paint, found = patch
    places = np.full((3, at.height, at.width), NOWHERE, np.int32)
    places[:, paint] = found
    with rasterio.Env(**SEALED), scratch(path) as (stage, _, part):
        with rasterio.open(source.path, driver="GTiff") as old:
            place = placed(source, old)
        with rasterio.open(stage, "w", **staging(SOURCES), **place, sparse_ok=True) as file:
            file.write(places, window=Window.from_slices(*slices_in(at, source.box)))
            file.descriptions = SOURCES.names
            for domain, tags in source_tags(recipe, images, provenance).items():
                file.update_tags(ns=domain or None, **tags)
        rasterio.shutil.copy(stage, part, **cog_options(SOURCES), sparse_ok="YES")
        os.replace(part, path)
