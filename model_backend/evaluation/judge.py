"""A small classifier trained on real windows, which judges what class and level images show.

One network for all levels: restricted to the classes of one level it says which class a window shows, over
all of them it says which level. Its features measure distances between sets of images. Knows windows and
labels; does not know the generator.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_backend.training.data_sets import land_cover
from model_backend.training.image_tensors import to_tensor
from model_backend.training.trainer import autocast, load_checkpoint, save_checkpoint, training_device

Label = tuple[int, str]
_BATCH = 250


def labels_of(chips: land_cover.ChipsByLevel) -> tuple[Label, ...]:
    """Return the labels of all levels, in a fixed order."""
    return tuple((level, name) for level in sorted(chips) for name in chips[level].classes)


def _convolution(inside: int, outside: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
    )


class Judge(nn.Module):
    """Convolutions, global average, 128 features, one output per label."""

    def __init__(self, labels: Sequence[Label]) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.trunk = nn.Sequential(
            _convolution(3, 24, 2),
            _convolution(24, 48, 2),
            _convolution(48, 96, 1),
            _convolution(96, 128, 2),
            _convolution(128, 128, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(128, len(labels))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (b, labels) of images (b, 3, 64, 64) in [-1, 1]."""
        logits: Tensor = self.head(F.dropout(self.trunk(images), 0.2, self.training))
        return logits

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Return features (n, 128) of images (n, 3, 64, 64), on the CPU."""
        where = next(self.parameters()).device
        self.eval()
        parts = torch.split(images, _BATCH)
        return torch.cat([self.trunk(part.to(where)).float() for part in parts]).cpu()

    def classes_of(self, images: Tensor, level: int) -> list[str]:
        """Return the most likely class of each image (n, 3, 64, 64) among those of one level."""
        inside = [index for index, label in enumerate(self.labels) if label[0] == level]
        picks = self._logits(images)[:, inside].argmax(1).tolist()
        return [self.labels[inside[pick]][1] for pick in picks]

    def levels_of(self, images: Tensor) -> list[int]:
        """Return the most likely level of each image (n, 3, 64, 64)."""
        return [self.labels[pick][0] for pick in self._logits(images).argmax(1).tolist()]

    @torch.no_grad()
    def _logits(self, images: Tensor) -> Tensor:
        features = self.features(images).to(self.head.weight.device)
        logits: Tensor = self.head(features)
        return logits.float().cpu()


@dataclass(frozen=True)
class JudgeOptions:
    """Settings of a judge's training; ``shares`` of the windows by level, ``light`` by how much brightness is
    changed at random."""

    steps: int
    batch: int = 64
    rate: float = 2e-3
    seed: int = 11
    shares: dict[int, float] | None = None
    light: float = 0.1


def train(chips: land_cover.ChipsByLevel, labels: Sequence[Label], options: JudgeOptions) -> Judge:
    """Train a judge on random windows of ``chips`` (crops, flips, small changes of light)."""
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    where = training_device()
    judge = Judge(labels).to(where).train()
    sampler = land_cover.WindowSampler(chips, options.shares or {18: 0.3, 17: 0.25, 14: 0.45})
    index = {label: number for number, label in enumerate(labels)}
    optimizer = torch.optim.AdamW(judge.parameters(), lr=options.rate, weight_decay=0.05)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, options.steps, pct_start=0.1)
    seen = time.monotonic()
    for step in range(options.steps):
        windows = sampler.draw(options.batch, rng)
        pairs = zip(windows.levels.tolist(), windows.names, strict=True)
        wanted = torch.tensor([index[pair] for pair in pairs], device=where)
        images = to_tensor(windows.pixels, where)
        light = 1 + options.light * torch.randn(len(images), 1, 1, 1, device=where)
        images = images * light + options.light / 2 * torch.randn(len(images), 1, 1, 1, device=where)
        with autocast(where):
            loss = F.cross_entropy(judge(images).float(), wanted, label_smoothing=0.05)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        plan.step()
        if time.monotonic() - seen > 20 or step + 1 == options.steps:
            print(f"judge: step {step + 1} of {options.steps}  loss {loss.item():.3f}", flush=True)
            seen = time.monotonic()
    return judge.eval()


def load_or_train(path: Path, chips: land_cover.ChipsByLevel, options: JudgeOptions) -> Judge:
    """Return the judge kept at ``path``, trained on these chips first if it is not there."""
    labels = labels_of(chips)
    state = load_checkpoint(path)
    if state is None:
        judge = train(chips, labels, options)
        save_checkpoint(path, judge.state_dict())
        return judge
    judge = Judge(labels).to(training_device())
    judge.load_state_dict(state)
    return judge.eval()
