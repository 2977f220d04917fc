"""Putting generated pixels into a mask so that nothing outside it changes and nothing shows at its border.

Three parts, for any number of bands: distances inside a mask (growing it, feathering it), the membrane (the
tone difference along the border, carried smoothly into the mask: Perez, Gangnet, Blake, "Poisson image
editing", 2003, as Farbman et al. apply it in "Coordinates for instant image cloning", 2009), and the
rounding back to the band's own type. Works on arrays of one box, (rows, columns), rows southward; distances
in the unit of ``spacing``. Time and memory grow with the box and the mask in it, never with the raster.
Knows no model, CRS or file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

REACH = 256  # pixels that a grow or a feather may reach at most: the cost grows with it
_RING = 2  # pixels over which the tone along the border is averaged, so that noise makes no streaks
_MANY = 250_000  # pixels of a level from which fewer sweeps do: the start from the coarser level is closer
_CELL = 8  # pixels of a side of the cells in which unknown land takes a tone
_SWEEPS = 24  # relaxation sweeps per level of the membrane; see the test against a direct solution


def distance(inside: Bools, spacing: tuple[float, float], limit: float) -> Floats:
    """Return the distance of every True pixel's centre to the nearest False pixel's, at most ``limit``.

    ``spacing`` is the height and width of a pixel. What lies beyond the array counts as inside. Exact
    Euclidean distances: columns first, then the lower envelope over the rows within reach (Meijster et al.,
    2000).
    """
    reach = min(int(limit / spacing[0]) + 1, inside.shape[0])
    squared = np.square(_along_rows(inside) * np.float32(spacing[1]))
    best = squared.copy()
    for step in range(1, reach):
        offset = np.float32((step * spacing[0]) ** 2)
        np.minimum(best[step:], squared[:-step] + offset, out=best[step:])
        np.minimum(best[:-step], squared[step:] + offset, out=best[:-step])
    capped: Floats = np.minimum(np.sqrt(best), np.float32(limit))
    return capped


def _along_rows(inside: Bools) -> Floats:
    """Return the pixels to the nearest False pixel of the same row, infinite where there is none."""
    column = np.arange(inside.shape[1], dtype=np.float32)
    far = np.float32(np.inf)
    left = np.maximum.accumulate(np.where(inside, -far, column), axis=1)
    right = np.minimum.accumulate(np.where(inside, far, column)[:, ::-1], axis=1)[:, ::-1]
    return np.minimum(column - left, right - column)


def grow(mask: Bools, spacing: tuple[float, float], by: float) -> Bools:
    """Return the mask with every pixel whose centre lies within ``by`` of a masked pixel's centre."""
    if by <= 0 or not mask.any():
        return mask
    return distance(~mask, spacing, by * 1.001 + max(spacing)) <= by * (1 + 1e-6)


def continued(view: Floats, known: Bools) -> Floats:
    """Return a picture, (bands, rows, columns), with the tone of the known land carried over the unknown.

    A membrane of cells, not of pixels: it is smooth, and its cost small beside that of painting.
    """
    height, width = known.shape
    pads = ((0, -height % _CELL), (0, -width % _CELL))
    shape = (height + pads[0][1]) // _CELL, _CELL, (width + pads[1][1]) // _CELL, _CELL
    count = np.pad(known, pads).reshape(shape).sum((1, 3))
    fixed = count > 0
    if not fixed.any() or known.all():
        return view
    ring = fixed & _spread(~fixed)
    membrane = _Membrane(~fixed, ring) if ring.any() else None
    out = view.copy()
    for band in out:
        cells = np.pad(np.where(known, band, 0), pads).reshape(shape).sum((1, 3)) / np.maximum(count, 1)
        if membrane is not None:
            cells[~fixed] = membrane.solve(cells[ring])
        tone = cells.repeat(_CELL, 0).repeat(_CELL, 1)[:height, :width]
        band[~known] = tone[~known]
    return out


class Join:
    """How generated pixels join the known ones around a mask; made once, used for every band."""

    def __init__(
        self, mask: Bools, known: Bools, spacing: tuple[float, float], feather: float, new_land: bool = False
    ) -> None:
        """Take the pixels that may change, the pixels with values that stay, and the feather's width.

        The border is where the two touch: an edge towards nodata or the end of the raster is not feathered
        and pulls no tone. Of an edit the generated picture is compared with the known pixels where it repeats
        them; of ``new_land`` just inside the mask, so that the known land goes on there in its own tone.
        """
        known = known & ~mask
        self.mask = mask
        self._repeated = mask if new_land else known
        self._known = known
        self._ring = known & _spread(mask)
        self.weight = self._weight(spacing, feather)
        self._membrane = _Membrane(mask, self._ring) if self._ring.any() else None

    def _weight(self, spacing: tuple[float, float], feather: float) -> Floats:
        """Weight of the generated pixels, (masked pixels,): 1 inside, falling towards the border.

        Where the mask is thinner than two feathers, the feather is as wide as half the mask is thick there,
        so that a thin stroke or a single pixel is still painted in full along its middle.
        """
        if feather <= min(spacing) or not self._ring.any():
            return np.ones(int(self.mask.sum()), np.float32)
        inside = distance(~self._ring, spacing, feather) * self.mask
        thick = inside
        for axis in (0, 1):
            thick = _highest(thick, int(feather / spacing[axis]) + 1, axis)
        x = inside[self.mask] / np.maximum(thick[self.mask], np.float32(min(spacing)))
        weight: Floats = (x * x * (3 - 2 * x)).astype(np.float32)
        return weight

    def band(self, source: NDArray[Any], generated: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values of the masked pixels, in row order: generated, in the surroundings' tone,
        feathered.

        ``source`` and ``generated`` are (rows, columns) in the same unit; the source's values inside the mask
        only count where it is feathered and valid.
        """
        values = generated[self.mask]
        if self._membrane is not None:
            values = values + self._membrane.solve(self._difference(source, generated))
        return self.feathered(source, values)

    def feathered(self, source: NDArray[Any], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return new ``values`` of the masked pixels, faded into the source's at the border."""
        soft = self.weight < 1
        old, new = source[self.mask][soft].astype(np.float64), values[soft]
        out = values.copy()
        # Written as a step away from the source, so that an edit which changes nothing changes no bit.
        out[soft] = np.where(np.isfinite(old), old + self.weight[soft] * (new - old), new)
        return out

    def _difference(self, source: NDArray[Any], generated: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return source minus generated on the ring, each averaged over the pixels around."""
        return self._near(source, self._known) - self._near(generated, self._repeated)

    def _near(self, values: NDArray[Any], where: Bools) -> NDArray[np.float64]:
        """Return for every pixel of the ring the mean of those around it that are in ``where``."""
        total, count = np.where(where, values.astype(np.float64), 0.0), where.astype(np.float64)
        for axis in (0, 1):
            total, count = _sum(total, _RING, axis), _sum(count, _RING, axis)
        ring: NDArray[np.float64] = total[self._ring] / count[self._ring]
        return ring


def cast(values: NDArray[np.float64], dtype: np.dtype[Any], avoid: float | None) -> NDArray[Any]:
    """Return values rounded and clipped to ``dtype``, none of them equal to the nodata value ``avoid``.

    A value that would read as nodata moves to the neighbouring representable one.
    """
    if dtype.kind == "f":
        out = values.astype(dtype)
    else:
        info = np.iinfo(dtype)
        rounded = np.rint(np.nan_to_num(values, nan=0.0))
        out = np.where(rounded >= info.max, info.max, np.where(rounded <= info.min, info.min, rounded))
        # A float64 can be one above the largest 64-bit integer: clipped first by value, then by type.
        out = _exact(out, info, dtype)
    if avoid is None or np.isnan(avoid):
        return out
    hit = out == np.asarray(avoid).astype(dtype)
    if hit.any():
        out[hit] = _beside(np.asarray(avoid).astype(dtype), dtype)
    return out


def _exact(values: NDArray[np.float64], info: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    top = values >= info.max
    out = np.where(top, 0, values).astype(dtype)
    out[top] = info.max
    return out


def _beside(value: NDArray[Any], dtype: np.dtype[Any]) -> Any:
    """Return the representable value next to ``value``, upwards where there is room."""
    if dtype.kind == "f":
        up = np.nextafter(value, np.asarray(np.inf, dtype))
        return up if np.isfinite(up) else np.nextafter(value, np.asarray(-np.inf, dtype))
    return int(value) - 1 if int(value) == np.iinfo(dtype).max else int(value) + 1


def _spread(mask: Bools) -> Bools:
    """Return the mask and its four-neighbours."""
    out = mask.copy()
    out[1:] |= mask[:-1]
    out[:-1] |= mask[1:]
    out[:, 1:] |= mask[:, :-1]
    out[:, :-1] |= mask[:, 1:]
    return out


def _highest(values: Floats, radius: int, axis: int) -> Floats:
    """Return the running maximum over 2 ``radius`` + 1 values along an axis, by doubling."""
    width, out = 1, values
    padded = [(0, 0), (0, 0)]
    padded[axis] = (radius, radius)
    out = np.pad(values, padded)
    wanted = 2 * radius + 1
    while width < wanted:
        step = min(width, wanted - width)
        length = out.shape[axis] - step
        out = np.maximum(_slice(out, axis, 0, length), _slice(out, axis, step, step + length))
        width += step
    return out


def _slice(values: NDArray[Any], axis: int, start: int, stop: int) -> NDArray[Any]:
    return values[start:stop] if axis == 0 else values[:, start:stop]


def _sum(values: NDArray[np.float64], radius: int, axis: int) -> NDArray[np.float64]:
    """Return the running sum over 2 ``radius`` + 1 values along an axis; beyond the array are zeros."""
    padded = [(0, 0), (0, 0)]
    padded[axis] = (radius, radius)
    wide, length = np.pad(values, padded), values.shape[axis]
    out = np.zeros_like(values)
    for step in range(2 * radius + 1):
        out += _slice(wide, axis, step, step + length)
    return out


class _Membrane:
    """The solution of Laplace's equation in ``free``, given values on ``fixed``; other pixels do not exist.

    Cascadic multigrid: the coarsest level is solved first, each solution is the start on the next finer
    one, where red-black sweeps smooth it. Works on lists of pixels, so that its cost is that of the mask,
    not of its box.
    """

    def __init__(self, free: Bools, fixed: Bools) -> None:
        self._fixed = np.flatnonzero(np.pad(fixed, 1))
        self._free = np.flatnonzero(np.pad(free, 1))
        self._shape = (free.shape[0] + 2, free.shape[1] + 2)
        self._sweeps = _SWEEPS if len(self._free) < _MANY else _SWEEPS // 3
        self._coarse: _Membrane | None = None
        if max(free.shape) > 4 and len(self._free) > 1:
            self._make_coarse(free, fixed)
        self._neighbours()

    def _make_coarse(self, free: Bools, fixed: Bools) -> None:
        some_fixed, some_free = _halve(fixed), _halve(free)
        width = some_fixed.shape[1]
        row, col = np.divmod(self._fixed, self._shape[1])
        cells = ((row - 1) // 2) * width + (col - 1) // 2
        # Coarse rings are numbered in flat order, as those of the coarser membrane are.
        self._group = np.searchsorted(np.flatnonzero(some_fixed), cells)
        self._coarse = _Membrane(np.logical_and(some_free, ~some_fixed), some_fixed)
        row, col = np.divmod(self._free, self._shape[1])
        self._parent = ((row - 1) // 2 + 1) * (width + 2) + (col - 1) // 2 + 1

    def _neighbours(self) -> None:
        exists = np.zeros(self._shape, np.bool_).ravel()
        exists[self._fixed] = exists[self._free] = True
        row, col = np.divmod(self._free, self._shape[1])
        self._colours = []
        for colour in (0, 1):
            cells = self._free[(row + col) % 2 == colour]
            around = np.stack([cells - self._shape[1], cells - 1, cells + 1, cells + self._shape[1]])
            share = exists[around].astype(np.float32)
            alone = share.sum(0) == 0
            share /= np.maximum(share.sum(0), 1)
            self._colours.append((cells[~alone], around[:, ~alone], share[:, ~alone]))

    def solve(self, ring: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values of the free pixels in row order; ``ring`` are those of the fixed ones."""
        return self._field(ring)[self._free]

    def _field(self, ring: NDArray[np.float64]) -> NDArray[np.float64]:
        field = np.zeros(self._shape[0] * self._shape[1])
        field[self._fixed] = ring
        if self._coarse is None:
            field[self._free] = ring.mean()
        else:
            count = np.bincount(self._group)
            field[self._free] = self._coarse._field(np.bincount(self._group, ring) / count)[self._parent]
        for _ in range(self._sweeps):
            for cells, around, share in self._colours:
                field[cells] = np.einsum("kn,kn->n", field[around], share)
        return field


def _halve(mask: Bools) -> Bools:
    """Return the mask at half the resolution, a cell being set if any of its four is."""
    rows, cols = mask.shape
    even = np.pad(mask, ((0, rows % 2), (0, cols % 2)))
    halved: Bools = np.asarray(even.reshape((rows + 1) // 2, 2, (cols + 1) // 2, 2).any((1, 3)))
    return halved
