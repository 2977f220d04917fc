"""Which way a town runs: found in images, and images that go together are chosen by it."""

from __future__ import annotations

import numpy as np
import pytest

from model_backend.models.banks.direction import alike, apart, direction, usual


def rows_of_houses(degrees: float) -> np.ndarray:
    """Draw bright blocks in rows that are turned clockwise."""
    turned = np.radians(degrees)
    y, x = np.mgrid[:128, :128].astype(float)
    along, across = x * np.cos(turned) + y * np.sin(turned), y * np.cos(turned) - x * np.sin(turned)
    houses = (along % 16 < 9) & (across % 24 < 12)
    return np.repeat(np.where(houses, 190, 70).astype(np.uint8)[..., None], 3, -1)


@pytest.mark.parametrize("degrees", [0, 20, 45, 71])
def test_streets_and_walls_have_one_direction(degrees):
    assert apart(direction(rows_of_houses(degrees)), degrees) <= 2
    assert apart(direction(rows_of_houses(degrees + 90)), degrees) <= 2
    assert apart(direction(rows_of_houses(degrees)[:, ::-1]), (90 - degrees) % 90) <= 2


def test_land_without_edges_or_with_edges_all_ways_has_none():
    assert direction(np.full((64, 64, 3), 90, np.uint8)) is None
    noise = np.random.default_rng(1).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    assert direction(noise) is None


def test_images_go_together_up_to_a_few_degrees_over_zero_too():
    assert [one for one in (0, 89, 4, 82, 40, None, 9) if alike(one, 88)] == [0, 89, 4, 82]


def test_a_usual_direction_is_one_that_many_have():
    directions = [0, 1, 2, 3, 89, 45, 20, None]
    assert {usual(directions, lot) for lot in range(20)} == {0, 1, 2, 3, 89}
    assert usual([10, 50, None], 3) is None
    assert usual([], 3) is None
