"""Edits of a real aerial scene by the bundled model: no step in tone and no outline where the mask ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from model_backend.models.card import read_card
from model_backend.models.loader import Model, load
from tests.backend.editing import Editor, differences, polygon, rings

ROOT = Path(__file__).resolve().parents[2]
SCENE = ROOT / "resources" / "demo" / "scene.tif"  # NAIP, 5 m, red, green, blue, near infrared
MINI = ROOT / "resources" / "models" / "text2earth-mini"
PLACES = [(40, 60, "a field"), (150, 250, "farmland"), (300, 90, "grassland"), (330, 300, "a field")]


@pytest.fixture(scope="module")
def model() -> Model:
    if not (MINI / "model_index.json").is_file():
        pytest.skip("the bundled model is not there")
    return load(MINI, read_card(MINI), "cpu", threads=1)


def visible(path: Path) -> NDArray[np.float64]:
    with rasterio.open(path) as file:
        return file.read((1, 2, 3)).astype(np.float64)


def outline_energy(picture: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Mean squared difference of neighbours across the mask's outline."""
    total = count = 0.0
    for axis in (0, 1):
        across = np.square(np.diff(picture, axis=axis + 1)).mean(0)[np.diff(mask, axis=axis)]
        total, count = total + float(across.sum()), count + len(across)
    return total / count


def tone_step(picture: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    inside, outside = rings(mask)
    return (picture[:, inside].mean(1) - picture[:, outside].mean(1)) / 255


def test_borders_do_not_show(model: Model, tmp_path: Path) -> None:
    editor = Editor(model, MINI, tmp_path)
    old = visible(SCENE)
    after, before, steps = [], [], []
    for seed, (col, row, prompt) in enumerate(PLACES):
        corners = [(col, row), (col + 60.0, row + 5.0), (col + 52.0, row + 48.0), (col + 4.0, row + 44.0)]
        mask, crs = polygon(SCENE, corners)
        inputs = {"prompt": prompt, "seed": seed, "steps": 10, "feather": None}
        out = editor.run(SCENE, mask, crs, **inputs)
        assert not differences(SCENE, out)[:, ~editor.mask].any()
        new = visible(out)
        after.append(outline_energy(new, editor.mask))
        before.append(outline_energy(old, editor.mask))
        # What the ground itself steps by along this outline is no fault of the edit.
        steps.append(np.abs(tone_step(new, editor.mask) - tone_step(old, editor.mask)).max())
    assert max(steps) <= 0.02
    assert np.sum(after) / np.sum(before) <= 1.3
