"""Do regions show what they say? Scenes of five regions, each judged beside scenes of one prompt alone.

A scene is six cells of two windows' sides: five regions of different classes, and the scene's own prompt in
the last cell. The judge looks at four windows of every region; how often it names the region's class is held
against how often it does so in cells of scenes that follow that class's prompt everywhere. Knows the engine,
the judge and its classes; trains nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from model_backend.arrays import RgbImage
from model_backend.engine.lattice import canvas_box
from model_backend.engine.progress import SilentListener
from model_backend.engine.scene import Scene
from model_backend.evaluation import judge
from model_backend.evaluation.judge import Judge
from model_backend.models.card import read_card
from model_backend.models.loader import Model, load
from model_backend.schemas import REGION_UNITS, Box, Region
from model_backend.training.data_sets import captions, land_cover

REGIONS = 5
_INSET = 8  # pixels between a region's border and the nearest window that is judged
_ALONE = 6  # scenes of a class alone: one has one tone, of its seed


@dataclass(frozen=True)
class Cells:
    """Cells of a scene, in pixels; ``window`` is a side of what the judge sees."""

    window: int
    across: int = 3
    down: int = 2

    @property
    def side(self) -> int:
        """Pixels of a cell's side."""
        return 2 * self.window

    @property
    def box(self) -> Box:
        """All cells."""
        return Box(col=0, row=0, width=self.across * self.side, height=self.down * self.side)

    def corner(self, cell: int) -> tuple[int, int]:
        """Return the column and row of a cell's upper left pixel."""
        return cell % self.across * self.side, cell // self.across * self.side

    def ring(self, cell: int) -> list[int]:
        """Return the outline of a cell, as a recipe has it."""
        left, top = self.corner(cell)
        right, bottom = left + self.side, top + self.side
        return [n * REGION_UNITS for n in (left, top, right, top, right, bottom, left, bottom)]

    def windows(self, picture: RgbImage, cell: int) -> RgbImage:
        """Return four windows of a cell of a picture (3, rows, columns): (4, 3, window, window)."""
        left, top = self.corner(cell)
        steps = (_INSET, self.side - self.window - _INSET)
        places = [(top + down, left + right) for down in steps for right in steps]
        return np.stack([picture[:, row : row + self.window, col : col + self.window] for row, col in places])


class Measure:
    """Draws scenes of one level with a model's defaults, and asks the judge."""

    def __init__(self, model: Model, judge: Judge, level: int) -> None:
        self._model, self._judge, self._level = model, judge, level
        window = model.card.engine.window * model.card.vae_factor
        self.six, self.two = Cells(window), Cells(window, 2, 1)
        self.classes = tuple(name for where, name in judge.labels if where == level)

    def scene(self, cells: Cells, base: str, regions: Sequence[str], seed: int) -> RgbImage:
        """Return a scene of the class ``base`` with a region of every other class named."""
        card = self._model.card
        lots = [
            Region(prompt=captions.plain(name), negative_prompt="", rings=[cells.ring(cell)])
            for cell, name in enumerate(regions)
        ]
        canvas = canvas_box(cells.box, card.engine, card.vae_factor)
        recipe = card.recipe(captions.plain(base), self._level, seed, canvas)
        recipe = recipe.model_copy(update={"regions": lots})
        return Scene(self._model, recipe).pixels(cells.box, SilentListener())

    def right(self, cells: Cells, picture: RgbImage, cell: int, name: str) -> float:
        """Return the share of a cell's windows in which the judge sees a class."""
        seen = torch.from_numpy(cells.windows(picture, cell).astype(np.float32) / 127.5 - 1)
        found = self._judge.classes_of(seen, self._level)
        return float(np.mean([one == name for one in found]))

    def alone(self, seeds: Sequence[int]) -> dict[str, float]:
        """Return for every class the share of windows that show it, in scenes of its prompt alone."""
        shares = {}
        for name in self.classes:
            pictures = [self.scene(self.two, name, (), seed) for seed in seeds]
            found = [self.right(self.two, picture, cell, name) for picture in pictures for cell in (0, 1)]
            shares[name] = float(np.mean(found))
            print(f"level {self._level}, {name} alone: {100 * shares[name]:.0f} %", flush=True)
        return shares


def run(folder: Path, chips: land_cover.ChipsByLevel, work: Path, out: Path, scenes: int) -> dict[str, Any]:
    """Write the figures of ``scenes`` scenes of each kind, and the scenes, to ``out``; return the figures."""
    model = load(folder, read_card(folder))
    train = {level: some.split()[0] for level, some in chips.items()}
    trained = judge.load_or_train(work / "judge.pt", train, judge.JudgeOptions(2000))
    figures: dict[str, Any] = {"model": model.card.id, "weights": model.card.revision_or_hash}
    out.mkdir(parents=True, exist_ok=True)
    for level in (min(chips), max(chips)):
        figures[f"level {level}"] = _level(Measure(model, trained, level), scenes, out, level)
        text = json.dumps(figures, indent=2, ensure_ascii=False)
        (out / f"{model.card.id}-regions.json").write_text(text + "\n", "utf-8")
        print(text, flush=True)
    return figures


def _level(measure: Measure, scenes: int, out: Path, level: int) -> dict[str, Any]:
    rng = np.random.default_rng(level)
    alone = measure.alone(range(1000, 1000 + _ALONE))
    regional: list[tuple[str, float]] = []
    for number in range(scenes):
        base, *names = (str(name) for name in rng.permutation(measure.classes)[: REGIONS + 1])
        picture = measure.scene(measure.six, base, names, seed=number)
        regional += [
            (name, measure.right(measure.six, picture, cell, name)) for cell, name in enumerate(names)
        ]
        Image.fromarray(picture.transpose(1, 2, 0)).save(out / f"regions-level{level}-{number}.png")
        print(f"level {level}, scene {number}: {', '.join(names)}; around them {base}", flush=True)
    here = float(np.mean([share for _, share in regional]))
    there = float(np.mean([alone[name] for name, _ in regional]))
    return {
        "scenes": scenes,
        "windows judged": 4 * len(regional),
        "class recognised in regions %": round(100 * here, 1),
        "the same classes alone %": round(100 * there, 1),
        "ratio": round(here / there, 3) if there else None,
        "chance %": round(100 / len(measure.classes), 1),
        "alone, by class %": {name: round(100 * share) for name, share in alone.items()},
    }
