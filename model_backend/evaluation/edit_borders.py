"""What edits and extensions leave at their borders, on held-out chips.

Chips are edited and continued by the engine's own parts, as the jobs do it, with their own class as prompt:
the neutral case, in which nothing but the seam can change the land. So the land itself is the null: every
figure stands beside that of the same outline, or the same line, in the chip as it was. One border says
little, since one line of real land steps by anything between 0 and 3 times the usual; figures are ratios of
sums over many, with the interval that drawing the borders anew would give. Knows the engine; trains nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from model_backend.arrays import BoolArray, RgbImage
from model_backend.engine.editing.active_windows import canvas_around
from model_backend.engine.editing.composite import Join, cast, continued
from model_backend.engine.editing.edit import Edit
from model_backend.engine.makers import EditCanvas
from model_backend.engine.progress import SilentListener
from model_backend.evaluation.metrics.lines import Lines, line_profile, seam_ratio, tone_step_ratio
from model_backend.evaluation.metrics.outlines import border_ratio, colour_step
from model_backend.models.card import read_card
from model_backend.models.loader import Model, load
from model_backend.schemas import Box
from model_backend.training.data_sets import captions
from model_backend.training.data_sets.land_cover import Chips, turn

Figures = dict[str, Any]

WIDTHS = (8, 16)
"""Sides, in pixels, of the squares whose tone is compared across a line."""
_MARGIN, _FEATHER, _STRENGTH = 8, 6.0, 0.8  # as the processes `edit` and `extend` have them
_SHAPES = ("blob", "box", "stroke", "star")
_ANEW = 2000  # times that borders are drawn anew for an interval


@dataclass(frozen=True)
class Case:
    """A picture, the pixels of it to make, and with what: ``new_land`` has no values before."""

    picture: RgbImage
    paint: BoolArray
    prompt: str
    level: int
    seed: int
    new_land: bool = False


def repaint(model: Model, case: Case) -> RgbImage:
    """Make the pixels of ``paint`` anew, by the card's defaults; return the whole picture."""
    card, paint = model.card, case.paint
    height, width = paint.shape
    known = ~paint if case.new_land else np.ones_like(paint)
    whole = Box(col=0, row=0, width=width, height=height)
    canvas = canvas_around(_around(paint), whole, card.engine, card.vae_factor)
    here = np.s_[canvas.row : canvas.row + canvas.height, canvas.col : canvas.col + canvas.width]
    rows, cols = paint[here].shape
    pads = (0, canvas.height - rows), (0, canvas.width - cols)
    shown = np.where(known, case.picture, 127)[:, *here]
    view = np.pad(shown, ((0, 0), *pads), mode="symmetric").astype(np.float32) / np.float32(255)
    there = np.pad(known[here], pads)
    if case.new_land:
        view = continued(view, there)
    work = Edit(
        model,
        card.recipe(case.prompt, case.level, case.seed, canvas),
        EditCanvas(canvas, view, np.pad(paint[here], pads), there),
        _STRENGTH if case.new_land else 1.0,
    )
    made = work.view(SilentListener())[:, :rows, :cols]
    join = Join(paint, known, (1.0, 1.0), 0.0 if case.new_land else _FEATHER, case.new_land)
    out = case.picture.copy()
    for band, values in zip(out, made, strict=True):
        generated = np.zeros(paint.shape)
        generated[here] = 255.0 * values
        band[paint] = cast(join.band(band, generated), band.dtype, None)
    return out


def _around(paint: BoolArray) -> Box:
    """Return the box of the painted pixels with the margin in which their tone is compared."""
    spans = []
    for axis in (1, 0):
        at = np.flatnonzero(paint.any(axis))
        start = max(int(at[0]) - _MARGIN, 0)
        spans.append((start, min(int(at[-1]) + 1 + _MARGIN, paint.shape[1 - axis]) - start))
    (row, height), (col, width) = spans
    return Box(col=col, row=row, width=width, height=height)


def outline(kind: str, size: int, rng: np.random.Generator) -> BoolArray:
    """Return a shape of a random size at a random place that keeps off the edges, (size, size)."""
    radius = size * rng.uniform(0.15, 0.28)
    middle = rng.uniform(1.3 * radius + 4, size - 1.3 * radius - 4, 2)
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    if kind == "box":
        corners = radius * np.array([(-1.0, -0.7), (1, -0.7), (1, 0.7), (-1, 0.7)])
    elif kind == "stroke":
        corners = radius * np.array([(-1.2, -0.4), (1.2, -0.7), (1.2, -0.2), (-1.2, 0.1)])
    else:
        wave = 0.25 * np.sin(3 * angle + 1) if kind == "blob" else 0.4 * np.sign(np.sin(6 * angle)) - 0.2
        corners = radius * (1 + wave[:, None]) * np.stack([np.cos(angle), np.sin(angle)], 1)
    picture = Image.new("1", (size, size))
    ImageDraw.Draw(picture).polygon([tuple(corner) for corner in corners + middle], 1)
    return np.array(picture)


def _drawn(held: Chips, each: int, rng: np.random.Generator) -> Iterator[tuple[RgbImage, str]]:
    """Yield chips of every class, turned at random, (3, size, size), with their plain captions."""
    for index, name in enumerate(held.classes):
        at = np.flatnonzero(held.labels == index)
        for chip in rng.choice(at, min(each, len(at)), replace=False):
            turned = turn(held.pixels[chip], int(rng.integers(8)))
            yield np.ascontiguousarray(turned.transpose(2, 0, 1)), captions.plain(name)


def edits(held: Chips, each: int, seed: int = 0) -> Iterator[Case]:
    """Yield ``each`` edits of chips of every class, with masks of four shapes in turn."""
    rng = np.random.default_rng([seed, held.level])
    for number, (picture, prompt) in enumerate(_drawn(held, each, rng)):
        paint = outline(_SHAPES[number % len(_SHAPES)], picture.shape[1], rng)
        yield Case(picture, paint, prompt, held.level, int(rng.integers(1 << 31)))


def extensions(held: Chips, each: int, seed: int = 0) -> Iterator[Case]:
    """Yield ``each`` extensions of chips of every class: their right half, about, is cut off and made.

    Chips are turned, so that is any side of the land.
    """
    rng = np.random.default_rng([seed, held.level, 1])
    for picture, prompt in _drawn(held, each, rng):
        size = picture.shape[1]
        paint = np.zeros((size, size), np.bool_)
        paint[:, int(size * rng.uniform(0.4, 0.6)) :] = True
        yield Case(picture, paint, prompt, held.level, int(rng.integers(1 << 31)), new_land=True)


@dataclass(frozen=True)
class PooledRatio:
    """A ratio of sums over borders, and the interval that holds it 95 times of 100 with other borders."""

    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return it as tables have it."""
        return f"{self.ratio:.2f} ({self.low:.2f} - {self.high:.2f})"


def pooled(values: Sequence[float], others: Sequence[float]) -> PooledRatio:
    """Return sum of ``values`` / sum of ``others``, pair by pair of the same border."""
    pairs = np.array([values, others])
    chosen = np.random.default_rng(0).integers(pairs.shape[1], size=(_ANEW, pairs.shape[1]))
    over, under = pairs[:, chosen].sum(2)
    low, high = np.percentile(over / under, (2.5, 97.5))
    return PooledRatio(float(pairs[0].sum() / pairs[1].sum()), float(low), float(high))


def measure_edits(model: Model, cases: Sequence[Case]) -> Figures:
    """Measure edits: colour steps in shares of 255 and border ratios, both beside the land before."""
    after, before, steps, land = [], [], [], []
    for case in cases:
        new = repaint(model, case)
        after.append(border_ratio(new, case.paint).ratio)
        before.append(border_ratio(case.picture, case.paint).ratio)
        steps.append(float(np.abs(colour_step(new, case.paint)).max() / 255))
        land.append(float(np.abs(colour_step(case.picture, case.paint)).max() / 255))
    return {
        "masks": len(cases),
        "border ratio, mean": float(np.nanmean(after)),
        "the same in the land before": float(np.nanmean(before)),
        "after / before": pooled(after, before),
        "colour step, mean %": 100 * float(np.mean(steps)),
        "colour step, 95 of 100 %": 100 * float(np.quantile(steps, 0.95)),
        "the same in the land before %": 100 * float(np.quantile(land, 0.95)),
        "masks above 2 %": int((np.array(steps) > 0.02).sum()),
        "above 2 % in the land before": int((np.array(land) > 0.02).sum()),
    }


def measure_extensions(pairs: Sequence[tuple[Case, RgbImage]]) -> Figures:
    """Measure extensions, (case, result), at the old border: tone steps and edges, by `pooled`.

    Against other lines of the same picture, which lie in the known or in the new land; the same of the land
    as it was; and against the very line in the land as it was. Also the z of all borders together (Stouffer:
    their sum by the root of their number), since a single line's can hardly reach 3.
    """
    figures: Figures = {"borders": len(pairs)}
    for name, width in (*((f"tone {width}", width) for width in WIDTHS), ("edge", None)):
        sums: dict[str, list[float]] = {key: [] for key in ("here", "others", "before", "its others")}
        ranks: dict[str, list[float]] = {"here": [], "before": []}
        for case, new in pairs:
            at = int(np.flatnonzero(case.paint[0])[0])
            for picture, line, rest in ((new, "here", "others"), (case.picture, "before", "its others")):
                profile = line_profile(picture, "cols", width)
                apart = np.abs(np.arange(len(profile)) - at) >= (width or 4)
                sums[line].append(float(profile[at]))
                sums[rest].append(float(np.nanmean(profile[apart])))
                ranks[line].append(_rank(picture, at, width))
        figures[f"{name}: border / other lines"] = pooled(sums["here"], sums["others"])
        figures[f"{name}: the same of the land as it was"] = pooled(sums["before"], sums["its others"])
        figures[f"{name}: border / same line as it was"] = pooled(sums["here"], sums["before"])
        for line, words in (("here", "z of all borders"), ("before", "z of the land as it was")):
            figures[f"{name}: {words}"] = float(np.sum(ranks[line]) / np.sqrt(len(pairs)))
    return figures


def _rank(picture: RgbImage, at: int, width: int | None) -> float:
    """Return the z of one line between columns among all of a picture."""
    line = Lines(2 * picture.shape[2], at)
    found = (
        seam_ratio(picture, "cols", line) if width is None else tone_step_ratio(picture, "cols", line, width)
    )
    return found.z


def run(folder: Path, chips: dict[int, Chips], out: Path, share: float = 1.0) -> Figures:
    """Write the figures of a model folder as JSON to ``out`` and return them; ``share`` of the borders."""
    model = load(folder, read_card(folder), threads=1)  # busy machines are quickest so
    report: Figures = {}
    everything: list[tuple[Case, RgbImage]] = []
    for level, some in sorted(chips.items()):
        held = some.split()[1]
        each = max(1, round(share * (10 if level == 14 else 2)))
        report[f"edits, level {level}"] = measure_edits(model, list(edits(held, each)))
        pairs = [(case, repaint(model, case)) for case in extensions(held, 2 * each)]
        everything += pairs
        report[f"extensions, level {level}"] = measure_extensions(pairs)
        _tell(report, out)
    report["extensions, all"] = measure_extensions(everything)
    _tell(report, out)
    return report


def _tell(report: Figures, out: Path) -> None:
    text = json.dumps(report, indent=1, default=_plain)
    out.write_text(text + "\n", "utf-8")
    print(text, flush=True)


def _plain(value: object) -> str:
    if isinstance(value, PooledRatio):
        return str(value)
    raise TypeError(type(value))
