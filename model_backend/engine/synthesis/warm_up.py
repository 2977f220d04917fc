"""Compiling everything that land by example runs, so that no job has to wait for it.

Numba keeps what it compiled beside the modules or in the user's cache: a minute once, then half a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import event

from model_backend.engine.synthesis.atlas import Atlas, Exemplar
from model_backend.engine.synthesis.fill import Filling, Hole
from model_backend.engine.synthesis.parameters import FILL, FILL_GAMMA, SCENE_GAMMA, SIDE, Parameters
from model_backend.engine.synthesis.pyramid import UNUSABLE
from model_backend.engine.synthesis.scene import Synthesis
from model_backend.schemas import Box


def warm_up() -> None:
    """Make the smallest scene and fill the smallest hole."""
    side = SIDE << Parameters().levels
    rows, cols = np.mgrid[:side, :side]
    image = np.stack([37 * rows + 11 * cols, 23 * rows * cols, 5 * rows + 29 * cols], -1).astype(np.uint8)
    labels = np.zeros((side, side), np.uint8)
    box = Box(col=0, row=0, width=64, height=64)
    Synthesis(Atlas.of([Exemplar(image, labels)], Parameters().levels, SCENE_GAMMA), 1, box, box).sources(box)
    mask = np.zeros((side, side), np.bool_)
    mask[60:68, 60:68] = True
    atlas = Atlas.of([Exemplar(image, np.where(mask, UNUSABLE, labels))], FILL.levels, FILL_GAMMA)
    Filling(atlas, FILL, 1, 0).sources(Hole(image, mask, ~mask, labels))


class _Teller(event.Listener):
    """Says what was compiled, for whoever waits."""

    def on_start(self, event: Any) -> None:
        """Nothing yet."""

    def on_end(self, event: Any) -> None:
        """Name the function."""
        print(f"Compiled {event.data['dispatcher'].__name__}", flush=True)


if __name__ == "__main__":
    with event.install_listener("numba:compile", _Teller()):
        warm_up()
