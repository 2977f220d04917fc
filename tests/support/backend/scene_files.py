"""Scene files as the backend writes them, with pixels of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from model_backend.engine.blocks import Blocks
from model_backend.raster.files.provenance import Provenance
from model_backend.raster.files.scene_writer import write_block, write_scene
from model_backend.schemas import Box, Frame, GroundSampleDistance, OutputGrid, Plan, Recipe

MADE = Provenance("Tiny", "none", "Nobody", "profile", False, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def plan_of(width: int, height: int, prompt: str = "a lake", resampled: OutputGrid | None = None) -> Plan:
    """Return the plan of a scene at (-100, 50) in UTM 32 N, 0.5 m."""
    recipe = Recipe(
        model="tiny",
        revision="0" * 40,
        prompt=prompt,
        negative_prompt="",
        frame=Frame(crs="EPSG:32632", pixel_size=["0.5", "0.5"], anchor=[0.0, 0.0]),
        grid=Box(col=1_000_000, row=-10_400_000, width=width, height=height),
        canvas="ground",
        level=18,
        seed=3,
        steps=4,
        sampler="euler",
        guidance=4.0,
        resampled=resampled,
    )
    west, north = 500_000.0, 5_200_000.0
    return Plan(
        recipe=recipe,
        variants=1,
        crs="EPSG:32632",
        crs_name="WGS 84 / UTM zone 32N",
        width=width,
        height=height,
        transform=[0.5, 0.0, west, 0.0, -0.5, north],
        bbox=[west, north - height / 2, west + width / 2, north],
        gsd=GroundSampleDistance(x=0.5, y=0.5),
        level=18,
        windows=1,
        evaluations=1,
        seconds=None,
        bytes=1,
        warnings=[],
    )


def noise(width: int, height: int) -> np.ndarray:
    """Return random pixels."""
    return np.random.default_rng(1).integers(0, 256, (3, height, width), dtype=np.uint8)


def write_pixels(path: Path, pixels: np.ndarray, plan: Plan, recipe: Recipe, made: Provenance) -> None:
    """Write a scene in blocks of at most 512 pixels, and join them."""
    with TemporaryDirectory(dir=path.parent.parent) as folder:
        blocks = []
        for number, box in enumerate(Blocks.cut(recipe.grid, 512)):
            row, col = box.row - recipe.grid.row, box.col - recipe.grid.col
            part = pixels[:, row : row + box.height, col : col + box.width]
            blocks.append((box, Path(folder) / f"{number}.tif"))
            write_block(blocks[-1][1], part, box, recipe.frame)
        write_scene(path, blocks, plan, recipe, made)
