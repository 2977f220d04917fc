"""Noise that belongs to places: the same normals at the same latent, whoever asks, in whatever order.

Philox4x32-10 (Salmon et al., SC 2011; Random123) is a keyed bijection of 128-bit counters. We put the place
in the counter and the seed in the key:

    counter = (column, row, level << 16 | stream, hash of the frame)      key = seed (64 bits)

so one evaluation gives the four 32-bit words of one latent, a word per channel, with no state and no order.
Each word becomes a normal number through a table: its two halves index 65,536 quantiles of the normal
distribution, and the sum of two quantiles over the square root of 2 is normal again, with the tails of 2^32
values. Only integer operations and one IEEE addition and multiplication touch the numbers, so the bits are
the same on every machine; logarithms and cosines (Box-Muller) would not be.

Knows neither windows nor models. Rows and columns are latents of the frame, of any sign; they wrap at 2^32.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import Float32Array
from model_backend.models.card import NO_LEVEL
from model_backend.schemas import Recipe

Words = tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]

#: Streams keep uses of noise at one place apart.
START = 0  # x_T, where denoising begins
TONE = 1  # what all of a scene shares of it

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_QUANTILES_SHA256 = "8babbcaf96568f10165a1eab530c0e5c92d04de96761b6dbb3dadfa94baba37f"


@dataclass(frozen=True)
class Noise:
    """The noise field of one seed, level (0 where the model has none) and frame."""

    seed: int
    level: int
    frame_hash: int

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """Return the noise of a recipe; its frame enters as 32 bits of a hash."""
        frame = json.dumps(
            recipe.frame.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        digest = hashlib.sha256(frame.encode()).digest()
        return cls(recipe.seed, recipe.level or NO_LEVEL, int.from_bytes(digest[:4], "big"))

    def normals(self, rows: range, cols: range, stream: int = START) -> Float32Array:
        """Return standard normals of a box of latents, shape (4, rows, columns), float32."""
        y = np.asarray(rows, np.int64).astype(np.uint32)[:, None]
        x = np.asarray(cols, np.int64).astype(np.uint32)[None, :]
        use = np.uint32(self.level << 16 | stream)
        words = philox((x, y, use, np.uint32(self.frame_hash)), (self.seed & 0xFFFFFFFF, self.seed >> 32))
        table = _quantiles()
        word = np.stack(words)
        normal: Float32Array = (table[word & 0xFFFF] + table[word >> 16]) * np.float32(math.sqrt(0.5))
        return normal


def philox(counter: tuple[object, ...], key: tuple[int, int]) -> Words:
    """Return Philox4x32-10 of four counter words (arrays or numbers that broadcast), keyed by two words."""
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in counter))
    k0, k1 = key
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    for _ in range(_ROUNDS):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (p1 >> half) ^ c1 ^ np.uint64(k0),
            p1 & low,
            (p0 >> half) ^ c3 ^ np.uint64(k1),
            p0 & low,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return c0.astype(np.uint32), c1.astype(np.uint32), c2.astype(np.uint32), c3.astype(np.uint32)


@cache
def _quantiles() -> Float32Array:
    """Return the normal quantiles at (i + 1/2) / 65536, scaled to unit variance; RuntimeError if a bit is
    off.

    They are computed in double precision and rounded to single. The nearest of them lies 5,767 units in the
    last place from a rounding boundary, so the last digits of a platform's logarithm do not show; the
    checksum makes sure.
    """
    upper = [NormalDist().inv_cdf((i + 0.5) / 65536) for i in range(32768, 65536)]
    scale = math.sqrt(len(upper) / math.fsum(z * z for z in upper))
    half = np.array([z * scale for z in upper], "<f4")
    table = np.concatenate([-half[::-1], half])
    if hashlib.sha256(table.tobytes()).hexdigest() != _QUANTILES_SHA256:
        raise RuntimeError(
            "The table of normal quantiles differs on this platform: scenes would not be reproducible."
        )
    table.setflags(write=False)
    return table
