"""Pixel sizes to choose from by their time, and what other extents take: with plans of a given length."""

from __future__ import annotations

import pytest

from text2earth_qgis.core.wire.schemas import Plan
from text2earth_qgis.gui.planning.choices import BUDGET, Pace, best, takes, three

pytestmark = pytest.mark.fast


def plan(seconds, side=1000, windows=10):
    return Plan(
        recipe={}, variants=1, crs="", crs_name="", width=side, height=side, transform=[], bbox=[], gsd={},
        level=None, windows=windows, evaluations=100, seconds=seconds, bytes=0, warnings=[],
    )  # fmt: skip


def sizes(*seconds):
    """Sizes that take so long, coarsest first."""
    return [(2.0 ** (5 - number), plan(one)) for number, one in enumerate(seconds)]


@pytest.mark.parametrize(
    ("seconds", "automatic", "offered"),
    [
        ((1, 4, 16, 64, 256, 1024), 3, [1, 3, 4]),
        ((1, 2, 3, 100, 400, 1600), 3, [2, 3, 4]),
        ((10, 40, 160, 640), 1, [0, 1, 2]),
        ((200, 800, 3200), 0, [0, 1, 2]),
        ((200, 800), 0, [0, 1]),
        ((1, 2, 3), 2, [0, 1, 2]),
        ((5,), 0, [0]),
    ],
)
def test_a_quick_one_the_automatic_one_and_a_finer_one(seconds, automatic, offered):
    found = sizes(*seconds)
    assert best(found) == automatic
    assert takes(found[automatic][1]) <= BUDGET or automatic == 0
    assert [found.index(one) for one in three(found)] == offered


def test_time_without_a_speed_is_a_guess():
    assert takes(plan(None, windows=30)) == pytest.approx(3)
    assert takes(plan(None, windows=0)) == pytest.approx(3)


def test_the_time_of_another_extent():
    pace = Pace()
    assert pace.seconds(1e6) is None
    assert pace.finest((1.0, 2.0), 1e6) is None
    pace = pace.with_plan(plan(None)).with_plan(plan(10.0, 100)).with_plan(plan(110.0, 1000))
    assert pace.seconds(100**2) == 10.0
    assert pace.seconds(1000**2) == 110.0
    assert 10 < pace.seconds(500**2) < 110
    assert pace.seconds(50**2) == pytest.approx(2.5)
    assert pace.seconds(2000**2) == pytest.approx(440)
    assert pace.with_plan(plan(220.0, 1000)).seconds(1000**2) == 220.0
    assert pace.finest((0.5, 1.0, 2.0), 1000.0**2) == 1.0  # of 0.5 m it takes four times as long
    assert pace.finest((0.5, 1.0), 1e9) == 1.0
