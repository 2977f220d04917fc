"""An edit or extension is planned before its raster is sent: by the grid alone, with the same cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from model_backend import processes
from model_backend.errors import InvalidInput, TooLarge
from model_backend.schemas import Plan
from model_backend.settings import Settings
from tests.support.backend.planning import plan_context, planned
from tests.support.backend.raster_files import polygon, write

pytestmark = pytest.mark.fast

SIDE = 700
GRIDS = {
    "metres": ("EPSG:32632", Affine(1, 0, 500_000, 0, -1, 5_200_000)),
    "degrees": ("EPSG:4326", Affine(1.5e-5, 0, 9, 0, -1e-5, 47)),
    "turned": ("EPSG:32632", Affine(0.8, 0.6, 500_000, 0.6, -0.8, 5_200_000)),
}
RATE = 0.25


@pytest.fixture(scope="module")
def limits(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("data"), model="text2earth-mini")


def unsent(path: Path) -> dict[str, Any]:
    """Return what is told of a raster before it is sent."""
    with rasterio.open(path) as file:
        grid = {"crs": file.crs.to_string(), "transform": list(file.transform)[:6]}
        return grid | {"width": file.width, "height": file.height, "bands": file.count}


def answer(limits: Settings, process: str, inputs: dict[str, Any], raster: dict[str, Any]) -> Plan:
    plan = processes.get("plan")
    asked = plan.parse({"process": process, "inputs": inputs, "raster": raster})
    return Plan.model_validate(plan.answer(asked, plan_context(limits, RATE))["plan"])


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("model", ["text2earth-mini", "open-land", None])
def test_cost_and_grid_are_those_of_the_edit(limits, tmp_path, grid, model):
    crs, transform = GRIDS[grid]
    pixels = np.random.default_rng(1).integers(1, 255, (4, SIDE, SIDE), np.uint8)
    path = write(tmp_path / "source.tif", pixels, crs=crs, transform=transform)
    shape, mask_crs = polygon(path, [(300, 280), (420, 290), (400, 400), (310, 390)])
    inputs = {"mask": {"geojson": shape, "crs": mask_crs}, "prompt": "a lake", "seed": 1}
    inputs |= {"model": model} if model else {"prompt": ""}
    told = answer(limits, "edit", inputs, unsent(path))
    source = {"source": {"upload": "0" * 32}}
    real = planned("edit", inputs | source, limits, RATE, rasters={"source": path})
    assert (told.seconds, told.evaluations, told.windows) == (real.seconds, real.evaluations, real.windows)
    assert (told.gsd, told.level, told.crs) == (real.gsd, real.level, real.crs)
    assert told.recipe.frame == real.recipe.frame
    assert told.recipe.canvas == real.recipe.canvas
    assert told.seconds > 0


def test_new_land_too(limits, tmp_path):
    crs, transform = GRIDS["metres"]
    path = write(tmp_path / "source.tif", np.ones((3, SIDE, SIDE), np.uint8), crs=crs, transform=transform)
    extent = {"bbox": [500_500.0, 5_199_500.0, 500_800.0, 5_200_000.0], "crs": crs}
    inputs = {"prompt": "a forest", "extent": extent, "seed": 1}
    told = answer(limits, "extend", inputs, unsent(path))
    source = {"source": {"upload": "0" * 32}}
    real = planned("extend", inputs | source, limits, RATE, rasters={"source": path})
    assert (told.seconds, told.recipe.canvas, told.width) == (real.seconds, real.recipe.canvas, real.width)


def test_what_cannot_be_is_refused_by_its_field(limits):
    raster = {"crs": "EPSG:32632", "transform": [1, 0, 500_000, 0, -1, 5_200_000], "width": 9, "height": 9}
    shape = {
        "type": "Polygon",
        "coordinates": [[[500_001, 5_199_999], [500_003, 5_199_999], [500_001, 5_199_994]]],
    }
    mask = {"geojson": shape, "crs": "EPSG:32632"}
    inputs = {"mask": mask, "prompt": "a lake"}
    wrong = [
        ("raster.crs", inputs, raster | {"crs": "nonsense"}),
        ("raster.transform", inputs, raster | {"transform": [1, 0, 0, 0, 1, 0]}),
        ("raster", inputs | {"source": {"upload": "0" * 32}}, raster),
        ("inputs.bands", inputs | {"bands": [4]}, raster),
    ]
    for field, given, told in wrong:
        with pytest.raises(InvalidInput) as refusal:
            answer(limits, "edit", given, told)
        assert refusal.value.field == field
    with pytest.raises(InvalidInput):
        answer(limits, "generate", {"prompt": "", "extent": {"bbox": [8, 47, 8.01, 47.01]}}, raster)
    with pytest.raises(TooLarge):
        answer(limits, "edit", inputs, raster | {"width": 10**6, "height": 10**6})
