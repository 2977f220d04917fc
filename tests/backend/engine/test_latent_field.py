"""The field: bits do not depend on what is asked for, in which order, or in which batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from model_backend.engine.diffusion.latent_field import Batch, LatentField, Plane
from model_backend.engine.diffusion.noise import Noise
from model_backend.engine.lattice import Lattice, Window

NOISE = Noise(seed=3, level=16, frame_hash=1)
ENDLESS = Lattice(8, 6, 2)
PHASES, GROUP = 3, 4


def field(rows: Lattice = ENDLESS, cols: Lattice = ENDLESS) -> LatentField:
    return LatentField(Plane(rows, cols, channels=4, phases=PHASES, group=GROUP, start=NOISE.normals))


def denoise(phase: int, windows: Sequence[Window], latents: Batch) -> Batch:
    """Mix all cells of a window, differently in every phase: each bit depends on the whole window."""
    assert latents.shape == (len(windows), 4, 8, 8)
    assert 1 <= len(windows) <= GROUP
    whole = np.cumsum(np.cumsum(latents, axis=3, dtype=np.float32), axis=2, dtype=np.float32)
    return np.tanh(latents + np.float32(0.1 * (phase + 1)) * whole[..., -1:, -1:])


def final(box: tuple[range, range], of: LatentField | None = None) -> np.ndarray:
    one = of or field()
    one.compute(*box, denoise)
    return one.read(*box)


def test_identity_leaves_the_noise():
    one = field()
    box = range(-20, 21), range(-3, 30)
    one.compute(*box, lambda phase, windows, latents: latents)
    np.testing.assert_allclose(one.read(*box), NOISE.normals(*box), atol=1e-6)


def test_any_box_in_any_order_has_the_same_bits():
    whole = final((range(-30, 30), range(-30, 30)))
    shared = field()
    generator = np.random.default_rng(0)
    for _ in range(8):
        top, left = generator.integers(-30, 20, 2)
        height, width = generator.integers(1, 11, 2)
        box = range(top, top + height), range(left, left + width)
        expected = whole[:, top + 30 : top + 30 + height, left + 30 : left + 30 + width]
        np.testing.assert_array_equal(final(box), expected)  # alone, nothing computed before
        np.testing.assert_array_equal(final(box, shared), expected)  # among others, some computed before


def test_a_window_alone_on_its_canvas_is_not_touched_by_blending():
    bounds = range(-5, 3)
    one = field(Lattice(8, 6, 2, bounds), Lattice(8, 6, 2, bounds))
    x = NOISE.normals(bounds, bounds)[None].repeat(GROUP, 0)
    for phase in range(PHASES):
        x = denoise(phase, [Window(0, 0)] * GROUP, x)
    np.testing.assert_array_equal(final((bounds, bounds), one), x[0])


def test_nothing_is_computed_twice_and_only_the_cone():
    computed: list[tuple[int, Window]] = []

    def recording(phase: int, windows: Sequence[Window], latents: Batch) -> Batch:
        computed.extend((phase, window) for window in dict.fromkeys(windows))
        return denoise(phase, windows, latents)

    one = field()
    box = range(0, 10), range(0, 10)
    promised = [(phase, window) for phase, windows in enumerate(one.missing(*box)) for window in windows]
    one.compute(*box, recording)
    assert computed == promised
    assert len(set(computed)) == len(computed)
    one.compute(*box, recording)
    assert computed == promised
    one.compute(range(5, 15), range(0, 10), recording)
    assert len(set(computed)) == len(computed)


def test_a_stop_leaves_the_field_usable():
    box = range(0, 20), range(0, 20)
    one, calls = field(), 0

    def stopping(phase: int, windows: Sequence[Window], latents: Batch) -> Batch:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return denoise(phase, windows, latents)

    with pytest.raises(KeyboardInterrupt):
        one.compute(*box, stopping)
    np.testing.assert_array_equal(final(box, one), final(box))
