"""Contrast: whether averaging windows that disagree has washed a scene out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.evaluation.metrics.comparison import ratio


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


def compare_contrast(image: NDArray[Any], singles: NDArray[Any]) -> Contrast:
    """Compare a scene with single windows of the same prompts, (n, bands, height, width).

    Averaging windows that disagree is invisible to seam ratios but lowers these. The scene is cut into
    windows of the same size. Raises ValueError if it is smaller than one.
    """
    scene = cut_windows(image, singles.shape[-2], singles.shape[-1])
    return Contrast(
        std=ratio(_std(scene), _std(singles)),
        local=ratio(float(np.sqrt(_variance(scene))), float(np.sqrt(_variance(singles)))),
        gradient=ratio(gradient_energy(scene), gradient_energy(singles)),
        spectrum=tuple(
            (upper, ratio(power, reference))
            for (upper, power), (_, reference) in zip(_octaves(scene), _octaves(singles), strict=True)
        ),
    )


def cut_windows(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
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
