"""Blocks: they cover the grid, cost what the plan says, and leave no trace in a single byte."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from model_backend.engine import blocks as module
from model_backend.engine.blocks import Blocks, side_of
from model_backend.engine.cost import count, count_blocks
from model_backend.engine.lattice import Layout, canvas_box
from model_backend.engine.scene import Scene
from model_backend.models.card import EngineParameters
from model_backend.models.loader import Model
from model_backend.schemas import Box, Recipe
from tests.support.backend.recipes import recipe_of
from tests.support.backend.scenes import SHORT, counted
from tests.support.backend.tiny_models import ProgressRecorder, load_tiny

GRIDS = (Box(col=-37, row=21, width=150, height=230), Box(col=5, row=-300, width=260, height=100))


@pytest.fixture(scope="module")
def model(tiny: Path) -> Model:
    return load_tiny(tiny, engine=SHORT)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make blocks of 96 pixels, so that small scenes have several."""
    monkeypatch.setattr(module, "TILE", 16)
    monkeypatch.setattr(module, "BATCHES", 1)


def grid_recipe(grid: Box, ground: bool) -> Recipe:
    canvas = None if ground else canvas_box(grid, SHORT, 8)
    return recipe_of(canvas, grid=grid, level=15, steps=2, sampler="euler")


def made(scene: Scene, grid: Box, blocks: Blocks, order: Iterable[int], forget: bool) -> np.ndarray:
    image = np.zeros((3, grid.height, grid.width), np.uint8)
    for number in order:
        box = blocks[number]
        top, left = box.row - grid.row, box.col - grid.col
        image[:, top : top + box.height, left : left + box.width] = scene.pixels(box, ProgressRecorder())
        if forget and (rest := blocks.rest(number + 1)):
            scene.keep(rest)
    return image


@pytest.mark.parametrize("grid", [*GRIDS, Box(col=0, row=0, width=1, height=1)])
def test_blocks_cover_the_grid_once(grid: Box, small: None) -> None:
    blocks = Blocks.of(grid, SHORT, 8)
    assert blocks.grid == grid
    covered = np.zeros((grid.height, grid.width), int)
    for box in blocks:
        covered[box.row - grid.row :, box.col - grid.col :][: box.height, : box.width] += 1
        assert max(box.width, box.height) <= 96
        assert (box.row - grid.row) % 16 == (box.col - grid.col) % 16 == 0, "whole tiles of the file"
    assert (covered == 1).all()


def test_a_band_lies_along_the_shorter_side(small: None) -> None:
    for grid, step in ((GRIDS[0], "col"), (GRIDS[1], "row")):
        blocks = Blocks.of(grid, SHORT, 8)
        first, second = blocks[0], blocks[1]
        assert getattr(first, step) < getattr(second, step)
        band = len(blocks.cols) if blocks.tall else len(blocks.rows)
        assert blocks.rest(0) == blocks.rest(band - 1) == grid
        rest = blocks.rest(band)
        assert rest is not None
        assert min(rest.width, rest.height) == min(grid.width, grid.height)
        assert blocks.rest(len(blocks)) is None


def test_sizes_of_real_models() -> None:
    """Text2Earth's 256-pixel windows, those of the bundled model, and a scene that fits into one block."""
    large = EngineParameters()
    mini = EngineParameters(window=16, stride=12, batch=16)
    assert (side_of(large, 8), side_of(mini, 4)) == (4096, 1536)
    assert len(Blocks.of(Box(col=3, row=3, width=1536, height=1200), mini, 4)) == 1
    two = Blocks.of(Box(col=0, row=0, width=1537, height=100), mini, 4)
    assert [box.width for box in two] == [1024, 513]
    assert len(Blocks.of(Box(col=0, row=0, width=20_000, height=30_000), large, 8)) == 5 * 8


@pytest.mark.parametrize("ground", [True, False])
@pytest.mark.parametrize("grid", GRIDS)
def test_what_is_counted_is_what_is_new(grid: Box, ground: bool, small: None) -> None:
    """Against sets of windows, for blocks of the usual and of ragged sizes."""
    recipe = grid_recipe(grid, ground)
    layout = Layout.of(SHORT, 8, recipe.canvas_box)
    rng = random.Random(1)
    ragged = Blocks(_ragged(grid.row, grid.height, rng), _ragged(grid.col, grid.width, rng))
    for blocks in (Blocks.of(grid, SHORT, 8), ragged):
        done: list[set[tuple[int, int]]] = [set(), set()]
        for box, fresh in zip(blocks, blocks.fresh(layout, 2), strict=True):
            for phase, (rows, cols) in enumerate(layout.windows(box, 2)):
                needed = {(i, j) for i in rows for j in cols}
                assert {(i, j) for i in fresh[phase][0] for j in fresh[phase][1]} == needed - done[phase]
                done[phase] |= needed


def _ragged(start: int, length: int, rng: random.Random) -> tuple[range, ...]:
    cuts = sorted({0, length, *rng.sample(range(1, length), 4)})
    return tuple(range(start + a, start + b) for a, b in zip(cuts, cuts[1:], strict=False))


@pytest.mark.parametrize("ground", [True, False])
@pytest.mark.parametrize("grid", GRIDS)
def test_no_block_leaves_a_trace(model: Model, grid: Box, ground: bool, small: None) -> None:
    """Whole, streamed, forgetting or not, in any order, of any size, each alone: the same bytes."""
    recipe = grid_recipe(grid, ground)
    whole = Scene(model, recipe).pixels(grid, ProgressRecorder())
    usual = Blocks.of(grid, SHORT, 8)
    forwards = range(len(usual))
    promised = count_blocks(recipe, model.card, model.schedule)
    assert len(usual) == len(promised) > 4
    scene = Scene(model, recipe)
    with counted(model) as calls:
        streamed = made(scene, grid, usual, forwards, forget=True)
    np.testing.assert_array_equal(streamed, whole)
    assert (sum(one.calls for one in promised), sum(one.evaluations for one in promised)) == (
        len(calls),
        sum(calls),
    ), "the plan counts what one worker runs, padding included"
    total = count(recipe, model.card, model.schedule)
    windows = sum(map(len, Scene(model, recipe)._field.missing(*scene._layout.latents(grid))))
    assert (total.windows, total.evaluations) == (windows, sum(calls)), "streaming computes no window twice"

    rng = random.Random(2)
    ragged = Blocks(_ragged(grid.row, grid.height, rng), _ragged(grid.col, grid.width, rng))
    shuffled = rng.sample(range(len(ragged)), len(ragged))
    np.testing.assert_array_equal(made(Scene(model, recipe), grid, ragged, shuffled, False), whole)
    np.testing.assert_array_equal(made(Scene(model, recipe), grid, usual, reversed(forwards), True), whole)
    for number in rng.sample(forwards, 3):
        box = usual[number]
        alone = Scene(model, recipe).pixels(box, ProgressRecorder())
        top, left = box.row - grid.row, box.col - grid.col
        np.testing.assert_array_equal(
            alone, whole[:, top : top + box.height, left : left + box.width], str(number)
        )


def test_what_is_kept_does_not_grow_with_the_scene(model: Model, small: None) -> None:
    """A scene four times as long holds as many windows, at most, as a short one."""

    def most(length: int) -> int:
        grid = Box(col=0, row=0, width=100, height=length)
        scene, blocks = Scene(model, grid_recipe(grid, ground=False)), Blocks.of(grid, SHORT, 8)
        held = 0
        for number, box in enumerate(blocks):
            scene.pixels(box, ProgressRecorder())
            held = max(held, sum(map(len, scene._field._done)))
            if rest := blocks.rest(number + 1):
                scene.keep(rest)
        return held

    assert most(1600) == most(800)
