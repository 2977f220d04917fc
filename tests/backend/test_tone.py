"""The noise that scenes begin with: windows agree on a tone, and each alone is what training noise was."""

from __future__ import annotations

import numpy as np
import pytest

from model_backend.engine.noise import Noise
from model_backend.engine.tone import even

FIELD = Noise(seed=7, level=14, frame_hash=3)


def means(values: np.ndarray, window: int) -> np.ndarray:
    """Return the means of whole windows side by side, (channels, rows, columns)."""
    channels, rows, cols = values.shape
    return values.reshape(channels, rows // window, window, cols // window, window).mean((2, 4))


@pytest.mark.parametrize("window", [16, 32])
def test_windows_agree_on_a_tone(window):
    box = range(-32 * window, 32 * window), range(0, 64 * window)
    white, level = (
        means(made, window).std((1, 2)).mean() for made in (FIELD.normals(*box), even(FIELD, window, *box))
    )
    assert white == pytest.approx(1 / window, rel=0.05)
    assert level < 0.53 * white


@pytest.mark.parametrize("window", [16, 32])
def test_a_window_alone_has_the_tone_and_spread_of_white_noise(window):
    box = range(5, 5 + window), range(-9, window - 9)
    drawn = np.stack([even(Noise(seed, 14, 3), window, *box) for seed in range(600)])
    tones = drawn.mean((2, 3))
    assert tones.std() == pytest.approx(1 / window, rel=0.08)
    assert abs(tones.mean()) < 4 / window / np.sqrt(tones.size)
    assert drawn.var() == pytest.approx(1, abs=0.02)


def test_a_place_has_one_value():
    whole = even(FIELD, 16, range(-20, 30), range(-7, 40))
    part = even(FIELD, 16, range(-3, 11), range(0, 9))
    np.testing.assert_array_equal(part, whole[:, 17:31, 7:16])
    assert whole.dtype == np.float32
