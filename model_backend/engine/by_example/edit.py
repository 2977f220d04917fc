"""Painting a mask from a prompt by example: bank images of what is asked for, the raster's land around it.

What is asked for begins a few pixels inside the mask, along a natural line, and patches of the raster itself
lead up to it; so a lake gets a shore, and no straight edge tells where the mask was. No torch.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from model_backend.arrays import BoolArray, Float32Array, Int32Array, UInt8Array
from model_backend.engine.by_example.choice import Sourced, Wanted, atlas_of
from model_backend.engine.by_example.credits import OWN, RASTER, Origin
from model_backend.engine.by_example.given import NONE, Given
from model_backend.engine.by_example.passes import Passes, fill_passes
from model_backend.engine.by_example.profile import ExampleProfile
from model_backend.engine.by_example.samples import guide
from model_backend.engine.by_example.scene import composed, kinds_of, use_threads
from model_backend.engine.by_example.surroundings import underlaid
from model_backend.engine.composition.outlines.noise import OCTAVE, UNIT, noise
from model_backend.engine.makers import Credit, EditCanvas, Origins
from model_backend.engine.progress import ProgressListener
from model_backend.engine.synthesis.atlas import Exemplar
from model_backend.engine.synthesis.fill import Filling, Hole, depth
from model_backend.engine.synthesis.parameters import FILL
from model_backend.engine.synthesis.pyramid import UNUSABLE
from model_backend.models.banks.bank import Bank
from model_backend.models.banks.direction import direction
from model_backend.models.land_cover import SAMPLE, SOFT
from model_backend.schemas import Box, Recipe

_INSET = 12  # pixels inside the mask where the outline of what a sample shows lies
_RIM = 7  # pixels inside the mask, about, where what is asked for begins
_GAMMA = 4  # eighths
_SHIFTS = np.array([11, 12])  # cells of 8 and 16 pixels
_HEIGHTS = np.array([6 * UNIT, 9 * UNIT])


class ExampleEdit:
    """The masked part of one canvas, by example."""

    def __init__(
        self,
        bank: Bank,
        recipe: Recipe,
        canvas: EditCanvas,
        threads: int,
        given: Given = NONE,
    ) -> None:
        """Choose images for what the recipe asks for in a canvas of whole coarse pixels."""
        assert recipe.examples is not None
        use_threads(threads)
        self._recipe, self._canvas = recipe, canvas
        self._found: Int32Array | None = None
        self.profile = ExampleProfile(recipe.revision)
        gsd = recipe.examples.gsd
        samples = given.samples
        kinds = kinds_of(bank, gsd, samples)
        self._own = len(kinds) + 1  # the label of the raster's own land; that before it is of no kind
        hole = canvas.paint | ~canvas.known
        self._image = underlaid(canvas, hole)
        towards = direction(self._image)  # as what is built around it
        shown = composed(recipe, kinds, _around(canvas), given.cover, self._own, towards)
        self.notes = shown.warnings
        asked = shown.labels.labels(canvas.box, 0)
        # A sample of a whole thing, such as a lake, brings its shore: how far that is, is matched as well.
        guided = {SAMPLE} == {(*kinds, "", "")[label] for label in np.unique(asked[canvas.paint])}
        guided = guided and not any(sample.area.all() for sample in samples)
        self._guide = guide(canvas.paint, _INSET) if guided else None
        self._labels = self._laid_out(asked, kinds, 0 if guided else _RIM)
        used = tuple(kinds[label] for label in np.unique(self._labels) if label != self._own)
        known = np.where(hole, UNUSABLE, self._own).astype(np.uint8)
        own = Exemplar(self._image, known, guide(np.zeros_like(hole)) if guided else None)
        raster = Origin(RASTER, *OWN, row=canvas.box.row, col=canvas.box.col)
        first = [Sourced(own, raster)]
        first += [sample.sourced(gsd, kinds.index(sample.kind), guided) for sample in samples]
        named = [sample.kind for sample in samples]
        wanted = Wanted(kinds, used, gsd, recipe.seed, shown.words, towards)
        self._atlas = atlas_of(bank, wanted, first, named, _GAMMA)

    def credits(self) -> tuple[Credit, ...]:
        """Return where the painted pixels were copied from."""
        return () if self._found is None else self._atlas.credits(self._found)

    def origins(self) -> Origins | None:
        """Return where each of them was copied from, in row order."""
        return None if self._found is None else self._atlas.located(self._found)

    def view(self, listener: ProgressListener, shown: Box | None = None) -> Float32Array:
        """Return the canvas, (3, height, width) in 0..1, with the mask painted."""
        canvas = self._canvas
        parameters = FILL.of(len(self._atlas.atlas.levels))
        passes = Passes(listener, fill_passes(parameters))
        hole = Hole(self._image, canvas.paint, canvas.known, self._labels, self._guide)
        found = Filling(self._atlas.atlas, parameters, self._recipe.seed, raster=0).sources(hole, passes.over)
        passes.end()
        self._found = found[canvas.paint]
        rows, cols = self._found.T
        out = canvas.view.copy()
        out[:, canvas.paint] = self._atlas.atlas.levels[0].pixels[rows, cols, :3].T / np.float32(255)
        return out

    def _laid_out(self, asked: UInt8Array, kinds: tuple[str, ...], rim: int) -> UInt8Array:
        """Return the labels of the canvas: what is asked for, and the raster's own land along the rim."""
        canvas = self._canvas
        steps = depth(canvas.paint | ~canvas.known, 4 * _RIM)
        rim = min(rim, int(steps[canvas.paint].max(initial=0)) // 4)
        rows = np.arange(canvas.box.row, canvas.box.row + canvas.box.height)
        cols = np.arange(canvas.box.col, canvas.box.col + canvas.box.width)
        moved = _rough(rows, cols, self._recipe.seed & 0xFFFFFFFF, _SHIFTS, _HEIGHTS)
        soft = np.array([*(kind in (*SOFT, SAMPLE) for kind in kinds), True, True])[asked]
        begins = np.where(soft, rim + moved * rim // _RIM, rim // 2)
        inside: BoolArray = canvas.paint & (steps > begins)
        return np.where(inside, asked, self._own).astype(np.uint8)


def _around(canvas: EditCanvas) -> Box:
    """Return the box of the painted pixels."""
    rows, cols = np.flatnonzero(canvas.paint.any(1)), np.flatnonzero(canvas.paint.any(0))
    return Box(
        col=canvas.box.col + int(cols[0]),
        row=canvas.box.row + int(rows[0]),
        width=int(cols[-1] - cols[0]) + 1,
        height=int(rows[-1] - rows[0]) + 1,
    )


@njit(cache=True)
def _rough(rows, cols, seed, shifts, heights):  # type: ignore[no-untyped-def]
    """Return smooth whole numbers of a few pixels, a function of seed and place."""
    out = np.zeros((len(rows), len(cols)), np.int64)
    for j in range(len(rows)):
        for i in range(len(cols)):
            y, x = rows[j] * 256 + 128, cols[i] * 256 + 128
            for k in range(len(shifts)):
                out[j, i] += (heights[k] * noise(y, x, shifts[k], seed + k * OCTAVE)) >> 24
    return out
