"""The field of latents: windows denoised alone, blended between phases.

Denoising is cut into K phases. In a phase every window of the lattice is denoised on its own; after it,
windows are blended with the lattice's weights, and the next phase starts its windows from the blend; before
the last blend they are brought to one tone. So what a window becomes depends on its neighbours of the phase
before, and on nothing else: a finite cone. Any part of a canvas, endless or not, can be computed alone, in
any order, and always with the same bits, because

* a window starts from noise that belongs to its place,
* whoever denoises a group of windows treats each as if it were alone,
* a window takes the tone of what its eight neighbours are, and
* a blend adds its (at most four) windows in order of their indices.

Windows are computed when something reads them, and kept until told otherwise. Knows lattices; does not know
what denoising is (it is handed in), nor pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model_backend.arrays import Float32Array
from model_backend.engine.diffusion.tone_matching import match_tones
from model_backend.engine.lattice import Latents, Lattice, Window, cone, shares

Batch = Float32Array  # (windows, channels, window, window)


@dataclass(frozen=True)
class Plane:
    """The lattices of a canvas, in latents, and what lies on it before anything is denoised.

    At most ``group`` windows are denoised together. ``start(rows, cols)`` returns the latents of a window at
    the beginning of phase 0, shape (channels, rows, columns).
    """

    rows: Lattice
    cols: Lattice
    channels: int
    phases: int
    group: int
    start: Callable[[range, range], Latents]


class LatentField:
    """The latents of a canvas after every phase, computed where they are asked for."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._done: list[dict[Window, Latents]] = [{} for _ in range(plane.phases)]
        self._matched: dict[Window, Latents] = {}

    def missing(self, rows: range, cols: range) -> list[list[Window]]:
        """Return the windows of every phase that a box of final latents still needs, in lattice order."""
        plane = self._plane
        needed_rows = cone(plane.rows, rows, plane.phases)
        needed_cols = cone(plane.cols, cols, plane.phases)
        return [
            [window for row in i for col in j if (window := Window(row, col)) not in done]
            for i, j, done in zip(needed_rows, needed_cols, self._done, strict=True)
        ]

    def compute(
        self, rows: range, cols: range, denoise: Callable[[int, Sequence[Window], Batch], Batch]
    ) -> None:
        """Compute the windows that a box of final latents needs, phase by phase.

        ``denoise(phase, windows, latents)`` takes a group of windows through a phase. Whatever it raises
        leaves the field usable.
        """
        plane = self._plane
        for phase, missing in enumerate(self.missing(rows, cols)):
            for first in range(0, len(missing), plane.group):
                windows = missing[first : first + plane.group]
                boxes = [(plane.rows.cells(window.row), plane.cols.cells(window.col)) for window in windows]
                latents = np.stack([self._begin(phase, *box) for box in boxes])
                results = denoise(phase, windows, latents)
                self._done[phase].update(zip(windows, results, strict=True))

    def read(self, rows: range, cols: range) -> Latents:
        """Return a box of final latents, shape (channels, rows, columns), once they are computed."""
        plane, done = self._plane, self._done[-1]
        near = [Window(row, col) for row in plane.rows.touching(rows) for col in plane.cols.touching(cols)]
        new = [window for window in near if window not in self._matched]
        self._matched |= match_tones(plane.rows, plane.cols, done, new)
        return self._blend(self._matched, rows, cols)

    def keep(self, rows: range, cols: range) -> None:
        """Forget all windows but those that a box of final latents depends on."""
        needed_rows = cone(self._plane.rows, rows, self._plane.phases)
        needed_cols = cone(self._plane.cols, cols, self._plane.phases)
        for i, j, done in zip(needed_rows, needed_cols, self._done, strict=True):
            for window in [window for window in done if window.row not in i or window.col not in j]:
                del done[window]
        self._matched = {window: own for window, own in self._matched.items() if window in self._done[-1]}

    def _begin(self, phase: int, rows: range, cols: range) -> Latents:
        """Return a box of the canvas as it is at the start of a phase."""
        if phase == 0:
            return self._plane.start(rows, cols)
        return self._blend(self._done[phase - 1], rows, cols)

    def _blend(self, done: Mapping[Window, Latents], rows: range, cols: range) -> Latents:
        plane = self._plane
        blend = np.zeros((plane.channels, len(rows), len(cols)), np.float32)
        for window, own, there, weight in shares(plane.rows, plane.cols, (rows, cols)):
            blend[:, *there] += done[window][:, *own] * weight
        return blend
