"""What a scene by example takes, from the same boxes that it is made of. Plans ask here: no numba."""

from __future__ import annotations

from collections.abc import Iterable

from model_backend.engine.synthesis.extents import Extents
from model_backend.schemas import Box

_UNIT = 1 << 14  # pixels of the finest level that count as one unit of work
_WORK = (1, 2, 10, 16, 40)  # of all passes over a pixel of every level, measured, finest first


def work(level: int, pixels: int) -> int:
    """Return the work in so many pixels of a level, in pixels of the finest one."""
    return _WORK[level] * pixels


def count_blocks(extents: Extents, blocks: Iterable[Box]) -> list[int]:
    """Return the units of work of every block in the order of the scan; coarse pieces count once."""
    made: set[Box] = set()
    counts = []
    for block in blocks:
        fresh = [piece for piece in extents.pieces(block) if piece not in made]
        made.update(fresh)
        counts.append(max(1, -(-block_work(extents, block, fresh) // _UNIT)))
    return counts


def block_work(extents: Extents, block: Box, fresh: Iterable[Box]) -> int:
    """Return the work of a block and of the coarse pieces that are not made yet."""
    done = sum(work(level, _area(box)) for level, box in enumerate(extents.fine(block)))
    first = extents.parameters.shared
    for piece in fresh:
        done += sum(work(first + number, _area(box)) for number, box in enumerate(extents.coarse(piece)))
    return done


def _area(box: Box) -> int:
    return box.width * box.height
