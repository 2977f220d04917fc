"""Classes of a raster as labels: no stairs between soft land, straight edges straight, thin lines whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from model_backend.engine.by_example.land_cover import NOTHING, CoveringCells, LandCover
from model_backend.engine.by_example.outlined import Covered
from model_backend.engine.synthesis.labels import Everywhere
from model_backend.schemas import Box

KINDS = ("forest", "farmland", "water", "town")


@dataclass(frozen=True)
class Square:
    """Cells of so many pixels along the frame's axes."""

    side: int

    def at(self, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        down, right = ((256 * places + 128) // self.side for places in (rows, cols))
        shape = len(rows), len(cols)
        return np.broadcast_to(down[:, None], shape).copy(), np.broadcast_to(right, shape).copy()


def covered(cells: np.ndarray, side: int, seed: int = 5) -> Covered:
    cover = LandCover(cells.astype(np.uint8), KINDS, Square(side), 256 * side)
    return Covered(Everywhere(9), (CoveringCells(cover, (0, 1, 2, 3), seed),))


def whole(cells: np.ndarray, side: int) -> np.ndarray:
    height, width = cells.shape
    box = Box(col=0, row=0, width=width * side, height=height * side)
    return covered(cells, side).labels(box, 0)


def halves(slope: float, first: str, second: str, cells: int = 24) -> np.ndarray:
    """Two kinds on the two sides of a line through the middle, in stairs."""
    rows, cols = np.mgrid[:cells, :cells] - (cells - 1) / 2
    return np.where(rows > slope * cols, KINDS.index(first), KINDS.index(second))


def border(labels: np.ndarray, upper: int) -> np.ndarray:
    """How many pixels of every column are above the border, if there is one."""
    return np.asarray((labels == upper).sum(0))


def test_stairs_between_soft_land_are_no_stairs():
    side = 20
    labels = whole(halves(0.2, "farmland", "forest"), side)
    line = border(labels, KINDS.index("forest"))[4 * side : -4 * side]
    steps = np.abs(np.diff(line))
    assert steps.max() <= side // 4  # no riser of a cell
    cols = np.arange(len(line))
    off = line - np.polyval(np.polyfit(cols, line, 1), cols)
    assert np.abs(off).max() < side
    # Nor does it run level for the five cells that a stair is deep.
    level = max(len(run) for run in "".join("-" if step == 0 else "+" for step in steps).split("+"))
    assert level < 1.5 * side


def test_what_is_built_has_straight_edges_where_it_has_them():
    side = 20
    cells = np.full((12, 12), KINDS.index("forest"))
    cells[4:8, 3:9] = KINDS.index("town")
    town = whole(cells, side) == KINDS.index("town")
    inner = town[4 * side : 8 * side, 4 * side : 8 * side]
    assert inner.all()
    assert not town[: 4 * side].any()
    assert not town[:, : 3 * side].any()
    assert town.mean() == pytest.approx(24 / 144, rel=0.03)  # but for the corners
    slanting = whole(halves(1.0, "town", "farmland"), side)
    line = border(slanting, KINDS.index("farmland"))[4 * side : -4 * side]
    assert np.abs(line - line[0] - np.arange(len(line))).max() <= side // 3  # a slope, no stairs


def test_a_line_of_single_cells_stays_a_line():
    side = 8
    cells = np.full((30, 30), KINDS.index("farmland"))
    rows = (15 + 8 * np.sin(np.arange(30) / 4)).astype(int)
    for col, (row, after) in enumerate(zip(rows, [*rows[1:], rows[-1]], strict=True)):
        cells[min(row, after) : max(row, after), col] = KINDS.index("water")
        cells[row, col] = KINDS.index("water")
    river = whole(cells, side) == KINDS.index("water")
    wide = river.sum(0)
    assert (wide[: -2 * side] > 3).all()
    assert river.mean() == pytest.approx((cells == KINDS.index("water")).mean(), rel=0.25)
    lost = np.full((9, 9), KINDS.index("farmland"))
    lost[range(9), range(9)] = KINDS.index("water")
    assert (whole(lost, side) == KINDS.index("water")).any(0).mean() > 0.95  # from corner to corner


def test_cells_as_small_as_pixels_are_left_alone():
    cells = np.random.default_rng(1).integers(0, 4, (40, 50))
    assert np.array_equal(whole(cells, 1), cells)


def test_labels_are_a_function_of_the_place():
    cells = np.random.default_rng(2).integers(0, 4, (30, 30))
    cells[:4, :9] = NOTHING
    both = covered(cells, 7)
    box = Box(col=-5, row=-5, width=220, height=220)
    labels = both.labels(box, 0)
    assert set(np.unique(labels)) == {0, 1, 2, 3, 9}
    assert (labels[:5] == 9).mean() > 0.9  # beyond the cells
    part = Box(col=33, row=71, width=90, height=40)
    assert np.array_equal(both.labels(part, 0), labels[76:116, 38:128])
    coarse = both.labels(Box(col=4, row=8, width=11, height=5), 3)
    assert np.array_equal(coarse, labels[8 * 8 + 4 + 5 : 8 * 13 + 5 : 8, 4 * 8 + 4 + 5 : 8 * 15 + 5 : 8])
    assert not np.array_equal(covered(cells, 7, seed=6).labels(box, 0), labels)
