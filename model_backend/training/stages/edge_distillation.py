"""Stage 4: windows learn to say at their edges what windows that see further say there.

Where a UNet pads with zeros it is a little off, always in the same way: on open water by 0.05 of a std along
whole lines in its first steps, by 0.015 in its last. Scenes blend windows at just those edges, so the lattice
shows. Training on images hardly teaches it away, since what a latent will be nobody can foretell, and
errors of that kind drown a bias of a tenth of their size. But the trained model knows better itself: the same
place under the same noise lies inside of a window that is shifted. So it is its own teacher: what shifted
windows predict, each where it sees all around, is what any window should predict there. Inside nothing is
new, so prompts, levels and classes stay what they were.

Only in the late steps word for word, though. In the early ones a window finds its own image in its own noise:
learning the mean of several windows there would make images of a class alike (diversity fell from 3.8 to
3.0). There the teacher's own prediction is kept, but for what whole rows and columns share, which is all that
a lattice shows of it. Begins with the model that the stage before left and with scenes that it draws
(``drawn_scenes``); does not know how they are made.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model_backend.models.card import read_card
from model_backend.models.loader import load
from model_backend.training import export, sampling
from model_backend.training.data_sets import drawn_scenes, land_cover
from model_backend.training.data_sets.batches import Batch
from model_backend.training.process_group import ProcessGroup
from model_backend.training.progress import Interval, ProgressLog, train_until_spent
from model_backend.training.stages import autoencoder, diffusion
from model_backend.training.trainer import Budget, Trainer, autocast, training_device

_PIECE, _STEP = (
    40,
    8,
)  # latents: a side of a piece of a scene, and from one of the teacher's windows to the next
_BLIND, _FADE = 3, 3  # latents from a window's edge: where it does not teach, then teaches little
_LATE, _LATE_SHARE = 550, 0.6  # timesteps below which windows teach each other all; share of pieces there
_LINES = 2.0  # what errors count again that whole rows or columns of a window share

Offsets = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Options:
    """Settings of the stage; ``batch`` counts pieces of scenes, ``windows`` the learners in each."""

    batch: int = 8
    windows: int = 6
    rate: float = 1.5e-4
    decay: float = 0.998
    seed: int = 4
    save_seconds: float = 300.0
    scenes: Sequence[drawn_scenes.DrawnScene] = drawn_scenes.PLAN


def crop_windows(piece: Tensor, offsets: Offsets, side: int) -> Tensor:
    """Cut windows, (n * b, c, side, side), out of pieces, (b, c, h, w), at n offsets, offset by offset."""
    return torch.cat([piece[..., row : row + side, col : col + side] for row, col in offsets])


def consensus(windows: Tensor, offsets: Offsets, size: int) -> Tensor:
    """Average overlapping windows (n * b, c, s, s) at n offsets into (b, c, size, size), edges left out.

    Where no window sees all around, along the edge of the piece, it is not a number.
    """
    side = windows.shape[-1]
    place = torch.arange(side, device=windows.device)
    sight = ((torch.minimum(place, side - 1 - place) + 1 - _BLIND) / _FADE).clamp(0, 1)
    weight = sight[:, None] * sight
    each = windows.chunk(len(offsets))
    total = windows.new_zeros(*each[0].shape[:2], size, size)
    weights = windows.new_zeros(size, size)
    for (row, col), one in zip(offsets, each, strict=True):
        total[..., row : row + side, col : col + side] += one * weight
        weights[row : row + side, col : col + side] += weight
    return total / weights


def line_means(windows: Tensor) -> Tensor:
    """Keep only what whole rows and columns of windows (n, c, h, w) share, against each window's mean."""
    mean = windows.mean((2, 3), keepdim=True)
    return windows.mean(3, keepdim=True) + windows.mean(2, keepdim=True) - 2 * mean


def _spread(count: int, first: int, end: int) -> Tensor:
    """Return random timesteps (count,), one in each of as many equal parts of a range."""
    return (first + (end - first) * (torch.arange(count) + torch.rand(count)) / max(count, 1)).long()


class Stage:
    """One run of the stage in ``work``: begins with the model there and replaces it at the end.

    Killed before that, it goes on where it saved last.
    """

    def __init__(self, work: Path, options: Options, budget: Budget, group: ProcessGroup) -> None:
        self.where = training_device()
        self.options, self.budget, self._work, self._group = options, budget, work, group
        torch.manual_seed(options.seed)
        self.teacher = sampling.load(work / "model", self.where)
        self._unet = copy.deepcopy(self.teacher.unet).train()
        self._text = copy.deepcopy(self.teacher.text).train()
        trained = {"unet": self._unet, "text_encoder": self._text}
        adam = partial(torch.optim.AdamW, lr=options.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
        self._trainer = Trainer(trained, adam, options.decay, budget, group)
        self._trainer.restore(work / "edge-distillation.pt")
        self._alphas = diffusion.scheduler().alphas_cumprod.to(self.where)
        self._side = self.teacher.unet.config.sample_size
        steps = range(0, _PIECE - self._side + 1, _STEP)
        self._shifts = [(row, col) for row in steps for col in steps]

    def save(self) -> None:
        """Write the checkpoint."""
        self._trainer.save(self._work / "edge-distillation.pt")

    def finish(self) -> None:
        """Put the model with averaged weights in the place of the teacher, which stays as `model.before`."""
        model, before, part = (self._work / name for name in ("model", "model.before", "model.part"))
        for folder in (before, part):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(model, part)
        learned = self._trainer.average.modules
        taught = replace(self.teacher, unet=learned["unet"], text=learned["text_encoder"])
        taught.unet.save_pretrained(part / "unet")
        taught.text.save_pretrained(part / "text_encoder")
        model.rename(before)
        part.rename(model)
        (self._work / "edge-distillation.pt").unlink(missing_ok=True)
        shutil.rmtree(self._work / "drawn-scenes", ignore_errors=True)  # of the model before

    def loss(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """Return how far windows at random places are from the teacher's consensus."""
        count, learners = len(batch.images), self.options.windows
        far = _PIECE - self._side - _BLIND + 1
        offsets = [(int(row), int(col)) for row, col in rng.integers(_BLIND, far, (learners, 2))]
        late = round(_LATE_SHARE * count)
        times = torch.cat([_spread(late, 0, _LATE), _spread(count - late, _LATE, len(self._alphas))])
        times = times.to(self.where)
        with torch.no_grad():
            latents = autoencoder.seamless(self.teacher.encode, batch.images)
            signal = self._alphas[times].view(-1, 1, 1, 1)
            noisy = signal.sqrt() * latents + (1 - signal).sqrt() * torch.randn_like(latents)
            embeds = self.teacher.text(batch.ids).last_hidden_state
            predicted = self._predict(self.teacher.unet, noisy, times, embeds, batch, self._shifts)
            shared = crop_windows(consensus(predicted, self._shifts, _PIECE), offsets, self._side)
            own = self._predict(self.teacher.unet, noisy, times, embeds, batch, offsets)
            teaches_all = (times < _LATE).repeat(learners).view(-1, 1, 1, 1)
            target = torch.where(teaches_all, shared, own + line_means(shared - own))
        embeds = self._text(batch.ids).last_hidden_state
        errors = self._predict(self._unet, noisy, times, embeds, batch, offsets) - target
        rows, columns = errors.mean(3), errors.mean(2)
        whole = self._side * (rows.square().mean() + columns.square().mean()) / 2
        loss: Tensor = errors.square().mean() + _LINES * whole
        return loss

    def _predict(
        self,
        unet: torch.nn.Module,
        noisy: Tensor,
        times: Tensor,
        embeds: Tensor,
        batch: Batch,
        offsets: Offsets,
    ) -> Tensor:
        """Return a UNet's output for the windows at n offsets of noisy pieces, (n * b, 4, side, side)."""
        n, side, factor = len(offsets), self._side, autoencoder.FACTOR
        corners = [(row * factor, col * factor) for row, col in offsets]
        with torch.no_grad():
            images, masks = (crop_windows(one, corners, side * factor) for one in (batch.images, batch.masks))
            inputs = torch.cat(
                [crop_windows(noisy, offsets, side), sampling.context(self.teacher, images, masks)], 1
            )
        predicted: Tensor = unet(
            inputs, times.repeat(n), embeds.repeat(n, 1, 1), class_labels=batch.levels.repeat(n)
        ).sample.float()
        return predicted

    def step(self, batches: drawn_scenes.SceneBatches) -> Tensor:
        """Take one optimiser step on one random batch; return the loss."""

        def loss() -> Tensor:
            rng = self._group.seed(self.options.seed, self.budget.step)
            batch = batches.draw(self.options.batch // self._group.size, rng)
            with autocast(self.where):
                return self.loss(batch, rng)

        return self._trainer.step(loss)

    def run(self, chips: land_cover.ChipsByLevel) -> None:
        """Train until the budget is spent; ``chips`` are only looked at for the model's card."""
        folder = self._work / "drawn-scenes"
        self._draw(chips, folder)
        side = _PIECE * autoencoder.FACTOR
        batches = drawn_scenes.SceneBatches(
            folder, self.options.scenes, self.teacher.tokenizer, self.where, side
        )
        log = ProgressLog(self._work / "edge-distillation.log", self.budget, self.options.batch, 30.0)
        saving = Interval(self.options.save_seconds, self.save)
        train_until_spent(lambda: {"loss": self.step(batches)}, self.budget, self._group, log, saving)
        if self._group.rank == 0:
            self.finish()

    def _draw(self, chips: land_cover.ChipsByLevel, folder: Path) -> None:
        """Draw the scenes that are not there yet, each process its share; return when all are."""
        missing = [scene for scene in self.options.scenes if not (folder / scene.file).exists()]
        model = folder / "model"
        if missing and self._group.rank == 0:  # in a group, transformers lets only the first process save
            export.write(self._work, model, chips)
        self._group.wait()
        if missing:
            mine = missing[self._group.rank :: self._group.size]
            drawn_scenes.draw(load(model, read_card(model), threads=1), mine, folder)
        self._group.wait()
