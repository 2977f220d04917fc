"""How far a raster is to reach beyond its sides, in pixels of its own grid, and what that is on the map.

Pure; sides are those of a raster as a map shows it, whichever way its file counts columns and rows. Of a
raster that is turned on the map they are those of its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from qgis.core import QgsRectangle

from text2earth_qgis.core.imagery.datasets import Grid
from text2earth_qgis.core.imagery.extension import FARTHEST, Extension
from text2earth_qgis.core.wire.schemas import Box

SIDES = ("top", "left", "right", "bottom")


@dataclass(frozen=True)
class Reach:
    """Pixels beyond each side, none of them negative."""

    top: int = 0
    left: int = 0
    right: int = 0
    bottom: int = 0

    def with_side(self, side: str, pixels: float, alike: bool = False) -> Reach:
        """Return a reach with another number of pixels on a side, or ``alike`` on all."""
        value = min(max(0, round(pixels)), FARTHEST)
        return replace(self, **dict.fromkeys(SIDES if alike else (side,), value))

    def box(self, grid: Grid) -> Box:
        """Return the pixels of the grid that the raster and the land beyond it have."""
        above, after, below, before = (getattr(self, side) for side in sides_of(grid))
        return Box(-before, -above, grid.width + before + after, grid.height + above + below)


def sides_of(grid: Grid) -> tuple[str, str, str, str]:
    """Return the sides at which the first row, last column, last row and first column of a grid lie."""
    if is_turned(grid):
        return "top", "right", "bottom", "left"
    left, right = ("left", "right") if grid.transform[1] > 0 else ("right", "left")
    top, bottom = ("top", "bottom") if grid.transform[5] < 0 else ("bottom", "top")
    return top, right, bottom, left


def beyond(column: float, row: float, grid: Grid) -> dict[str, float]:
    """Return how far a place on a grid lies beyond each side of the raster, negative where it does not."""
    return dict(zip(sides_of(grid), (-row, column - grid.width, row - grid.height, -column)))


def reach_of(box: Box, grid: Grid) -> Reach:
    """Return how far a box of pixels reaches beyond a raster."""
    far = beyond(box.col + box.width, box.row + box.height, grid)
    near = beyond(box.col, box.row, grid)
    return Reach(**{side: max(0, int(near[side]), int(far[side])) for side in SIDES})


def is_turned(grid: Grid) -> bool:
    """Say whether rows and columns of a grid are turned against the axes of its CRS."""
    return bool(grid.transform[2] or grid.transform[4])


def extension_of(box: Box, grid: Grid, fill_holes: bool = False) -> Extension:
    """Return the extension that means these pixels of a grid that is not turned."""
    left, width, _, top, _, height = grid.transform
    xs = left + box.col * width, left + (box.col + box.width) * width
    ys = top + box.row * height, top + (box.row + box.height) * height
    return Extension(QgsRectangle(min(xs), min(ys), max(xs), max(ys)), grid.crs, fill_holes)
