"""Repetition: whether a picture is more alike to itself at a lattice's lags than at others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import Float64Array
from model_backend.evaluation.metrics.comparison import BAND, Comparison, ratio
from model_backend.evaluation.metrics.lines import Axis, across

_REACH = 8  # cells from a peak to the lags that it is compared with


def repetition_peak(image: NDArray[Any], axis: Axis, period: int) -> Comparison:
    """Return how much more alike a picture is to itself at the lattice's lags than at others.

    The autocorrelation of the luminance (mean of the bands), by Wiener and Khinchin's theorem; a peak is its
    height over the lags 8 cells before and behind. ``ratio`` is 1 + the mean peak at the multiples of
    ``period`` up to half the axis, z against the peaks at all other lags, which make up the band. Raises
    ValueError if the axis is shorter than two periods and that reach.
    """
    correlation = _autocorrelation(across(image, axis).mean(0))
    lags = np.arange(max(_REACH, period // 2), len(correlation) // 2 - _REACH + 1)
    peaks = correlation[lags] - (correlation[lags - _REACH] + correlation[lags + _REACH]) / 2
    on = lags % period == 0
    off = peaks[np.minimum(lags % period, -lags % period) > _REACH]
    if not on.any() or len(off) < 2:
        raise ValueError(f"an axis of {len(correlation)} cells is too short for lags of {period}")
    low, high = np.percentile(off, BAND)
    spread = off.std() / np.sqrt(on.sum())
    z = ratio(float(peaks[on].mean() - off.mean()), float(spread))
    return Comparison(1 + float(peaks[on].mean()), z, (1 + float(low), 1 + float(high)), int(on.sum()))


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
