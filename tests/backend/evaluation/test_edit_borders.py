"""Borders of edits and extensions on real chips: what is measured is there, and the model leaves little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from model_backend.evaluation import edit_borders
from model_backend.evaluation.edit_borders import Case
from model_backend.models.card import read_card
from model_backend.models.loader import Model, load
from model_backend.training.data_sets.land_cover import Chips

CHIPS = Path(__file__).parents[1] / "data" / "chips"
MINI = Path(__file__).resolve().parents[3] / "resources" / "models" / "text2earth-mini"


def held(level: int) -> Chips:
    paths = sorted(CHIPS.glob(f"{level}-*.webp"))
    classes = tuple(path.stem.split("-")[1] for path in paths)
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths])
    return Chips(level, pixels, np.arange(len(paths)), classes, classes)


def cases(kind: str, seed: int) -> list[Case]:
    make = edit_borders.edits if kind == "edit" else edit_borders.extensions
    return [case for level in (14, 17) for case in make(held(level), 1, seed)]


@pytest.fixture(scope="module")
def model() -> Model:
    if not (MINI / "model_index.json").is_file():
        pytest.skip("the bundled model is not there")
    return load(MINI, read_card(MINI), "cpu", threads=1)


class TestMeasure:
    def test_land_that_goes_on_as_it_was_is_its_own_null(self) -> None:
        figures = edit_borders.measure_extensions([(case, case.picture) for case in cases("extend", 0)])
        for name in ("tone 8", "tone 16", "edge"):
            same = figures[f"{name}: border / same line as it was"]
            assert (same.ratio, same.low, same.high) == (1, 1, 1)
            others = figures[f"{name}: border / other lines"]
            assert others == figures[f"{name}: the same of the land as it was"]
            assert others.low < others.ratio < others.high
            together = figures[f"{name}: z of all borders"]
            assert together == figures[f"{name}: z of the land as it was"]
            assert abs(together) < 3

    def test_a_step_in_tone_is_found(self) -> None:
        def brighter(case: Case) -> NDArray[np.uint8]:
            return np.where(case.paint, case.picture + 30.0, case.picture).clip(0, 255).astype(np.uint8)

        pairs = [(case, brighter(case)) for case in cases("extend", 0)]
        figures = edit_borders.measure_extensions(pairs)
        assert figures["tone 16: border / other lines"].low > 1.5
        assert figures["edge: border / same line as it was"].low > 1.5
        for name in ("tone 16", "edge"):
            assert figures[f"{name}: z of all borders"] > 3

    def test_the_interval_of_a_pooled_ratio(self) -> None:
        random = np.random.default_rng(0)
        found = [edit_borders.pooled(random.uniform(1, 3, 50).tolist(), [2.0] * 50) for _ in range(200)]
        assert np.mean([one.low <= 1 <= one.high for one in found]) == pytest.approx(0.95, abs=0.05)

    @pytest.mark.parametrize("kind", ["blob", "box", "stroke", "star"])
    def test_outlines_keep_off_the_edges(self, kind: str) -> None:
        random = np.random.default_rng(0)
        for _ in range(50):
            paint = edit_borders.outline(kind, 78, random)
            assert 20 < paint.sum() < 0.5 * paint.size
            assert not paint[[0, -1]].any()
            assert not paint[:, [0, -1]].any()


@pytest.mark.slow
def test_edits_of_chips_leave_no_step_and_no_outline(model: Model) -> None:
    figures = edit_borders.measure_edits(model, cases("edit", 1))
    assert figures["masks"] == 16
    assert figures["colour step, mean %"] <= 2
    assert figures["border ratio, mean"] <= 1.3 * figures["the same in the land before"]


@pytest.mark.slow
def test_extensions_of_chips_go_on_in_tone(model: Model) -> None:
    pairs = []
    for case in cases("extend", 1):
        made = edit_borders.repaint(model, case)
        assert np.array_equal(made[:, ~case.paint], case.picture[:, ~case.paint])
        assert (made[:, case.paint] != case.picture[:, case.paint]).mean() > 0.2
        pairs.append((case, made))
    figures = edit_borders.measure_extensions(pairs)
    # Sixteen borders: an interval that misses the table's 0.95 to 1.05 altogether would be a finding.
    step = figures["tone 16: border / other lines"]
    assert step.low < 1.05
    assert step.ratio < 1.3
    assert abs(figures["tone 16: z of all borders"]) < 3
    assert abs(figures["edge: z of all borders"]) < 3
