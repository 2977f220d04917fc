"""Edits of a real aerial scene by the bundled model: no step in tone and no outline where the mask ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from model_backend.evaluation.metrics.outlines import border_ratio, colour_step
from model_backend.models.card import read_card
from model_backend.models.loader import Model, load
from tests.support.backend.file_editor import FileEditor
from tests.support.backend.raster_files import differences, polygon

ROOT = Path(__file__).resolve().parents[3]
SCENE = ROOT / "resources" / "demo" / "scene.tif"  # NAIP, 5 m, red, green, blue, near infrared
MINI = ROOT / "resources" / "models" / "text2earth-mini"
MASKS = 32


@pytest.fixture(scope="module")
def model() -> Model:
    if not (MINI / "model_index.json").is_file():
        pytest.skip("the bundled model is not there")
    return load(MINI, read_card(MINI), "cpu", threads=1)


def visible(path: Path) -> NDArray[np.float64]:
    with rasterio.open(path) as file:
        return file.read((1, 2, 3)).astype(np.float64)


def corners(kind: str, radius: float) -> list[tuple[float, float]]:
    """A shape around (0, 0), in pixels."""
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    if kind == "box":
        return [
            (-radius, -0.7 * radius),
            (radius, -0.7 * radius),
            (radius, 0.7 * radius),
            (-radius, 0.7 * radius),
        ]
    if kind == "stroke":
        return [
            (-2 * radius, -4),
            (2 * radius, -0.3 * radius),
            (2 * radius, 8 - 0.3 * radius),
            (-2 * radius, 4),
        ]
    if kind == "star":
        turn, far = turn[:12] * 40 / 12, np.where(np.arange(12) % 2, radius, 0.45 * radius)
    else:
        far = radius * (1 + 0.25 * np.sin(3 * turn + 1) + 0.15 * np.sin(7 * turn))
    return list(zip(far * np.cos(turn), far * np.sin(turn), strict=True))


@pytest.mark.slow
def test_borders_do_not_show(model: Model, tmp_path: Path) -> None:
    """On 32 places of a real scene: no step in colour, no outline that random ones do not have."""
    editor = FileEditor(model, MINI, tmp_path)
    old = visible(SCENE)
    chance = np.random.default_rng(0)
    after, before, steps = [], [], []
    for number in range(MASKS):
        radius = chance.uniform(14, 34)
        col, row = (chance.uniform(2 * radius + 6, side - 2 * radius - 6) for side in old.shape[:0:-1])
        shape = corners(("blob", "box", "stroke", "star")[number % 4], radius)
        mask, crs = polygon(SCENE, [(col + x, row + y) for x, y in shape])
        inputs = {"prompt": "a field", "seed": number, "steps": 10, "feather": None}
        out = editor.run(SCENE, mask, crs, **inputs)
        assert not differences(SCENE, out)[:, ~editor.mask].any()
        new = visible(out)
        after.append(border_ratio(new, editor.mask).ratio)
        before.append(border_ratio(old, editor.mask).ratio)
        steps.append(np.abs(colour_step(new, editor.mask)).max() / 255)
    assert max(steps) <= 0.02
    assert np.mean(after) <= 1.3
    # A road along the outline has an edge there that stays. On water, a tenth of other outlines' edge and
    # less cannot be seen, whatever its place had.
    assert (np.array(after) <= np.maximum(1.3 * np.array(before), 0.1)).all()
