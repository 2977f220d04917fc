"""The label map of a scene: layers drawn in order.

It satisfies ``synthesis.labels.LabelMap``: any box of any level is what the finest level has at the middle of
its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_backend.arrays import UInt8Array
from model_backend.engine.composition.layers import Layer
from model_backend.schemas import Box


@dataclass(frozen=True)
class Layered:
    """Layers over zone 0; ``zone_labels`` has the label of every zone."""

    layers: tuple[Layer, ...]
    zone_labels: tuple[int, ...]

    def labels(self, box: Box, level: int) -> UInt8Array:
        """Draw all layers at the middle of every pixel of the level."""
        middle = (1 << level) >> 1
        rows = (np.arange(box.row, box.row + box.height, dtype=np.int64) << level) + middle
        cols = (np.arange(box.col, box.col + box.width, dtype=np.int64) << level) + middle
        zones = np.zeros((box.height, box.width), np.uint8)
        for layer in self.layers:
            layer.paint(zones, rows, cols)
        return np.array(self.zone_labels, np.uint8)[zones]
