"""Random numbers that belong to a place: 32-bit hashes of whole numbers, the same on every machine."""

from __future__ import annotations

import numpy as np
from numba import njit, uint64


@njit(inline="always", cache=True)
def mix(a, b, c, d):  # type: ignore[no-untyped-def]
    """Hash four whole numbers to 32 bits (multipliers of xxHash, finaliser of MurmurHash3's family)."""
    low = uint64(0xFFFFFFFF)
    x = (uint64(a) & low) * uint64(0x9E3779B1)
    x ^= (uint64(b) & low) * uint64(0x85EBCA77)
    x ^= (uint64(c) & low) * uint64(0xC2B2AE3D)
    x ^= (uint64(d) & low) * uint64(0x27D4EB2F)
    x &= low
    x ^= x >> uint64(15)
    x = (x * uint64(0x2C1B3C6D)) & low
    x ^= x >> uint64(12)
    x = (x * uint64(0x297A2D39)) & low
    return x ^ (x >> uint64(15))


@njit(inline="always", cache=True)
def below(number, limit):  # type: ignore[no-untyped-def]
    """Map a 32-bit hash to 0 .. limit - 1."""
    return np.int64(((uint64(number) & uint64(0xFFFFFFFF)) * uint64(limit)) >> uint64(32))


@njit(inline="always", cache=True)
def spread(row, col, slot, start):  # type: ignore[no-untyped-def]
    """Number the cells of a lattice so that neighbours, and the slots of one cell, draw far apart.

    The multipliers are those of the plastic number's two-dimensional low-discrepancy sequence (Roberts 2018).
    """
    return (
        uint64(row) * uint64(3242174889)
        + uint64(col) * uint64(2447445414)
        + uint64(slot) * uint64(1640531527)
        + start
    )
