"""The noise: Random123's known answers, statistics with numbers, and that it belongs to places."""

from __future__ import annotations

import hashlib
from statistics import NormalDist

import numpy as np
import pytest

from model_backend.engine.diffusion import noise
from model_backend.engine.diffusion.noise import Noise, philox

pytestmark = pytest.mark.fast

ONES = 0xFFFFFFFF
FIELD = Noise(seed=20250101, level=16, frame_hash=0xC0FFEE)


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [  # kat_vectors of Random123, philox4x32 with 10 rounds
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_random123_known_answers(counter, key, answer):
    assert tuple(int(word) for word in philox(counter, key)) == answer


def test_bits_are_pinned():
    """The same bits on every machine and in every release, negative places and a 53-bit seed included."""
    box = Noise(2**53 - 1, 18, ONES).normals(range(-3, 5), range(-(2**33), -(2**33) + 8))
    assert hashlib.sha256(box.astype("<f4").tobytes()).hexdigest() == (
        "df0d67c4c25d6aa21a8904b8a3cbfdce94588dde7bf77f7bd50e8099d15f726a"
    )


@pytest.mark.slow
def test_statistics():
    z = FIELD.normals(range(-1024, 1024), range(-1024, 1024)).astype(np.float64)  # 16.8 million
    n = z.size
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((z**3).mean()) < 4 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 4 * np.sqrt(96 / n)
    assert 5 < np.abs(z).max() < 6.2  # the tails are there, and end where two 16-bit quantiles end
    # Kolmogorov-Smirnov at a million points: the 0.1 % bound is 1.95 / sqrt(n)
    sample = np.sort(z[:, ::4, ::4].ravel())
    at = np.arange(0, sample.size, 97)
    normal = np.array([NormalDist().cdf(value) for value in sample[at]])
    assert np.abs(normal - (at + 0.5) / sample.size).max() < 1.95 / np.sqrt(sample.size)


def test_neighbours_channels_streams_levels_seeds_and_frames_are_independent():
    rows, cols = range(-512, 512), range(1000, 2024)
    z = FIELD.normals(rows, cols)
    n = z[0].size
    others = [
        FIELD.normals(rows, cols, stream=1)[0],
        Noise(FIELD.seed, 17, FIELD.frame_hash).normals(rows, cols)[0],
        Noise(FIELD.seed + 1, 16, FIELD.frame_hash).normals(rows, cols)[0],
        Noise(FIELD.seed + 2**32, 16, FIELD.frame_hash).normals(rows, cols)[0],
        Noise(FIELD.seed, 16, FIELD.frame_hash + 1).normals(rows, cols)[0],
        z[1],
        z[2],
        z[3],
        *(np.roll(z[0], shift, axis) for shift in (1, 2, 8) for axis in (0, 1)),
        np.roll(z[0], (1, 1), (0, 1)),
        z[0].T,
    ]
    correlations = [abs(float((z[0] * other).mean())) for other in others]
    assert max(correlations) < 4.5 / np.sqrt(n), correlations


def test_a_place_has_one_value():
    whole = FIELD.normals(range(-20, 30), range(-7, 40))
    part = FIELD.normals(range(-3, 11), range(0, 9))
    np.testing.assert_array_equal(part, whole[:, 17:31, 7:16])
    assert whole.dtype == np.float32
    assert whole.shape == (4, 50, 47)


def test_a_platform_with_another_table_is_refused(monkeypatch):
    monkeypatch.setattr(noise, "_QUANTILES_SHA256", "0" * 64)
    noise._quantiles.cache_clear()
    with pytest.raises(RuntimeError, match="not be reproducible"):
        FIELD.normals(range(1), range(1))
    noise._quantiles.cache_clear()
