"""A scene of the benchmark goes to disk as a worker's does: its blocks, then the file they are joined to.

Needs rasterio, so it is asked only where that can be imported. Knows recipes and files; measures nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from model_backend.arrays import RgbImage
from model_backend.engine.blocks import Blocks
from model_backend.engine.scene import Request
from model_backend.models.card import ModelCard
from model_backend.raster.files.provenance import Provenance
from model_backend.raster.files.scene_writer import write_block, write_scene
from model_backend.schemas import Box, Frame, GroundSampleDistance, Plan, Recipe

_FRAME = Frame(crs="EPSG:32632", pixel_size=["1", "1"], anchor=[500_000, 5_200_000])


def write(card: ModelCard, request: Request, box: Box, pixels: RgbImage) -> None:
    """Write the pixels of a box, (3, rows, columns), into a folder that is removed. Raises OSError."""
    plan = _plan(card, request, box)
    with TemporaryDirectory() as folder:
        files = []
        for number, part in enumerate(Blocks.of(box, card.engine, card.vae_factor)):
            row, col = part.row - box.row, part.col - box.col
            files.append((part, Path(folder) / f"{number}.tif"))
            cut = pixels[:, row : row + part.height, col : col + part.width]
            write_block(files[-1][1], cut, part, _FRAME)
        made = Provenance(card.title, card.licence, card.attribution, "", False, datetime.now(UTC), True)
        write_scene(Path(folder) / "scene.tif", files, plan, plan.recipe, made)


def _plan(card: ModelCard, request: Request, box: Box) -> Plan:
    """Return the plan of a scene, as far as a file needs it."""
    recipe = Recipe(
        model=card.id,
        revision=card.revision_or_hash,
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        frame=_FRAME,
        grid=box,
        canvas=request.canvas or "ground",
        level=request.level,
        seed=request.seed,
        steps=request.steps,
        sampler=request.sampler,
        guidance=request.guidance,
    )
    left, top = _FRAME.anchor[0] + box.col, _FRAME.anchor[1] - box.row
    return Plan(
        recipe=recipe,
        variants=1,
        crs=_FRAME.crs,
        crs_name=_FRAME.crs,
        width=box.width,
        height=box.height,
        transform=[1, 0, left, 0, -1, top],
        bbox=[left, top - box.height, left + box.width, top],
        gsd=GroundSampleDistance(x=1, y=1),
        level=request.level,
        windows=0,
        evaluations=0,
        seconds=None,
        bytes=0,
        warnings=[],
    )
