"""Putting generated pixels into a mask so that nothing outside it changes and nothing shows at its border.

Three parts, for any number of bands: distances inside a mask (growing it, feathering it), the membrane (the
tone difference along the border, carried smoothly into the mask: Perez, Gangnet, Blake, "Poisson image
editing", 2003, as Farbman et al. apply it in "Coordinates for instant image cloning", 2009), and the
rounding back to the band's own type. Works on arrays of one box, (rows, columns), rows southward; distances
in the unit of ``spacing``. Time and memory grow with the box and the mask in it, never with the raster; what
is needed for one band only is held for one band only. Knows no model, CRS or file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import BoolArray, Float32Array, Float64Array
from model_backend.engine.editing.membrane import Membrane, highest
from model_backend.errors import JobFailed

REACH = 256  # pixels that a grow or a feather may reach at most: the cost grows with it
#: The pull of copied pixels: more leaves borders smoother than those of real land (docs/benchmarks).
COPIED_PULL = 0.5
_RING = 2  # pixels around over which the tone along the border is averaged, so that noise makes no streaks
_NEW_RING = 1  # the same of new land: no feather hides the step that is left when more are averaged
_CELL = 8  # pixels of a side of the cells in which unknown land takes a tone
_PART = 1 << 18  # pixels at a time, so that what is in between stays small


def distance(inside: BoolArray, spacing: tuple[float, float], limit: float) -> Float32Array:
    """Return the distance of every True pixel's centre to the nearest False pixel's, at most ``limit``.

    ``spacing`` is the height and width of a pixel. What lies beyond the array counts as inside. Exact
    Euclidean distances: columns first, then the lower envelope over the rows within reach (Meijster et al.,
    2000).
    """
    reach = min(int(limit / spacing[0]) + 1, inside.shape[0])
    squared = _along_rows(inside)
    squared *= np.float32(spacing[1])
    squared *= squared
    best = squared.copy()
    for step in range(1, reach):
        offset = np.float32((step * spacing[0]) ** 2)
        np.minimum(best[step:], squared[:-step] + offset, out=best[step:])
        np.minimum(best[:-step], squared[step:] + offset, out=best[:-step])
    np.sqrt(best, out=best)
    np.minimum(best, np.float32(limit), out=best)
    return best


def _along_rows(inside: BoolArray) -> Float32Array:
    """Return the pixels to the nearest False pixel of the same row, infinite where there is none."""
    column = np.arange(inside.shape[1], dtype=np.float32)
    far = np.float32(np.inf)
    left = np.where(inside, -far, column)
    np.maximum.accumulate(left, axis=1, out=left)
    np.subtract(column, left, out=left)
    right = np.where(inside, far, column)
    np.minimum.accumulate(right[:, ::-1], axis=1, out=right[:, ::-1])
    np.subtract(right, column, out=right)
    return np.minimum(left, right, out=left)


def grow(mask: BoolArray, spacing: tuple[float, float], by: float) -> BoolArray:
    """Return the mask with every pixel whose centre lies within ``by`` of a masked pixel's centre."""
    if by <= 0 or not mask.any():
        return mask
    return distance(~mask, spacing, by * 1.001 + max(spacing)) <= by * (1 + 1e-6)


def continued(view: Float32Array, known: BoolArray) -> Float32Array:
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
    membrane = Membrane(~fixed, ring) if ring.any() else None
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
        self,
        mask: BoolArray,
        known: BoolArray,
        spacing: tuple[float, float],
        feather: float,
        new_land: bool = False,
        pull: float = 1.0,
    ) -> None:
        """Take the pixels that may change, those that have values in the source, and the feather's width.

        The border is where the mask meets known pixels that stay: an edge towards nodata or the end of the
        raster is not feathered and pulls no tone. Of an edit the generated picture is compared with the known
        pixels where it repeats them; of ``new_land`` just inside the mask, so that the known land goes on
        there in its own tone. ``pull`` is the share of the difference that is taken away: real pixels keep
        some of it, as neighbouring real land has it.
        """
        self._pull = pull
        self.mask = mask
        self._stays = known & ~mask
        self._repeated = mask if new_land else self._stays
        self._reach = _NEW_RING if new_land else _RING
        self._ring = self._stays & _spread(mask)
        weight = self._weight(spacing, feather)
        #: Which masked pixels, in row order, are mixed of the source and what was generated, and how much of
        #: either: 1 is generated alone.
        self._soft = np.flatnonzero((weight < 1) & known[mask])
        self._share = weight[self._soft]
        self._membrane = Membrane(mask, self._ring) if self._ring.any() else None

    def _weight(self, spacing: tuple[float, float], feather: float) -> Float32Array:
        """Weight of the generated pixels, (masked pixels,): 1 inside, falling towards the border.

        Where the mask is thinner than two feathers, the feather is as wide as half the mask is thick there,
        so that a thin stroke or a single pixel is still painted in full along its middle.
        """
        if feather <= min(spacing) or not self._ring.any():
            return np.ones(int(self.mask.sum()), np.float32)
        inside = distance(~self._ring, spacing, feather)
        inside *= self.mask
        thick = inside
        for axis in (0, 1):
            thick = highest(thick, int(feather / spacing[axis]) + 1, axis)
        x = inside[self.mask]
        x /= np.maximum(thick[self.mask], np.float32(min(spacing)))
        weight: Float32Array = x * x * (3 - 2 * x)
        return weight

    def band(self, source: NDArray[Any], generated: Float64Array) -> Float64Array:
        """Return the values of the masked pixels, in row order: generated, in the surroundings' tone,
        feathered. Raises JobFailed if a value is not finite.

        ``source`` and ``generated`` are (rows, columns) in the same unit; the source's values inside the mask
        only count where it is feathered and known.
        """
        values: Float64Array = generated[self.mask]
        if self._membrane is not None:
            values += self._pull * self._membrane.solve(self._difference(source, generated))
        values = self.feathered(source, values)
        if not np.isfinite(values).all():
            raise JobFailed(
                "The values to be painted are not finite. Set the nodata value of the raster, so that what"
                " it has beside the mask is no infinite number, and try again."
            )
        return values

    def feathered(self, source: NDArray[Any], values: Float64Array) -> Float64Array:
        """Return new ``values`` of the masked pixels, in place, faded into the source's at the border."""
        old, new = source[self.mask][self._soft].astype(np.float64), values[self._soft]
        # Written as a step away from the source, so that an edit which changes nothing changes no bit.
        values[self._soft] = np.where(np.isfinite(old), old + self._share * (new - old), new)
        return values

    def _difference(self, source: NDArray[Any], generated: Float64Array) -> Float64Array:
        """Return source minus generated on the ring, each averaged over the pixels around."""
        return self._near(source, self._stays) - self._near(generated, self._repeated)

    def _near(self, values: NDArray[Any], where: BoolArray) -> Float64Array:
        """Return for every pixel of the ring the mean of those around it that are in ``where``."""
        ring = np.flatnonzero(self._ring)
        out = np.empty(len(ring))
        for part in _parts(len(ring)):
            row, col = np.divmod(ring[part], self.mask.shape[1])
            total, count = np.zeros(len(row)), np.zeros(len(row))
            for down in range(-self._reach, self._reach + 1):
                for right in range(-self._reach, self._reach + 1):
                    at = _inside(row + down, 0, values), _inside(col + right, 1, values)
                    counts = where[at] & (at[0] == row + down) & (at[1] == col + right)
                    total += np.where(counts, values[at].astype(np.float64), 0.0)
                    count += counts
            out[part] = total / count
        return out


def _inside(places: NDArray[np.intp], axis: int, array: NDArray[Any]) -> NDArray[np.intp]:
    return places.clip(0, array.shape[axis] - 1)


def _parts(length: int) -> Iterator[slice]:
    for start in range(0, length, _PART):
        yield slice(start, start + _PART)


def cast(
    values: Float64Array, dtype: np.dtype[Any], avoid: float | None, highest: int | None = None
) -> NDArray[Any]:
    """Return values rounded and clipped to ``dtype``, none of them equal to the nodata value ``avoid``.

    A value that would read as nodata moves to the neighbouring representable one. ``highest`` is the largest
    whole number that a pixel holds, if it has fewer bits than its type.
    """
    most = np.iinfo(dtype).max if highest is None and dtype.kind != "f" else highest
    out = np.empty(values.shape, dtype)
    for part in _parts(len(values)):
        out[part] = _cast(values[part], dtype, avoid, most)
    return out


def _cast(values: Float64Array, dtype: np.dtype[Any], avoid: float | None, most: int | None) -> NDArray[Any]:
    if most is None:
        out = values.astype(dtype)
    else:
        least = np.iinfo(dtype).min
        rounded = np.rint(np.nan_to_num(values, nan=0.0))
        out = np.where(rounded >= most, most, np.where(rounded <= least, least, rounded))
        # A float64 can be one above the largest 64-bit integer: clipped first by value, then by type.
        out = _exact(out, most, dtype)
    if avoid is None or np.isnan(avoid):
        return out
    hit = out == np.asarray(avoid).astype(dtype)
    if hit.any():
        out[hit] = _beside(np.asarray(avoid).astype(dtype), dtype, most)
    return out


def _exact(values: Float64Array, most: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    top = values >= most
    out = np.where(top, 0, values).astype(dtype)
    out[top] = most
    return out


def _beside(value: NDArray[Any], dtype: np.dtype[Any], most: int | None) -> Any:
    """Return the representable value next to ``value``, upwards where there is room."""
    if dtype.kind == "f":
        up = np.nextafter(value, np.asarray(np.inf, dtype))
        return up if np.isfinite(up) else np.nextafter(value, np.asarray(-np.inf, dtype))
    return int(value) - 1 if int(value) == most else int(value) + 1


def _spread(mask: BoolArray) -> BoolArray:
    """Return the mask and its four-neighbours."""
    out = mask.copy()
    out[1:] |= mask[:-1]
    out[:-1] |= mask[1:]
    out[:, 1:] |= mask[:, :-1]
    out[:, :-1] |= mask[:, 1:]
    return out
