"""Masks filled from their surroundings on real land, beside the very same land unedited.

Masks lie on land that nobody has seen; what the land itself steps by at their outlines is the null.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from model_backend.arrays import BoolArray, Float64Array
from model_backend.engine.by_example import surroundings
from model_backend.engine.by_example.fill_cost import canvas_for
from model_backend.engine.editing.composite import COPIED_PULL, Join, cast
from model_backend.engine.makers import EditCanvas
from model_backend.engine.progress import SilentListener
from model_backend.evaluation.edit_borders import pooled
from model_backend.evaluation.metrics.outlines import border_ratio, colour_step
from model_backend.schemas import Box

Figures = dict[str, Any]

SIZES = (16, 128)  # pixels across a mask
_MOST = 0.6  # of the land's side
_SHAPES = ("blob", "box", "stroke", "star")
_INPAINTED = {"OpenCV, Telea": "INPAINT_TELEA", "OpenCV, Navier-Stokes": "INPAINT_NS"}
_RADIUS = 3  # pixels around one that OpenCV looks at, as in its examples


@dataclass(frozen=True)
class Fill:
    """Land (bands, height, width), the first three of them visible, a mask on it, the land with pixels copied
    into it, and with those joined to their surroundings."""

    land: NDArray[Any]
    mask: BoolArray
    copied: NDArray[Any]
    filled: NDArray[Any]


def outline(side: int, across: int, rng: np.random.Generator, shape: str) -> BoolArray:
    """Return a shape so many pixels across at a random place, (side, side)."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    corners = {
        "blob": circle * (1 + 0.25 * np.sin(3 * angle + 1))[:, None],
        "box": np.array([(-1.0, -0.7), (1, -0.7), (1, 0.7), (-1, 0.7)]),
        "stroke": np.array([(-1.2, -0.4), (1.2, -0.7), (1.2, -0.2), (-1.2, 0.1)]),
        "star": circle * (1 + 0.4 * np.sign(np.sin(6 * angle)) - 0.2)[:, None],
    }[shape]
    corners = corners - corners.min(0)
    corners *= across / corners.max()
    at = [rng.uniform(2, side - length - 2) for length in corners.max(0)]
    picture = Image.new("1", (side, side))
    ImageDraw.Draw(picture).polygon([tuple(corner) for corner in corners + at], 1)
    return np.array(picture)


def made(lands: Sequence[NDArray[Any]], count: int, seed: int) -> Iterator[Fill]:
    """Yield so many fills of random masks of all sizes and shapes, on the lands in turn."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lands))
    for number in range(count):
        land = lands[int(order[number % len(order)])]
        side = min(land.shape[1:])
        land = land[:, :side, :side]
        least, most = SIZES[0], min(SIZES[1], int(_MOST * side))
        across = round(float(np.exp(rng.uniform(np.log(least), np.log(most)))))
        mask = outline(side, across, rng, _SHAPES[number % len(_SHAPES)])
        yield fill(land, mask, int(rng.integers(1 << 31)))


def fill(land: NDArray[Any], mask: BoolArray, seed: int) -> Fill:
    """Fill a mask, all bands from the same pixels, and join it, as the job does."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    canvas = canvas_for(
        Box(
            col=int(cols[0]),
            row=int(rows[0]),
            width=int(cols[-1] - cols[0]) + 1,
            height=int(rows[-1] - rows[0]) + 1,
        )
    )
    pads = [
        (max(0, -start), max(0, start + length - size))
        for start, length, size in zip(
            (canvas.row, canvas.col), (canvas.height, canvas.width), mask.shape, strict=True
        )
    ]
    top, left = canvas.row + pads[0][0], canvas.col + pads[1][0]

    def inside(values: NDArray[Any]) -> NDArray[Any]:
        padded = np.pad(values, [(0, 0)] * (values.ndim - 2) + pads)
        return padded[..., top : top + canvas.height, left : left + canvas.width]

    view = inside(_visible(land)).astype(np.float32)
    known = inside(np.ones_like(mask))
    paint = inside(mask)
    found = surroundings.sources(EditCanvas(canvas, view, paint, known), seed, SilentListener())
    join = Join(mask, np.ones_like(mask), (1.0, 1.0), 0.0, new_land=True, pull=COPIED_PULL)
    copied, joined = land.copy(), land.copy()
    for plain, band, values in zip(copied, joined, land, strict=True):
        plain[mask] = inside(values)[found]
        band[mask] = cast(join.band(values, plain.astype(np.float64)), land.dtype, None)
    return Fill(land, mask, copied, joined)


def inpainted(fills: Sequence[Fill]) -> dict[str, list[Fill]]:
    """Return the same masks of RGB bytes filled by OpenCV, by method; none where it is not installed."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        print("Not compared with OpenCV: it is not installed (pip install opencv-python-headless).")
        return {}
    made: dict[str, list[Fill]] = {}
    for name, method in _INPAINTED.items():
        for one in fills:
            image, mask = np.ascontiguousarray(one.land.transpose(1, 2, 0)), one.mask.astype(np.uint8)
            found = cv2.inpaint(image, mask, _RADIUS, getattr(cv2, method)).transpose(2, 0, 1)
            made.setdefault(name, []).append(Fill(one.land, one.mask, found, found))
    return made


def _visible(land: NDArray[Any]) -> Float64Array:
    """Return the visible bands, 0 to 1: bytes as they are, others between their 2nd and 98th percentiles."""
    values = land[:3].astype(np.float64)
    if land.dtype == np.uint8:
        return values / 255
    low, high = np.percentile(values, (2, 98))
    scaled: Float64Array = ((values - low) / (high - low)).clip(0, 1)
    return scaled


def measure(fills: Sequence[Fill]) -> Figures:
    """Measure borders, tone and gradients of fills, each beside the land as it was."""
    after, plain, before, step, land, inside, was = (
        np.array(values)
        for values in zip(
            *(
                (
                    border_ratio(one.filled, one.mask).ratio,
                    border_ratio(one.copied, one.mask).ratio,
                    border_ratio(one.land, one.mask).ratio,
                    float(np.abs(colour_step(one.filled, one.mask)).mean()),
                    float(np.abs(colour_step(one.land, one.mask)).mean()),
                    energy(one.filled, one.mask),
                    energy(one.land, one.mask),
                )
                for one in fills
            ),
            strict=True,
        )
    )
    return {
        "masks": len(fills),
        "border ratio": float(after.mean()),
        "border ratio of the land unedited": float(before.mean()),
        "border: filled / unedited": _written(after, before),
        "border: copied, not joined / unedited": _written(plain, before),
        "tone step, DN": float(step.mean()),
        "tone step of the land unedited, DN": float(land.mean()),
        "tone step: filled / unedited": _written(step, land),
        "gradient energy inside: filled / unedited": _written(inside, was),
        "the same, middle mask": float(np.median(inside / was.clip(1e-9))),
        "masks with another pixel changed": sum(
            bool((one.filled != one.land)[:, ~one.mask].any()) for one in fills
        ),
    }


def _written(values: Float64Array, others: Float64Array) -> dict[str, float]:
    found = pooled(values.tolist(), others.tolist())
    return {"ratio": found.ratio, "low": found.low, "high": found.high}


def energy(land: NDArray[Any], mask: BoolArray) -> float:
    """Return the mean squared difference of neighbouring pixels that both lie in a mask, visible bands."""
    values = land[:3].astype(np.float64)
    across = np.square(np.diff(values, axis=2)).mean(0)[mask[:, 1:] & mask[:, :-1]]
    down = np.square(np.diff(values, axis=1)).mean(0)[mask[1:] & mask[:-1]]
    return float(np.concatenate([across, down]).mean())
