"""How good a model is, against held-out chips: every figure stands beside its ceiling of real chips.

Images are one-window canvases with the card's defaults. A judge trained on real training windows says what
the images show (prompt accuracy, level accuracy, classes inside masks); a second judge trained on generated
images alone is tested on real ones (Cls-OA as in arXiv 2501.00895); features of the first give Fréchet
distance and diversity. Numbers are made in ``metrics``, networks elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model_backend.evaluation import inpainting_quality, judge
from model_backend.evaluation.chip_images import (
    Images,
    central_windows,
    percent,
    random_windows,
    write_gallery,
)
from model_backend.evaluation.metrics.image_sets import (
    diversity,
    frechet_distance,
    nearest_distances,
    quantiles,
    shrunken_windows,
)
from model_backend.models.card import ModelCard, read_card
from model_backend.training import sampling
from model_backend.training.data_sets import captions, land_cover
from model_backend.training.image_tensors import to_bytes, write_sheet
from model_backend.training.stages import autoencoder
from model_backend.training.trainer import training_device

Figures = dict[str, Any]
_HOMES = {"Residential", "denseresidential", "mediumresidential", "sparseresidential"}


@dataclass(frozen=True)
class Amounts:
    """How much is drawn and trained: images per class at 14 and 18, per level, masks, steps of the judges."""

    fine: int = 20
    coarse: int = 100
    levels: int = 50
    masks: int = 200
    judge_steps: int = 2000
    student_steps: int = 500
    inception: Path | None = None

    def scaled(self, share: float) -> Amounts:
        """Return ``share`` of the numbers of images and masks, for a quick look."""
        few = {
            name: max(2, round(share * getattr(self, name))) for name in ("fine", "coarse", "levels", "masks")
        }
        return replace(self, **few)


class Evaluation:
    """A model, the chips it is measured against, and the judge of both."""

    def __init__(self, folder: Path, chips: land_cover.ChipsByLevel, work: Path, amounts: Amounts) -> None:
        self.card: ModelCard = read_card(folder)
        self.parts = sampling.load(folder, training_device())
        self.amounts = amounts
        pairs = {level: some.split() for level, some in chips.items()}
        self.train = {level: pair[0] for level, pair in pairs.items()}
        self.held = {level: central_windows(pair[1]) for level, pair in pairs.items()}
        options = judge.JudgeOptions(amounts.judge_steps)
        self.judge = judge.load_or_train(work / "judge.pt", self.train, options)

    def request(self, prompts: Sequence[str], levels: Sequence[int], seed: int) -> sampling.SamplingRequest:
        """Ask for one image per prompt with the card's defaults."""
        card = self.card
        steps, cutoff = card.steps[card.sampler], card.engine.guidance_cutoff
        return sampling.SamplingRequest(prompts, levels, seed, steps, card.guidance, card.sampler, cutoff)

    def draw(self, level: int, each: int, seed: int) -> Images:
        """Generate ``each`` images of every class of a level."""
        names = [name for name in self.train[level].classes for _ in range(each)]
        request = self.request([captions.plain(name) for name in names], [level] * len(names), seed)
        return Images(level, sampling.draw(self.parts, request), names)

    def accuracy(self, images: Images) -> tuple[float, dict[str, float]]:
        """Return the percentage of images that show the judge the class they are meant to, and by class."""
        seen = self.judge.classes_of(images.pixels, images.level)
        right = np.array([a == b for a, b in zip(seen, images.names, strict=True)])
        names = np.array(images.names)
        by_class = {str(name): percent(right[names == name].mean()) for name in sorted(set(images.names))}
        return percent(right.mean()), by_class

    def prompts(self, made: Images) -> Figures:
        """Measure prompt accuracy, Cls-OA, Fréchet distance and diversity of generated images of a level."""
        held = self.held[made.level]
        rebuilt = replace(held, pixels=self._rebuild(held.pixels))
        total, by_class = self.accuracy(made)
        real = random_windows(self.train[made.level], len(made.names))
        real_features, made_features, held_features = (
            self.judge.features(images.pixels) for images in (real, made, held)
        )
        return {
            "images": len(made.names),
            "prompt accuracy %": total,
            "ceiling: held-out chips %": self.accuracy(held)[0],
            "held-out chips through the autoencoder %": self.accuracy(rebuilt)[0],
            "by class %": by_class,
            "Cls-OA %": self._trained_on(made, held),
            "ceiling: trained on as many real chips %": self._trained_on(real, held),
            "Frechet distance": round(frechet_distance(made_features, real_features), 2),
            "ceiling: held-out chips": round(frechet_distance(held_features, real_features), 2),
            **self._inception(made, real),
            "diversity": round(diversity(made_features, made.names), 3),
            "diversity of held-out chips": round(diversity(held_features, held.names), 3),
        }

    @torch.no_grad()
    def _inception(self, made: Images, real: Images) -> Figures:
        """Return the Fréchet distance in features of the user's network (b, 3, 299, 299 -> b, d), if any."""
        if self.amounts.inception is None:
            return {}
        network = torch.jit.load(str(self.amounts.inception)).eval()  # type: ignore[no-untyped-call]
        features = []
        for images in (made.pixels, real.pixels):
            parts = (F.interpolate(part, (299, 299), mode="bilinear") for part in torch.split(images, 50))
            features.append(torch.cat([network(part).float() for part in parts]))
        return {"Inception FID": round(frechet_distance(*features), 2)}

    @torch.no_grad()
    def _rebuild(self, images: Tensor) -> Tensor:
        encode = partial(autoencoder.seamless, self.parts.encode)
        return torch.cat([self.parts.decode(encode(some)) for some in torch.split(images, 200)])

    def _trained_on(self, lesson: Images, test: Images) -> float:
        """Train a fresh judge on some images alone; return its accuracy on others, percent."""
        pixels = to_bytes(lesson.pixels)
        classes = tuple(sorted(set(lesson.names)))
        labels = np.array([classes.index(name) for name in lesson.names])
        chips = {lesson.level: land_cover.Chips(lesson.level, pixels, labels, classes, tuple(lesson.names))}
        options = judge.JudgeOptions(self.amounts.student_steps, shares={lesson.level: 1.0})
        student = judge.train(chips, judge.labels_of(chips), options)
        seen = student.classes_of(test.pixels, lesson.level)
        return percent(np.mean([a == b for a, b in zip(seen, test.names, strict=True)]))

    def levels(self) -> Figures:
        """Measure how often the judge tells the level of "a residential area" drawn at 0.5, 1 and 8 m."""
        figures: Figures = {}
        for level, held in sorted(self.held.items()):
            prompts = ["a residential area"] * self.amounts.levels
            made = sampling.draw(self.parts, self.request(prompts, [level] * len(prompts), 40 + level))
            real = held.pixels[[name in _HOMES for name in held.names]]
            made_share, real_share = (
                percent(np.mean([one == level for one in self.judge.levels_of(images)]))
                for images in (made, real)
            )
            figures[f"level {level}"] = {"recognised %": made_share, "ceiling: held-out chips %": real_share}
        mean = float(np.mean([entry["recognised %"] for entry in figures.values()]))
        return {"prompt": "a residential area", "mean %": round(mean, 1), **figures}

    def copies(self, made: Images) -> Figures:
        """Measure nearest-neighbour distances to training windows, of generated and of held-out images."""
        library = shrunken_windows(self.train[made.level].pixels, 8)
        held = self.held[made.level]
        rebuilt = self._rebuild(held.pixels)
        return {
            "training windows searched (8 turns each)": len(library),
            "generated": quantiles(nearest_distances(made.pixels, library)),
            "held-out chips": quantiles(nearest_distances(held.pixels, library)),
            "held-out chips through the autoencoder": quantiles(nearest_distances(rebuilt, library)),
        }

    def inpainting(self) -> tuple[Figures, Tensor]:
        """Measure inpainting by random large masks on held-out chips; also rows source, masked, result."""
        classes = {level: chips.classes for level, chips in self.train.items()}
        cases = inpainting_quality.draw_cases(self.held, classes, self.amounts.masks)
        request = replace(
            self.request(cases.prompts, cases.levels, 22), images=cases.sources, masks=cases.masks
        )
        result = inpainting_quality.join(cases, sampling.draw(self.parts, request))
        figures = inpainting_quality.outlines(cases, result)
        figures |= inpainting_quality.recognised(cases, result, self.judge)
        return figures, torch.cat([cases.sources[:12], cases.masked[:12], result[:12]])


def run(folder: Path, chips: land_cover.ChipsByLevel, work: Path, out: Path, amounts: Amounts) -> Figures:
    """Evaluate a model folder; write ``<id>.json`` and pictures to ``out`` and return the figures."""
    job = Evaluation(folder, chips, work, amounts)
    figures: Figures = {"model": job.card.id, "weights": job.card.revision_or_hash}
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{job.card.id}.json"
    for level, each in ((14, amounts.coarse), (18, amounts.fine)):
        made = job.draw(level, each, seed=level)
        write_gallery(out / f"{job.card.id}-level{level}.jpg", made, job.held[level])
        figures[f"level {level}"] = job.prompts(made)
        figures[f"copies at level {level}, rms DN of 8 x 8 means"] = job.copies(made)
        _write(path, figures)
    figures["levels"] = job.levels()
    figures["inpainting"], rows = job.inpainting()
    write_sheet(out / f"{job.card.id}-inpainting.png", rows, 12, zoom=2)
    _write(path, figures)
    return figures


def _write(path: Path, figures: Figures) -> None:
    text = json.dumps(figures, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", "utf-8")
    print(text, flush=True)
