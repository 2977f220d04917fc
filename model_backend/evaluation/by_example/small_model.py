"""The bundled diffusion model on the same test as land by example, where it makes the same land.

It draws single windows of its own classes; at 0.5 m they are those of UC Merced that scenes are made of, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model_backend.evaluation.by_example import held_out
from model_backend.evaluation.by_example.held_out import Photograph, Windows
from model_backend.evaluation.by_example.judges import eurosat_photographs
from model_backend.evaluation.by_example.realism import Amounts, Compared, recognised, two_sample
from model_backend.evaluation.chip_images import CPU
from model_backend.evaluation.judge import Judge
from model_backend.evaluation.metrics.image_sets import frechet_distance
from model_backend.models.card import read_card
from model_backend.training import sampling
from model_backend.training.data_sets import captions
from model_backend.training.image_tensors import to_bytes, to_tensor

Figures = dict[str, Any]
_FINE, _COARSE = 18, 14  # levels
_COARSE_SIDE = 80  # pixels of EuroSAT's images at 8 m
_EACH = 40  # windows of every class at 8 m


def measure(folder: Path, data: Path, aerial: Compared, judge: Judge, amounts: Amounts) -> Figures:
    """Measure windows of a model at 0.5 m, as scenes are measured, and at 8 m on the classes of EuroSAT."""
    fine = _drawn(folder, aerial.made.names, _FINE)
    photographs = [_at_8_m(one) for one in eurosat_photographs(data)]
    classes = sorted({one.label for one in photographs})
    each = max(2, round(_EACH * amounts.share))
    names = tuple(name for name in classes for _ in range(each))
    coarse = _drawn(folder, names, _COARSE)
    real = held_out.by_class(photographs, dict.fromkeys(classes, each), 5)
    features = [
        judge.features(to_tensor(one.pixels.transpose(0, 3, 1, 2), CPU)) for one in (fine, aerial.real)
    ]
    return {
        "model": folder.name,
        "UC Merced, 0.5 m": {
            "windows a side": len(fine.pixels),
            "two-sample accuracy %": two_sample(fine, aerial.real, amounts),
            "Frechet distance": frechet_distance(*features),
            "class recognised %": recognised(judge, fine),
        },
        "EuroSAT, 8 m": {
            "windows a side": len(coarse.pixels),
            "two-sample accuracy %": two_sample(coarse, real, amounts),
        },
    }


def _drawn(folder: Path, names: Sequence[str], level: int) -> Windows:
    """Draw a window for every name, by the card's defaults."""
    card = read_card(folder)
    request = sampling.SamplingRequest(
        [captions.plain(name) for name in names],
        [level] * len(names),
        60 + level,
        card.steps[card.sampler],
        card.guidance,
        card.sampler,
        card.engine.guidance_cutoff,
    )
    pixels = to_bytes(sampling.draw(sampling.load(folder, CPU), request))
    return Windows(pixels, np.arange(len(names)), tuple(names))


def _at_8_m(one: Photograph) -> Photograph:
    larger = Image.fromarray(one.pixels).resize((_COARSE_SIDE, _COARSE_SIDE), Image.Resampling.BICUBIC)
    return Photograph(one.file, np.asarray(larger), one.label)
