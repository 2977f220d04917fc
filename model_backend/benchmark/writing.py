"""A scene of the benchmark goes to disk as a worker's does: its blocks, then the file they are joined to.

Needs rasterio, so it is asked only where that can be imported. Knows recipes and files; measures nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from model_backend.arrays import RgbImage
from model_backend.engine.blocks import Blocks
from model_backend.models.card import ModelCard
from model_backend.raster.files.provenance import Provenance
from model_backend.raster.files.scene_writer import write_block, write_scene
from model_backend.schemas import GroundSampleDistance, Plan, Recipe


def write(card: ModelCard, recipe: Recipe, pixels: RgbImage) -> None:
    """Write the pixels of a recipe, (3, rows, columns), into a folder that is removed. Raises OSError."""
    grid = recipe.grid
    with TemporaryDirectory() as folder:
        files = []
        for number, part in enumerate(Blocks.of(grid, card.engine, card.vae_factor)):
            row, col = part.row - grid.row, part.col - grid.col
            files.append((part, Path(folder) / f"{number}.tif"))
            cut = pixels[:, row : row + part.height, col : col + part.width]
            write_block(files[-1][1], cut, part, recipe.frame)
        made = Provenance(card.title, card.licence, card.attribution, "", False, datetime.now(UTC), True)
        write_scene(Path(folder) / "scene.tif", files, _plan(recipe), recipe, made)


def _plan(recipe: Recipe) -> Plan:
    """Return the plan of a recipe, as far as a file needs it; its frame has pixels of one metre."""
    frame, box = recipe.frame, recipe.grid
    left, top = frame.anchor[0] + box.col, frame.anchor[1] - box.row
    return Plan(
        recipe=recipe,
        variants=1,
        crs=frame.crs,
        crs_name=frame.crs,
        width=box.width,
        height=box.height,
        transform=[1, 0, left, 0, -1, top],
        bbox=[left, top - box.height, left + box.width, top],
        gsd=GroundSampleDistance(x=1, y=1),
        level=recipe.level,
        windows=0,
        evaluations=0,
        seconds=None,
        bytes=0,
        warnings=[],
    )
