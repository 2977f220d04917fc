"""Is it any good? A model folder against held-out chips, every figure beside its ceiling of real chips.

Images are one-window canvases with the card's defaults. A judge trained on real training windows says what
the images show (prompt accuracy, level accuracy, classes inside masks); a second judge trained on generated
images alone is tested on real ones (Cls-OA as in arXiv 2501.00895); features of the first give Fréchet
distance and diversity. Tells a story of calls; numbers are made in ``metrics``, networks elsewhere.
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
from PIL import Image, ImageDraw
from torch import Tensor

from model_backend.engine.editing.composite import Join, cast
from model_backend.evaluation import image_sets, judge
from model_backend.models.card import ModelCard, read_card
from model_backend.training import sampling
from model_backend.training.data_sets import captions, land_cover, masks
from model_backend.training.image_tensors import to_bytes, to_tensor, write_sheet
from model_backend.training.stages import autoencoder
from model_backend.training.trainer import training_device

Figures = dict[str, Any]


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


@dataclass(frozen=True)
class Images:
    """Images (n, 3, 64, 64) in [-1, 1] of one level with the names of their classes."""

    level: int
    pixels: Tensor
    names: list[str]


class Evaluation:
    """One evaluation: a model, the chips, the judge."""

    def __init__(self, folder: Path, chips: land_cover.ChipsByLevel, work: Path, amounts: Amounts) -> None:
        self.card: ModelCard = read_card(folder)
        self.parts = sampling.load(folder, training_device())
        self.amounts = amounts
        pairs = {level: some.split() for level, some in chips.items()}
        self.train = {level: pair[0] for level, pair in pairs.items()}
        self.held = {level: _real(pair[1]) for level, pair in pairs.items()}
        schooling = judge.JudgeTraining(amounts.judge_steps)
        self.judge = judge.cached(work / "judge.pt", self.train, schooling)

    def request(self, prompts: Sequence[str], levels: Sequence[int], seed: int) -> sampling.SamplingRequest:
        """Return a request with the card's defaults."""
        card = self.card
        steps, cutoff = card.steps[card.sampler], card.engine.guidance_cutoff
        return sampling.SamplingRequest(prompts, levels, seed, steps, card.guidance, card.sampler, cutoff)

    def draw(self, level: int, each: int, seed: int) -> Images:
        """Return ``each`` generated images of every class of a level."""
        names = [name for name in self.train[level].classes for _ in range(each)]
        prompts = [captions.plain(name) for name in names]
        return Images(
            level, sampling.draw(self.parts, self.request(prompts, [level] * len(names), seed)), names
        )

    def accuracy(self, images: Images) -> tuple[float, dict[str, float]]:
        """Return the percentage of images that show the judge the class they are meant to, and by class."""
        seen = self.judge.name_classes(self.judge.look(images.pixels)[1], images.level)
        right = np.array([a == b for a, b in zip(seen, images.names, strict=True)])
        names = np.array(images.names)
        by_class = {str(name): _percent(right[names == name].mean()) for name in sorted(set(images.names))}
        return _percent(right.mean()), by_class

    def prompts(self, made: Images) -> Figures:
        """Return prompt accuracy, Cls-OA, Fréchet distance and diversity of generated images of a level."""
        held = self.held[made.level]
        rebuilt = replace(held, pixels=self._rebuild(held.pixels))
        total, by_class = self.accuracy(made)
        real = _some(self.train[made.level], len(made.names))
        real_features = self.judge.look(real.pixels)[0]
        made_features, held_features = self.judge.look(made.pixels)[0], self.judge.look(held.pixels)[0]
        return {
            "images": len(made.names),
            "prompt accuracy %": total,
            "ceiling: held-out chips %": self.accuracy(held)[0],
            "held-out chips through the autoencoder %": self.accuracy(rebuilt)[0],
            "by class %": by_class,
            "Cls-OA %": self._student(made, held),
            "ceiling: trained on as many real chips %": self._student(real, held),
            "Frechet distance": round(image_sets.frechet(made_features, real_features), 2),
            "ceiling: held-out chips": round(image_sets.frechet(held_features, real_features), 2),
            **self._inception(made, real),
            "diversity": round(image_sets.spread(made_features, made.names), 3),
            "diversity of held-out chips": round(image_sets.spread(held_features, held.names), 3),
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
        return {"Inception FID": round(image_sets.frechet(*features), 2)}

    @torch.no_grad()
    def _rebuild(self, images: Tensor) -> Tensor:
        encode = partial(autoencoder.seamless, self.parts.encode)
        return torch.cat([self.parts.decode(encode(some)) for some in torch.split(images, 200)])

    def _student(self, lesson: Images, test: Images) -> float:
        """Train a fresh judge on the images of a lesson alone; return its accuracy on the test, percent."""
        pixels = to_bytes(lesson.pixels)
        classes = tuple(sorted(set(lesson.names)))
        labels = np.array([classes.index(name) for name in lesson.names])
        chips = {lesson.level: land_cover.Chips(lesson.level, pixels, labels, classes, tuple(lesson.names))}
        how = judge.JudgeTraining(self.amounts.student_steps, shares={lesson.level: 1.0})
        student = judge.train(chips, judge.labels_of(chips), how)
        seen = student.name_classes(student.look(test.pixels)[1], lesson.level)
        return _percent(np.mean([a == b for a, b in zip(seen, test.names, strict=True)]))

    def levels(self) -> Figures:
        """Return how often the judge tells the level of "a residential area" drawn at 0.5, 1 and 8 m."""
        homes = {"Residential", "denseresidential", "mediumresidential", "sparseresidential"}
        figures: Figures = {}
        for level, held in sorted(self.held.items()):
            prompts = ["a residential area"] * self.amounts.levels
            made = sampling.draw(self.parts, self.request(prompts, [level] * len(prompts), 40 + level))
            real = held.pixels[[name in homes for name in held.names]]
            shares = []
            for images in (made, real):
                seen = self.judge.name_levels(self.judge.look(images)[1])
                shares.append(_percent(np.mean([one == level for one in seen])))
            figures[f"level {level}"] = {"recognised %": shares[0], "ceiling: held-out chips %": shares[1]}
        mean = float(np.mean([entry["recognised %"] for entry in figures.values()]))
        return {"prompt": "a residential area", "mean %": round(mean, 1), **figures}

    def copies(self, made: Images) -> Figures:
        """Return nearest-neighbour distances to training windows, of generated and of held-out images."""
        library = image_sets.windows_of(self.train[made.level].pixels, 8)
        held = self.held[made.level]
        rebuilt = self._rebuild(held.pixels)
        return {
            "training windows searched (8 turns each)": len(library),
            "generated": image_sets.quantiles(image_sets.nearest(made.pixels, library)),
            "held-out chips": image_sets.quantiles(image_sets.nearest(held.pixels, library)),
            "held-out chips through the autoencoder": image_sets.quantiles(
                image_sets.nearest(rebuilt, library)
            ),
        }

    def inpainting(self) -> tuple[Figures, Tensor]:
        """Return the figures of random large masks on held-out chips, and rows source, masked, result."""
        rng = np.random.default_rng(21)
        count = self.amounts.masks
        levels = rng.choice([14, 18], count)
        sources, prompts, names = [], [], []
        for level in levels:
            held = self.held[int(level)]
            sources.append(held.pixels[rng.integers(len(held.names))])
            names.append(str(rng.choice(self.train[int(level)].classes)))
            prompts.append(captions.plain(names[-1]))
        painted = np.stack([masks.large(land_cover.WINDOW, rng) for _ in range(count)])
        mask = torch.from_numpy(painted)[:, None].float()
        source = torch.stack(sources)
        request = replace(self.request(prompts, levels.tolist(), 22), images=source, masks=mask)
        result = _joined(source, sampling.draw(self.parts, request), painted)
        figures = self._seams(result, painted) | self._insides(result, source, mask, levels, names)
        masked = source * (1 - mask) + mask
        return figures, torch.cat([source[:12], masked[:12], result[:12]])

    def _seams(self, result: Tensor, painted: masks.Mask) -> Figures:
        pixels = to_bytes(result)
        here = [image_sets.outline_gradient(image, mask) for image, mask in zip(pixels, painted, strict=True)]
        others = np.roll(painted, 1, 0)
        there = [image_sets.outline_gradient(image, mask) for image, mask in zip(pixels, others, strict=True)]
        ratio = float(np.mean(here) / np.mean(there))
        return {"masks": len(here), "border gradient ratio": round(ratio, 3)}

    def _insides(
        self, result: Tensor, source: Tensor, mask: Tensor, levels: np.ndarray[Any, Any], names: list[str]
    ) -> Figures:
        big = mask.mean((1, 2, 3)) >= 0.5
        figures: Figures = {}
        for level in (14, 18):
            chosen = [i for i in range(len(names)) if big[i] and levels[i] == level]
            if not chosen:
                continue
            wanted = [names[i] for i in chosen]
            shares = []
            for images in (result, source):
                seen = self.judge.name_classes(self.judge.look(images[chosen])[1], level)
                shares.append(_percent(np.mean([a == b for a, b in zip(seen, wanted, strict=True)])))
            figures[f"level {level}: prompt recognised, masks over half %"] = shares[0]
            figures[f"level {level}: the same before painting %"] = shares[1]
            figures[f"level {level}: chance %"] = _percent(1 / len(self.train[level].classes))
        return figures


def _real(chips: land_cover.Chips) -> Images:
    pixels = to_tensor(land_cover.centre(chips.pixels).transpose(0, 3, 1, 2), torch.device("cpu"))
    return Images(chips.level, pixels, [chips.classes[label] for label in chips.labels])


def _some(chips: land_cover.Chips, count: int) -> Images:
    windows = land_cover.WindowSampler({chips.level: chips}, {chips.level: 1.0}).draw(
        count, np.random.default_rng(3)
    )
    pixels = to_tensor(windows.pixels, torch.device("cpu"))
    return Images(chips.level, pixels, list(windows.names))


def _joined(source: Tensor, made: Tensor, painted: masks.Mask, feather: float = 6.0) -> Tensor:
    """Return sources (n, 3, s, s) with ``made`` inside masks (n, s, s), joined as in an edit."""
    known, theirs = to_bytes(source), made.permute(0, 2, 3, 1).double().numpy() * 127.5 + 127.5
    for index, mask in enumerate(painted.astype(bool)):
        join = Join(mask, np.ones_like(mask), (1.0, 1.0), feather)
        for band in range(3):
            values = join.band(known[index, :, :, band], theirs[index, :, :, band])
            known[index, :, :, band][mask] = cast(values, known.dtype, None)
    return to_tensor(known.transpose(0, 3, 1, 2), torch.device("cpu"))


def _percent(share: Any) -> float:
    return round(100 * float(share), 1)


def run(folder: Path, chips: land_cover.ChipsByLevel, work: Path, out: Path, amounts: Amounts) -> Figures:
    """Evaluate a model folder; write ``<id>.json`` and pictures to ``out`` and return the figures."""
    job = Evaluation(folder, chips, work, amounts)
    figures: Figures = {"model": job.card.id, "weights": job.card.revision_or_hash}
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{job.card.id}.json"
    for level, each in ((14, amounts.coarse), (18, amounts.fine)):
        made = job.draw(level, each, seed=level)
        gallery(out / f"{job.card.id}-level{level}.jpg", made, job.held[level])
        figures[f"level {level}"] = job.prompts(made)
        figures[f"copies at level {level}, rms DN of 8 x 8 means"] = job.copies(made)
        _write(path, figures)
    figures["levels"] = job.levels()
    figures["inpainting"], rows = job.inpainting()
    write_sheet(out / f"{job.card.id}-inpainting.png", rows, 12, zoom=2)
    _write(path, figures)
    return figures


def _write(path: Path, figures: Figures) -> None:
    path.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", "utf-8")
    print(json.dumps(figures, indent=2, ensure_ascii=False), flush=True)


def gallery(path: Path, made: Images, held: Images, each: int = 6) -> None:
    """Write a picture of generated (left) and real held-out images (right), a row for every class."""
    names = sorted(set(made.names))
    tile, gap, label = 64, 3, 130
    canvas = Image.new("RGB", (label + (2 * each * (tile + gap)) + 24, len(names) * (tile + gap)), "white")
    pen = ImageDraw.Draw(canvas)
    for row, name in enumerate(names):
        top = row * (tile + gap)
        pen.text((4, top + 26), name, fill="black")
        left = label
        for images in (made, held):
            picks = [index for index, other in enumerate(images.names) if other == name][:each]
            for pixels in to_bytes(images.pixels[picks]):
                canvas.paste(Image.fromarray(pixels), (left, top))
                left += tile + gap
            left = label + each * (tile + gap) + 24
    canvas.save(path, quality=92, subsampling=0)
