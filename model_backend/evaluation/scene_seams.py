"""Do scenes show how they were made? Water, crops and dense housing, on every lattice there is.

A scene of each prompt, read block by block, goes through the report that `metrics` gives of any picture:
windows, decode tiles, and here the blocks too, which are made smaller than usual so that there are lines
enough. Beside it stand what seam metrics do not see: how far neighbouring windows disagree at every blend,
and what contrast is left of that of windows drawn alone: of the same ones, on the same noise, which tells
what joining them costs, and of those of other seeds, each of which has a tone of its own, while a scene has
one. Both without their edges: a window drawn alone darkens there, which on open water is contrast enough to
hide the rest. Knows the engine; trains nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model_backend.arrays import RgbImage, UInt8Array
from model_backend.engine.lattice import canvas_box
from model_backend.engine.progress import SilentListener
from model_backend.engine.scene import Scene
from model_backend.evaluation import lattice_lines
from model_backend.evaluation.lattice_lines import STATISTICS, LatticePosition
from model_backend.evaluation.metrics.contrast import compare_contrast, cut_windows
from model_backend.evaluation.phase_recorder import PhaseRecorder
from model_backend.evaluation.reports import table
from model_backend.models.card import read_card
from model_backend.models.loader import Model, load
from model_backend.schemas import Box

Figures = dict[str, Any]

PROMPTS = (("open water, the sea", 14), ("annual crops", 14), ("a dense residential area", 18))
_BLOCK = 128  # pixels
_EDGE = 16  # pixels of a window drawn alone that its own edge may tint
_OTHERS = 64  # seeds; of water a third has surf, so that few would say little
_SEED = 3


def run(folder: Path, out: Path, size: int) -> list[Figures]:
    """Write figures (JSON) and pictures of scenes of ``size`` pixels a side to a folder; print the table."""
    model = load(folder, read_card(folder), threads=1)  # busy machines are quickest so
    reports = []
    for prompt, level in PROMPTS:
        picture, report = measure(model, prompt, level, size)
        reports.append(report)
        name = f"{folder.name}-seams-{prompt.split()[-1]}.png"
        Image.fromarray(stretched(picture).transpose(1, 2, 0)).save(out / name)
        (out / f"{folder.name}-seams.json").write_text(json.dumps(reports, indent=1) + "\n", "utf-8")
        print(json.dumps({key: value for key, value in report.items() if key != "lattices"}), flush=True)
    print(tables(reports))
    return reports


def measure(model: Model, prompt: str, level: int, size: int) -> tuple[RgbImage, Figures]:
    """Return a scene, (3, rows, columns), and all figures of it, ready for JSON."""
    card = model.card
    whole = Box(col=0, row=0, width=size, height=size)
    canvas = canvas_box(whole, card.engine, card.vae_factor)
    recipe, recorder = card.recipe(prompt, level, _SEED, canvas), PhaseRecorder()
    scene = Scene(model, recipe, recorder)
    picture = np.zeros((3, size, size), np.uint8)
    for row in range(0, size, _BLOCK):
        for col in range(0, size, _BLOCK):
            height, width = min(_BLOCK, size - row), min(_BLOCK, size - col)
            box = Box(col=col, row=row, width=width, height=height)
            picture[:, row : row + height, col : col + width] = scene.pixels(box, SilentListener())
    place = LatticePosition(card.engine, card.vae_factor, (-canvas.row, -canvas.col), _BLOCK)
    looked = lattice_lines.look(picture, place)["lattices"]
    side = card.engine.window * card.vae_factor
    starts = range(0, size - side + 1, side)
    tiles = [Box(col=col, row=row, width=side, height=side) for row in starts for col in starts]
    alone = np.stack([_alone(model, prompt, level, _SEED, tile) for tile in tiles])
    others = np.stack([_alone(model, prompt, level, 100 + seed, tiles[0]) for seed in range(_OTHERS)])
    report = {
        "prompt": prompt,
        "level": level,
        "size": size,
        "rows": [summary(looked, name) for name in ("windows", "decode", "blocks")],
        "disagreement (noise left)": recorder.disagreement(model, recipe),
        "contrast of the same windows alone": _contrast(picture, alone),
        "contrast of other seeds' windows": _contrast(picture, others),
        "median std within windows (the same alone, other seeds')": [
            round(_median_std(windows), 2)
            for windows in (cut_windows(picture, *alone.shape[-2:]), alone, others)
        ],
        "std of windows' tones": round(_tones(picture, place), 2),
        "lattices": looked,
    }
    return picture, report


def summary(looked: Sequence[Figures], name: str) -> Figures:
    """Summarise the comparisons on one lattice: both axes and all parts of its overlaps."""
    mine = [row for row in looked if row["lattice"] == name]
    found: Figures = {"lattice": name}
    for statistic in STATISTICS:
        done = [row[statistic] for row in mine if "ratio" in row[statistic]]
        if done:
            ratios = [one["ratio"] for one in done]
            bands = [one["band"] for one in done]
            found[statistic] = [
                round(min(ratios), 2),
                round(float(np.mean(ratios)), 2),
                round(max(ratios), 2),
            ]
            found[f"{statistic} band"] = [
                round(min(low for low, _ in bands), 2),
                round(max(high for _, high in bands), 2),
            ]
    counts = lattice_lines.summary(mine)
    return found | {
        "comparisons": counts["comparisons"],
        "outside band": counts["outside_band"],
        "largest |z|": round(counts["largest_z"] or 0.0, 2),
        "|z| >= 3": counts["beyond_z"],
    }


def tables(reports: Sequence[Figures]) -> str:
    """Return the figures of all scenes as text."""
    head = ["prompt", "lattice", "comparisons", "outside", "|z| >= 3", "most |z|"]
    head += [f"{name} (band)" for name in ("seam", "tone 16")]
    lines: list[Sequence[object]] = [head]
    for report in reports:
        for row in report["rows"]:
            shown = [
                "{} - {} ({} - {})".format(*(row[name][i] for i in (0, 2)), *row[f"{name} band"])
                if name in row
                else None  # a picture without such lines
                for name in ("seam", "tone_16")
            ]
            counts = [row[key] for key in ("comparisons", "outside band", "|z| >= 3", "largest |z|")]
            lines.append([report["prompt"], row["lattice"], *counts, *shown])
    return table(lines)


def stretched(picture: RgbImage) -> RgbImage:
    """Return a picture with every band stretched from its 1 % to its 99 % quantile."""
    low, high = (np.percentile(picture, part, (1, 2), keepdims=True) for part in (1, 99))
    out: RgbImage = (255 * ((picture - low) / np.maximum(high - low, 1)).clip(0, 1)).astype(np.uint8)
    return out


def _alone(model: Model, prompt: str, level: int, seed: int, window: Box) -> RgbImage:
    """Return a canvas of one window, without its edges."""
    scene = Scene(model, model.card.recipe(prompt, level, seed, window))
    picture = scene.pixels(window, SilentListener())
    return picture[:, _EDGE:-_EDGE, _EDGE:-_EDGE]


def _contrast(picture: RgbImage, alone: RgbImage) -> dict[str, float]:
    """Return a scene's contrast as multiples of that of pieces of single windows, (n, 3, rows, columns)."""
    found = compare_contrast(picture, alone)
    return {
        "within windows": round(found.local, 3),
        "of all": round(found.std, 3),
        "gradient energy": round(found.gradient, 3),
    }


def _median_std(windows: UInt8Array) -> float:
    """Return the std within the usual one of some windows, (n, 3, rows, columns), in DN."""
    return float(np.median(np.sqrt(windows.var((2, 3)).mean(1))))


def _tones(picture: RgbImage, place: LatticePosition) -> float:
    """Return how far windows differ in tone where they stand alone: rms of the bands, in DN."""
    stride, ramp = (
        n * place.factor for n in (place.engine.stride, place.engine.window - place.engine.stride)
    )
    first = [-start % stride for start in place.origin]
    tiles = cut_windows(picture[:, first[0] :, first[1] :], stride, stride)[:, :, ramp:, ramp:]
    return float(np.sqrt(tiles.mean((2, 3)).var(0).mean()))
