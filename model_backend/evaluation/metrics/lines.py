"""Seams and tone steps: how the lines of a lattice compare with other lines of the picture.

A line k of an axis lies between the cells k - 1 and k.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import Float64Array
from model_backend.evaluation.metrics.comparison import BAND, Comparison, ratio

Axis = Literal["rows", "cols"]  # "rows": lines between rows, which lie across the picture from west to east

AXES: tuple[Axis, Axis] = ("rows", "cols")


@dataclass(frozen=True)
class Lines:
    """The lines of a lattice along one axis: every ``period`` cells, one of them at ``offset``."""

    period: int
    offset: int = 0

    def within(self, length: int) -> NDArray[np.intp]:
        """Positions of the lines inside an axis of this length; its two ends are no lines."""
        first = (self.offset - 1) % self.period + 1
        return np.arange(first, length, self.period)


def seam_ratio(image: NDArray[Any], axis: Axis, lines: Lines, factor: int = 1) -> Comparison:
    """Return the seam gradient ratio: mean squared difference across the lines / across comparable others.

    Comparable are lines of the same residue modulo ``factor``, the pixels per latent: decoders leave a comb
    of that period, which is no seam. The band is that of a decoy lattice of prime period, over all its
    offsets. Raises ValueError if no line lies inside the picture, or none is left to compare with.
    """
    return _compare(_gradients(image, axis), lines, factor)


def tone_step_ratio(image: NDArray[Any], axis: Axis, lines: Lines, width: int, factor: int = 1) -> Comparison:
    """Return the tone step ratio: |mean colour before - behind| at the lines / at comparable others.

    Means are over squares of ``width`` pixels on either side, side by side along the line; lines nearer than
    that to an end are left out. This catches tiles of different tone that meet without a sharp edge. Band
    and errors as for `seam_ratio`.
    """
    return _compare(_steps(image, axis, width), lines, factor)


def line_profile(image: NDArray[Any], axis: Axis, width: int | None = None) -> Float64Array:
    """Measure every line as `seam_ratio` (with a ``width``: `tone_step_ratio`) does; NaN at the ends.

    Unit: squared, or plain, values of the picture.
    """
    return _gradients(image, axis) if width is None else _steps(image, axis, width)


def decoy_period(period: int) -> int:
    """Return the prime nearest to a period but not equal to it: a lattice that nothing was laid on."""
    step = 1
    while True:
        for candidate in (period + step, period - step):
            if _is_prime(candidate):
                return candidate
        step += 1


def across(image: NDArray[Any], axis: Axis) -> Float64Array:
    """Return the picture in float64 with the axis that lines cut as its last one."""
    values = image.astype(np.float64)
    return values if axis == "cols" else values.swapaxes(-1, -2)


def _gradients(image: NDArray[Any], axis: Axis) -> Float64Array:
    energy = np.square(np.diff(across(image, axis), axis=-1)).mean(axis=(0, 1))
    return np.concatenate([[np.nan], energy])


def _steps(image: NDArray[Any], axis: Axis, width: int) -> Float64Array:
    values = across(image, axis)
    bands, along, length = values.shape
    profile = np.full(length, np.nan)
    squares = along // width
    if not squares or length < 2 * width:
        return profile
    runs = values[:, : squares * width].reshape(bands, squares, width, length).mean(2)
    total = np.concatenate([np.zeros((bands, squares, 1)), runs.cumsum(-1)], axis=-1)
    means = (total[..., width:] - total[..., :-width]) / width  # of the cells from k on
    profile[width : length - width + 1] = np.abs(means[..., width:] - means[..., :-width]).mean(axis=(0, 1))
    return profile


def _compare(profile: Float64Array, lines: Lines, factor: int) -> Comparison:
    """Compare a profile's values at the lines with the others of the same residues modulo ``factor``."""
    groups = _groups(profile, lines, factor)
    if not groups:
        raise ValueError(f"an axis of {len(profile)} cells is too short for {lines}")
    decoy = decoy_period(lines.period)
    places = [Lines(decoy, offset) for offset in range(1, min(decoy, len(profile) - 1) + 1)]
    ratios = [_mean_ratio(found) for place in places if (found := _groups(profile, place, factor))]
    low, high = np.percentile(ratios, BAND)
    count = sum(len(mine) for mine, _ in groups)
    return Comparison(_mean_ratio(groups), _rank_z(groups), (float(low), float(high)), count)


def _groups(profile: Float64Array, lines: Lines, factor: int) -> list[tuple[Float64Array, Float64Array]]:
    """Return values at the lines and values to compare them with, by residue; undefined ones left out."""
    at = lines.within(len(profile))
    at = at[np.isfinite(profile[at])]
    usable = np.isfinite(profile)
    usable[at] = False
    pairs = [
        (profile[at[at % factor == residue]], profile[residue::factor][usable[residue::factor]])
        for residue in np.unique(at % factor)
    ]
    return [(mine, others) for mine, others in pairs if len(others) > 1]


def _mean_ratio(groups: list[tuple[Float64Array, Float64Array]]) -> float:
    found = sum(float(mine.sum()) for mine, _ in groups)
    expected = sum(float(others.mean()) * len(mine) for mine, others in groups)
    return ratio(found, expected)


def _rank_z(groups: list[tuple[Float64Array, Float64Array]]) -> float:
    """Return how far the lines' values lie above the others', in standard deviations of a random choice.

    By normal scores of their ranks (van der Waerden's test), whose mean and variance under resampling of the
    lines are known in closed form: one road that happens to run along one line is worth one line, not
    twenty, while a seam is on every line.
    """
    total = variance = 0.0
    for mine, others in groups:
        scores = _normal_scores(np.concatenate([mine, others]))
        total += float(scores[: len(mine)].sum())
        variance += len(mine) * (1 - len(mine) / len(scores)) * float(scores.var(ddof=1))
    return ratio(total, float(np.sqrt(variance)))


def _normal_scores(values: Float64Array) -> Float64Array:
    """Return the normal quantiles of the values' ranks, ties sharing the middle one."""
    ordered, count = np.sort(values), len(values)
    ranks = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") + 1) / 2
    normal = NormalDist()
    return np.array([normal.inv_cdf(rank / (count + 1)) for rank in ranks])


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))
