"""Towns from near: their streets, their blocks, and an outline that follows the blocks.

``network`` says where streets run; this draws them over zones that are settled. Knows no kinds of land.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from model_backend.arrays import Int64Array, UInt8Array
from model_backend.engine.composition.layers import Source, around, between, box_of
from model_backend.engine.composition.outlines.marking import inside_round
from model_backend.engine.composition.outlines.network import BEND, CELL, block_at, district_centres
from model_backend.engine.composition.outlines.noise import UNIT
from model_backend.engine.composition.outlines.shapes import Round
from model_backend.engine.synthesis.hashing import below

KEEP = 255  # a block that stays what it is
PLAIN, VARIED, CENTRED = 1, 2, 3
_VARIANTS = 64
_SLOW = 600  # metres: cells of the noise that bends streets
_LEAST = 60  # metres of radius from which an outline follows blocks


@dataclass(frozen=True)
class Network:
    """Streets of the whole plane; ``metre`` is in units of 1/256 pixel."""

    metre: int
    base: int  # the usual direction of streets
    seed: int

    def near(self, rows: Int64Array, cols: Int64Array) -> tuple[int, int, int, int, int, Int64Array]:
        """Return what compiled functions need to know of the streets of some pixels."""
        size, margin = CELL * self.metre, BEND * self.metre
        top = (int(rows[0]) * 256 - margin) // size - 1
        left = (int(cols[0]) * 256 - margin) // size - 1
        bottom = (int(rows[-1]) * 256 + 256 + margin) // size + 2
        right = (int(cols[-1]) * 256 + 256 + margin) // size + 2
        centres = district_centres(top, left, bottom - top, right - left, self.metre, self.base, self.seed)
        slow = (_SLOW * self.metre).bit_length() - 1
        return self.metre, slow, self.seed, top, left, centres


@dataclass(frozen=True)
class Settlement:
    """A layer of towns that end where blocks end: a block belongs to a town if its middle does."""

    source: Source
    zone: int
    network: Network

    def paint(self, zones: UInt8Array, rows: Int64Array, cols: Int64Array) -> None:
        """Draw the towns."""
        margin = 150 * self.network.metre
        for shape in self.source.within(around(box_of(rows, cols), margin)):
            top, left, bottom, right = shape.bounds()
            down = between(rows, top - margin, bottom + margin)
            across = between(cols, left - margin, right + margin)
            if down.start >= down.stop or across.start >= across.stop:
                continue
            part = zones[down, across]
            if isinstance(shape, Round) and shape.radius > _LEAST * self.network.metre:
                near = self.network.near(rows[down], cols[across])
                middle = np.array([shape.row // UNIT]), np.array([shape.col // UNIT])
                centre = self.network.near(*middle)
                rough = *shape.rough.arrays(), shape.rough.seed
                _settle(part, rows[down], cols[across], self.zone, shape.place(), rough, near, centre)
            else:
                part[shape.mark(rows[down], cols[across], 0) > 0] = self.zone


@dataclass(frozen=True)
class Streets:
    """A layer of streets over settled zones.

    ``settled`` has zones and how varied their blocks are: ``PLAIN``, ``VARIED``, or ``CENTRED``, with large
    buildings in some districts.
    ``variants`` says of each of 64 lots, drawn by blocks, which zone it becomes; the second half is for
    centres.
    """

    road: int
    settled: tuple[tuple[int, int], ...]
    variants: tuple[int, ...]
    network: Network

    def paint(self, zones: UInt8Array, rows: Int64Array, cols: Int64Array) -> None:
        """Draw streets and blocks where settled zones are."""
        settled = np.zeros(256, np.uint8)
        for zone, variety in self.settled:
            settled[zone] = variety
        if settled[zones].any():
            variants = np.array(self.variants, np.uint8)
            _draw(zones, rows, cols, settled, variants, self.road, self.network.near(rows, cols))


@njit(cache=True)
def _settle(zones, rows, cols, zone, place, rough, near, centre):  # type: ignore[no-untyped-def]
    """Settle the blocks whose middle lies in a shape, and the one in its middle."""
    shifts, heights, seed = rough
    _, _, first, _, _ = block_at(place[0], place[1], *centre)
    known, inside = first, True
    for j in range(len(rows)):
        for i in range(len(cols)):
            _, _, block, y, x = block_at(rows[j] * 256 + 128, cols[i] * 256 + 128, *near)
            if block != known:
                known = block
                inside = block == first or inside_round(y, x, place, shifts, heights, seed) > 0
            if inside:
                zones[j, i] = zone


@njit(cache=True)
def _draw(zones, rows, cols, settled, variants, road, near):  # type: ignore[no-untyped-def]
    """Draw streets and blocks."""
    for j in range(len(rows)):
        for i in range(len(cols)):
            variety = settled[zones[j, i]]
            if not variety:
                continue
            street, district, block, _, _ = block_at(rows[j] * 256 + 128, cols[i] * 256 + 128, *near)
            if street:
                zones[j, i] = road
            elif variety != PLAIN:
                lot = below(block, _VARIANTS // 2)
                if variety == CENTRED and below(district, 4) == 0:
                    lot += _VARIANTS // 2
                if variants[lot] != KEEP:
                    zones[j, i] = variants[lot]
