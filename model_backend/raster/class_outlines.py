"""Areas of equal labels: small ones left out, and outlines as regions have them.

Knows labels and squares; not what they mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rasterio import features

from model_backend.arrays import Int64Array, UInt8Array
from model_backend.raster.class_raster import NOTHING
from model_backend.schemas import REGION_UNITS, Box

Rings = list[list[int]]
_LEAST = 4  # squares of an area: smaller ones go to what surrounds them


def without_small(labels: UInt8Array, least: int) -> UInt8Array:
    """Return labels (rows, columns) in which areas of fewer squares than ``least`` are what surrounds them.

    Areas hang together at corners too, so that slanting lines stay.
    """
    return labels if least < 2 else features.sieve(labels, least, connectivity=8)


def outlines(
    labels_at: Callable[[Int64Array, Int64Array], UInt8Array], box: Box, step: int, most: int
) -> tuple[dict[int, Rings], int]:
    """Return the rings around every label in a box of a frame, and the pixels of the squares they follow.

    ``labels_at`` tells labels by rows and columns of pixels. Squares begin with sides of ``step`` pixels;
    they are doubled until there are at most ``most`` corners.
    """
    while True:
        rows, cols = (
            np.arange(first // step, -(-(first + size) // step), dtype=np.int64) * step
            for first, size in ((box.row, box.height), (box.col, box.width))
        )
        labels = features.sieve(labels_at(rows + step // 2, cols + step // 2), _LEAST, connectivity=4)
        found = _rings(labels, (int(rows[0]), int(cols[0])), step)
        if sum(len(ring) // 2 for rings in found.values() for ring in rings) <= most:
            return found, step
        step *= 2


def _rings(labels: UInt8Array, corner: tuple[int, int], step: int) -> dict[int, Rings]:
    found: dict[int, Rings] = {}
    row, col = corner
    for shape, label in features.shapes(labels, labels != NOTHING, connectivity=4):
        for ring in shape["coordinates"]:
            points = np.array(ring[:-1]) * step + (col, row)
            units = np.rint(points * REGION_UNITS).astype(np.int64)
            found.setdefault(int(label), []).append(units.ravel().tolist())
    return dict(sorted(found.items()))
