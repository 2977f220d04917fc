"""Honest numbers about pictures: seams, tone steps, washed-out contrast, repetition, borders of masks.

All are free of any model: ratios against other places of the same picture, or against reference pictures,
so that a real mosaic goes through the same code and says what a picture without faults looks like. A number
far from one is not a verdict by itself; every comparison therefore carries a z and a band.

Pictures are arrays (bands, rows, columns) of any real type, rows southward; results have no unit unless a
docstring names one. A line k of an axis lies between the cells k - 1 and k. Knows numpy only: no model, no
lattice of the engine, no CRS, no files. Definitions follow the project's study of unbounded diffusion (seam
gradient ratio, tone step, decoy lattice); where there is an earlier source, the function names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import BoolArray, Float64Array

Axis = Literal["rows", "cols"]  # "rows": lines between rows, which lie across the picture from west to east

AXES: tuple[Axis, Axis] = ("rows", "cols")
Z_LIMIT = 3.0
_BAND = (2.5, 97.5)  # percentiles
_OUTLINES = 400  # random outlines that a border is compared with


@dataclass(frozen=True)
class Lines:
    """The lines of a lattice along one axis: every ``period`` cells, one of them at ``offset``."""

    period: int
    offset: int = 0

    def within(self, length: int) -> NDArray[np.intp]:
        """Positions of the lines inside an axis of this length; its two ends are no lines."""
        first = (self.offset - 1) % self.period + 1
        return np.arange(first, length, self.period)


@dataclass(frozen=True)
class Comparison:
    """A place against other places: ``ratio`` 1 and ``z`` 0 where it does not stand out.

    ``band`` holds 95 % of the ratios that places without a meaning have in the same picture; ``count`` says
    how many lines, or pairs of pixels, the place consists of.
    """

    ratio: float
    z: float
    band: tuple[float, float]
    count: int

    @property
    def passed(self) -> bool:
        """Whether |z| < 3 and the ratio lies within the band."""
        return abs(self.z) < Z_LIMIT and self.band[0] <= self.ratio <= self.band[1]


def seam(image: NDArray[Any], axis: Axis, lines: Lines, factor: int = 1) -> Comparison:
    """Return the seam gradient ratio: mean squared difference across the lines / across comparable others.

    Comparable are lines of the same residue modulo ``factor``, the pixels per latent: decoders leave a comb
    of that period, which is no seam. The band is that of a decoy lattice of prime period, over all its
    offsets. Raises ValueError if no line lies inside the picture, or none is left to compare with.
    """
    return _compare(_gradients(image, axis), lines, factor)


def tone(image: NDArray[Any], axis: Axis, lines: Lines, width: int, factor: int = 1) -> Comparison:
    """Return the tone step ratio: |mean colour before - behind| at the lines / at comparable others.

    Means are over squares of ``width`` pixels on either side, side by side along the line; lines nearer than
    that to an end are left out. This catches tiles of different tone that meet without a sharp edge. Band
    and errors as for `seam`.
    """
    return _compare(_steps(image, axis, width), lines, factor)


def profiles(image: NDArray[Any], axis: Axis, width: int | None = None) -> Float64Array:
    """Return what `seam` (or with a ``width``, `tone`) compares: one value per line, NaN where undefined.

    Unit: squared, or plain, values of the picture.
    """
    return _gradients(image, axis) if width is None else _steps(image, axis, width)


@dataclass(frozen=True)
class Contrast:
    """A scene's contrast as multiples of that of single windows; below 1 it is washed out.

    ``std`` over all pixels; ``local`` within windows only; ``gradient``: mean squared difference of
    neighbours; ``spectrum``: pairs of upper frequency (cycles per pixel) and power ratio, in octaves.
    """

    std: float
    local: float
    gradient: float
    spectrum: tuple[tuple[float, float], ...]


def contrast(image: NDArray[Any], singles: NDArray[Any]) -> Contrast:
    """Compare a scene with single windows of the same prompts, (n, bands, height, width).

    Averaging windows that disagree is invisible to `seam` but lowers these. The scene is cut into windows of
    the same size. Raises ValueError if it is smaller than one.
    """
    scene = cut(image, singles.shape[-2], singles.shape[-1])
    return Contrast(
        std=_ratio(_std(scene), _std(singles)),
        local=_ratio(float(np.sqrt(_variance(scene))), float(np.sqrt(_variance(singles)))),
        gradient=_ratio(gradient_energy(scene), gradient_energy(singles)),
        spectrum=tuple(
            (upper, _ratio(power, reference))
            for (upper, power), (_, reference) in zip(_octaves(scene), _octaves(singles), strict=True)
        ),
    )


def cut(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Return the windows, (n, bands, height, width), that a picture holds side by side from its corner on."""
    down, across = image.shape[-2] // height, image.shape[-1] // width
    if not down * across:
        raise ValueError(f"a picture of {image.shape[-2:]} pixels holds no window of {height} x {width}")
    tiles = image[:, : down * height, : across * width].reshape(-1, down, height, across, width)
    return tiles.transpose(1, 3, 0, 2, 4).reshape(down * across, -1, height, width)


def gradient_energy(windows: NDArray[Any]) -> float:
    """Return the mean squared difference of neighbouring pixels of (..., rows, columns), both axes."""
    values = windows.astype(np.float64)
    return float(np.mean([np.square(np.diff(values, axis=axis)).mean() for axis in (-2, -1)]))


def disagreement(first: NDArray[Any], second: NDArray[Any], shift: tuple[int, int]) -> float:
    """Return the rms difference of two windows' latents, (channels, h, w), where they overlap.

    ``second`` begins ``shift`` (rows, columns) after ``first``. In the unit of the latents, which have a
    standard deviation of about one: before a blend compare it with the noise left there, after the last one
    with 1; above about 0.25 the blend is a double exposure. Raises ValueError if they do not overlap.
    """
    rows, cols = (length - step for length, step in zip(first.shape[-2:], shift, strict=True))
    if rows <= 0 or cols <= 0:
        raise ValueError(f"windows of {first.shape[-2:]} latents do not overlap at a shift of {shift}")
    apart = first[:, shift[0] :, shift[1] :].astype(np.float64) - second[:, :rows, :cols]
    return float(np.sqrt(np.square(apart).mean()))


def repetition(image: NDArray[Any], axis: Axis, period: int, reach: int = 8) -> Comparison:
    """Return how much more alike a picture is to itself at the lattice's lags than at others.

    The autocorrelation of the luminance (mean of the bands), by Wiener and Khinchin's theorem; a peak is its
    height over the lags ``reach`` before and behind. ``ratio`` is 1 + the mean peak at the multiples of
    ``period`` up to half the axis, z against the peaks at all other lags, which make up the band. Raises
    ValueError if the axis is shorter than two periods and the reach.
    """
    correlation = _autocorrelation(_across(image, axis).mean(0))
    lags = np.arange(max(reach, period // 2), len(correlation) // 2 - reach + 1)
    peaks = correlation[lags] - (correlation[lags - reach] + correlation[lags + reach]) / 2
    on = lags % period == 0
    off = peaks[np.minimum(lags % period, -lags % period) > reach]
    if not on.any() or len(off) < 2:
        raise ValueError(f"an axis of {len(correlation)} cells is too short for lags of {period}")
    low, high = np.percentile(off, _BAND)
    spread = off.std() / np.sqrt(on.sum())
    z = _ratio(float(peaks[on].mean() - off.mean()), float(spread))
    return Comparison(1 + float(peaks[on].mean()), z, (1 + float(low), 1 + float(high)), int(on.sum()))


def border(image: NDArray[Any], mask: BoolArray, factor: int = 1, seed: int = 0) -> Comparison:
    """Return the border gradient ratio: mean squared difference across a mask's outline / random outlines.

    ``mask`` is (rows, columns). Random outlines are the same one moved by whole multiples of ``factor``
    pixels, round the edges of the picture, and turned by half turns; ``seed`` chooses them. Where the
    masked part was generated, 1 means that its border cannot be told from other places. Raises ValueError if
    the mask has no outline.
    """
    values = image.astype(np.float64)
    sums, counts = np.zeros(_OUTLINES + 1), np.zeros(_OUTLINES + 1)
    for axis in (0, 1):
        energy = np.square(np.diff(values, axis=axis + 1)).mean(0)
        along = np.argwhere(np.diff(mask, axis=axis))
        for i, (step, turn) in enumerate(_moves(mask.shape, factor, seed)):
            place = (turn * along + step) % mask.shape
            place = place[place[:, axis] < energy.shape[axis]]
            sums[i] += energy[place[:, 0], place[:, 1]].sum()
            counts[i] += len(place)
    if not counts[0]:
        raise ValueError("the mask has no outline inside the picture")
    means = sums / np.maximum(counts, 1)
    others = means[1:][counts[1:] > 0]
    typical = float(others.mean())
    low, high = np.percentile(others, _BAND)
    z = _ratio(float(means[0]) - typical, float(others.std()))
    ratio = _ratio(float(means[0]), typical)
    return Comparison(ratio, z, (_ratio(float(low), typical), _ratio(float(high), typical)), int(counts[0]))


def step(image: NDArray[Any], mask: BoolArray) -> Float64Array:
    """Return the step in mean colour from the pixels just outside of a mask to those just inside, per band.

    In the unit of the picture. What the land itself steps by there counts too: compare with the picture
    before an edit. Raises ValueError if the mask has no outline inside the picture.
    """
    rings = [np.zeros_like(mask), np.zeros_like(mask)]
    for ring, part in zip(rings, (mask, ~mask), strict=True):
        ring[1:] |= part[1:] & ~part[:-1]
        ring[:-1] |= part[:-1] & ~part[1:]
        ring[:, 1:] |= part[:, 1:] & ~part[:, :-1]
        ring[:, :-1] |= part[:, :-1] & ~part[:, 1:]
    if not rings[0].any():
        raise ValueError("the mask has no outline inside the picture")
    inside, outside = (image[:, ring].astype(np.float64).mean(1) for ring in rings)
    return np.asarray(inside - outside)


def decoy_period(period: int) -> int:
    """Return the prime nearest to a period but not equal to it: a lattice that nothing was laid on."""
    step = 1
    while True:
        for candidate in (period + step, period - step):
            if _is_prime(candidate):
                return candidate
        step += 1


def _across(image: NDArray[Any], axis: Axis) -> Float64Array:
    """Return the picture in float64 with the axis that lines cut as its last one."""
    values = image.astype(np.float64)
    return values if axis == "cols" else values.swapaxes(-1, -2)


def _gradients(image: NDArray[Any], axis: Axis) -> Float64Array:
    energy = np.square(np.diff(_across(image, axis), axis=-1)).mean(axis=(0, 1))
    return np.concatenate([[np.nan], energy])


def _steps(image: NDArray[Any], axis: Axis, width: int) -> Float64Array:
    values = _across(image, axis)
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
    low, high = np.percentile(ratios, _BAND)
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
    return _ratio(found, expected)


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
    return _ratio(total, float(np.sqrt(variance)))


def _normal_scores(values: Float64Array) -> Float64Array:
    """Return the normal quantiles of the values' ranks, ties sharing the middle one."""
    ordered, count = np.sort(values), len(values)
    ranks = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") + 1) / 2
    normal = NormalDist()
    return np.array([normal.inv_cdf(rank / (count + 1)) for rank in ranks])


def _std(windows: NDArray[Any]) -> float:
    """Return the root of the bands' mean variance over all pixels of all windows."""
    return float(np.sqrt(windows.astype(np.float64).var(axis=(0, 2, 3)).mean()))


def _variance(windows: NDArray[Any]) -> float:
    return float(windows.astype(np.float64).var(axis=(2, 3)).mean())


def _octaves(windows: NDArray[Any]) -> list[tuple[float, float]]:
    """Return the mean power in octaves of radial frequency, highest first, as (upper frequency, power).

    Windows are freed of their mean and tapered by Hann's window. The topmost octave includes the corners of
    the frequency plane.
    """
    values = windows.astype(np.float64)
    values -= values.mean(axis=(-2, -1), keepdims=True)
    height, width = values.shape[-2:]
    values *= np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    power = np.square(np.abs(np.fft.fft2(values))).mean(axis=(0, 1))
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    octaves, upper = [], 0.5
    while upper > 1 / min(height, width):
        ring = (radius > upper / 2) & ((radius <= upper) | (upper == 0.5))
        octaves.append((upper, float(power[ring].mean())))
        upper /= 2
    return octaves


def _autocorrelation(luminance: Float64Array) -> Float64Array:
    """Return the correlation coefficient of a picture with itself moved by 0, 1, ... columns.

    Rows are freed of the picture's mean; the sum over ever fewer pairs is divided by their number.
    """
    values = luminance - luminance.mean()
    length = values.shape[-1]
    power = np.square(np.abs(np.fft.rfft(values, 2 * length, axis=-1))).mean(0)
    products = np.fft.irfft(power, 2 * length)[:length] / np.arange(length, 0, -1)
    correlation: Float64Array = products / products[0] if products[0] else np.zeros(length)
    return correlation


def _moves(shape: tuple[int, ...], factor: int, seed: int) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Yield how to move an outline: not at all first, then at random; with +1 or -1 to turn it."""
    random = np.random.default_rng(seed)
    yield np.zeros(2, np.intp), 1
    for _ in range(_OUTLINES):
        step = [random.integers(-(-length // factor)) * factor for length in shape]
        yield np.array(step, np.intp), int(random.choice([-1, 1]))


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _ratio(value: float, reference: float) -> float:
    """Return value / reference; 0 / 0 is nothing out of the ordinary only in a difference, so: NaN."""
    return float(value / reference) if reference else (float("nan") if value == 0 else float("inf"))
