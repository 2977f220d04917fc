"""Scenes that begin with land by example: the same bits however they are made, near to it or to noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_backend.engine import blocks as module
from model_backend.engine.blocks import Blocks
from model_backend.engine.by_example.given import Given
from model_backend.engine.by_example.samples import SampleImage
from model_backend.engine.by_example.scene import ExampleScene
from model_backend.engine.cost import count, count_blocks
from model_backend.engine.diffusion.start import composition_recipe
from model_backend.engine.lattice import canvas_box
from model_backend.engine.progress import SilentListener
from model_backend.engine.scene import Scene
from model_backend.errors import Cancelled
from model_backend.models.banks.bank import Bank
from model_backend.models.land_cover import SAMPLE
from model_backend.models.loader import Model
from model_backend.schemas import Box, Recipe, StartRecipe
from tests.support.backend.recipes import recipe_of
from tests.support.backend.scenes import SHORT, counted
from tests.support.backend.tiny_bank import build_bank
from tests.support.backend.tiny_models import ProgressRecorder, load_tiny

GRID = Box(col=-37, row=21, width=150, height=230)
CANVAS = canvas_box(GRID, SHORT, 8)


@pytest.fixture(scope="module")
def model(tiny: Path) -> Model:
    return load_tiny(tiny, engine=SHORT)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return Bank.read(build_bank(tmp_path_factory.mktemp("banks"), "open-land"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make blocks of 96 pixels, so that small scenes have several."""
    monkeypatch.setattr(module, "TILE", 16)
    monkeypatch.setattr(module, "BATCHES", 1)


def started(strength: float, canvas: Box | None = CANVAS, **changes: Any) -> Recipe:
    start = StartRecipe(bank="open-land", revision="0", strength=strength, gsd=1.0)
    members = {"grid": GRID, "prompt": "a lake in a forest", "sampler": "euler", "start": start} | changes
    return recipe_of(canvas, **members)


def scene_of(model: Model, bank: Bank, recipe: Recipe, samples: Sequence[SampleImage] = ()) -> Scene:
    composition = ExampleScene(bank, composition_recipe(recipe, model.card), 1, Given(samples))
    return Scene(model, recipe, composition=composition)


def red_land() -> SampleImage:
    """A sample of land that no image of the bank looks like."""
    rgb = np.random.default_rng(3).integers(0, 60, (130, 140, 3), np.uint8)
    rgb[..., 0] += 190
    everywhere = np.ones(rgb.shape[:2], np.bool_)
    return SampleImage(rgb, everywhere, everywhere, SAMPLE, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("canvas", "samples"),
    [(CANVAS, ()), (None, ()), (CANVAS, (red_land(),))],
    ids=["extent", "ground", "samples"],
)
def test_blocks_change_no_bit(
    model: Model, bank: Bank, small: None, canvas: Box | None, samples: Sequence[SampleImage]
) -> None:
    """In the order of the scan with forgetting, and alone from the last on, as other workers make them."""
    recipe = started(0.6, canvas)
    whole = scene_of(model, bank, recipe, samples).pixels(GRID, SilentListener())
    blocks = Blocks.of(GRID, SHORT, 8)
    assert len(blocks) > 4
    scan = scene_of(model, bank, recipe, samples)
    for number, box in enumerate(blocks):
        made = scan.pixels(box, SilentListener())
        assert made.tobytes() == part(whole, box).tobytes()
        assert scan.credits()
        if rest := blocks.rest(number + 1):
            scan.keep(rest)
    for number in (len(blocks) - 1,):
        box = blocks[number]
        alone = scene_of(model, bank, recipe, samples).pixels(box, SilentListener())
        assert alone.tobytes() == part(whole, box).tobytes()


@pytest.mark.slow
def test_a_grid_of_the_ground_changes_no_bit(model: Model, bank: Bank) -> None:
    """Scenes of one recipe and other grids agree where they overlap: they join."""
    one = Box(col=0, row=0, width=40, height=40)
    other = Box(col=-300, row=10, width=330, height=30)
    first, second = (
        scene_of(model, bank, started(0.5, None, grid=grid)).pixels(grid, SilentListener())
        for grid in (one, other)
    )
    assert first[:, 10:40, :30].tobytes() == second[:, :, 300:].tobytes()


@pytest.mark.slow
def test_strength_lies_between_land_by_example_and_noise(model: Model, bank: Bank) -> None:
    noise = Scene(model, started(1, start=None)).pixels(GRID, SilentListener())
    apart = []
    for strength in (0.1, 0.5, 1.0):
        made = scene_of(model, bank, started(strength)).pixels(GRID, SilentListener())
        apart.append(np.abs(made.astype(float) - noise).mean())
    assert apart[0] > apart[1] > 3 * apart[2]


def test_it_costs_what_is_planned(model: Model, bank: Bank, small: None) -> None:
    recipe = started(0.6)
    planned = count(recipe, model.card, model.schedule).evaluations
    assert planned < count(started(1.0), model.card, model.schedule).evaluations
    scan, blocks = scene_of(model, bank, recipe), Blocks.of(GRID, SHORT, 8)
    each = count_blocks(recipe, model.card, model.schedule)
    for number, box in enumerate(blocks):
        with counted(model) as calls:
            scan.pixels(box, SilentListener())
        assert sum(calls) == each[number].evaluations
        if rest := blocks.rest(number + 1):
            scan.keep(rest)


def test_it_can_be_stopped_before_the_first_step(model: Model, bank: Bank) -> None:
    scene = scene_of(model, bank, started(0.5))
    with counted(model) as calls, pytest.raises(Cancelled):
        scene.pixels(GRID, ProgressRecorder(stop_at=1, error=Cancelled()))
    assert not calls
    again = scene.pixels(GRID, SilentListener())
    assert again.tobytes() == scene_of(model, bank, started(0.5)).pixels(GRID, SilentListener()).tobytes()


def test_a_recipe_and_its_composition_belong_together(model: Model) -> None:
    with pytest.raises(ValueError, match="needs its composition"):
        Scene(model, started(0.5))


def part(whole: np.ndarray, box: Box) -> np.ndarray:
    """Return a block's part of the pixels of the grid."""
    top, left = box.row - GRID.row, box.col - GRID.col
    return whole[:, top : top + box.height, left : left + box.width]


def test_land_by_example_leaves_the_model_its_threads(model: Model, bank: Bank) -> None:
    """Threads are a part of the profile; numba, once it runs, gives OpenMP all cores."""
    recipe = started(0.5)
    scene = scene_of(model, bank, recipe)
    torch.set_num_threads(2)
    assert scene.profile.threads == model.profile.threads == 1
    scene.pixels(Box(col=0, row=50, width=8, height=8), SilentListener())
    assert torch.get_num_threads() == 1
