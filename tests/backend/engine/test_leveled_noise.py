"""The noise that scenes begin with: windows agree on a tone, and each alone is what training noise was."""

from __future__ import annotations

import numpy as np
import pytest

from model_backend.engine.diffusion.leveled_noise import leveled_noise
from model_backend.engine.diffusion.noise import TONE, Noise

pytestmark = pytest.mark.fast

FIELD = Noise(seed=7, level=14, frame_hash=3)


@pytest.mark.parametrize("window", [16, 32])
def test_windows_agree_on_a_tone(window: int) -> None:
    places = [range(start, start + window) for start in (-3 * window, -5, 0, window * 3 // 4, 10_000)]
    made = np.stack([leveled_noise(FIELD, rows, cols) for rows in places for cols in places])
    white = np.stack([FIELD.normals(rows, cols) for rows in places for cols in places])
    tone = FIELD.normals(range(1), range(1), stream=TONE).ravel() / window
    np.testing.assert_allclose(made.mean((2, 3)), np.broadcast_to(tone, (25, 4)), atol=1e-7)
    change = made - white  # of a window as a whole: what is inside stays as it is
    np.testing.assert_allclose(change, np.broadcast_to(change[:, :, :1, :1], change.shape), atol=1e-6)


@pytest.mark.parametrize("window", [16, 32])
def test_a_window_alone_has_the_tone_and_spread_of_white_noise(window: int) -> None:
    box = range(5, 5 + window), range(-9, window - 9)
    drawn = np.stack([leveled_noise(Noise(seed, 14, 3), *box) for seed in range(600)])
    tones = drawn.mean((2, 3))
    assert tones.std() == pytest.approx(1 / window, rel=0.08)
    assert abs(tones.mean()) < 4 / window / np.sqrt(tones.size)
    assert drawn.var() == pytest.approx(1, abs=0.02)
    assert drawn.dtype == np.float32
