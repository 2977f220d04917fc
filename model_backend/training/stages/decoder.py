"""Stage 2: the autoencoder's decoder, made to draw sharp.

Trained for least error, a decoder blurs what the latents do not say, and blurred land looks as if seen from
another height: a judge of real chips told the level of only a third of those at 0.5 m once they had been
through it. Here it keeps to the picture and also draws as much detail as there was: the strength of edges,
where they are, at two scales, and what a small critic of patches takes for real (hinge loss; Isola et al.
2017, Esser et al. 2021). The encoder stays as it is, so latents mean the same: the stage may be run before or
after the UNet's, which knows nothing of it. Does not know text, levels or the UNet.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from torch import Tensor, nn

from model_backend.training.data_sets import land_cover
from model_backend.training.image_tensors import to_tensor
from model_backend.training.process_group import ProcessGroup
from model_backend.training.progress import Interval, ProgressLog, train_until_spent
from model_backend.training.stages import autoencoder
from model_backend.training.trainer import (
    Budget,
    MovingAverage,
    autocast,
    load_checkpoint,
    save_checkpoint,
    training_device,
)

_SHARES = {18: 0.25, 17: 0.5, 14: 0.25}  # 1 m is the one that a blur turns into another


@dataclass(frozen=True)
class Options:
    """Settings of the stage; ``detail`` and ``critic`` weigh the two losses besides that of the picture."""

    batch: int = 16
    rate: float = 1e-3
    jitter: float = 0.05
    detail: float = 1.0
    critic: float = 0.05
    warmup: int = 300  # steps until the critic has its full weight
    seed: int = 3
    save_seconds: float = 120.0


def build_critic() -> nn.Sequential:
    """Return an untrained critic of images (b, 3, h, w): a number per patch of 26 px, above 0 for real."""
    norm = nn.utils.parametrizations.spectral_norm
    return nn.Sequential(
        norm(nn.Conv2d(3, 32, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        norm(nn.Conv2d(32, 64, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        norm(nn.Conv2d(64, 96, 3, 1, 1)),
        nn.LeakyReLU(0.2),
        norm(nn.Conv2d(96, 1, 3, 1, 1)),
    )


def detail_loss(made: Tensor, real: Tensor) -> Tensor:
    """Return the difference in the local strength of edges of images (b, 3, h, w), over two octaves.

    It asks for as much detail of each direction in every patch of 8 x 8, not for the same detail.
    """
    total = made.new_zeros(())
    for octave in range(2):
        if octave:
            made, real = F.avg_pool2d(made, 2), F.avg_pool2d(real, 2)
        for ours, theirs in zip(_edges(made), _edges(real), strict=True):
            total = total + (_strength(ours) - _strength(theirs)).abs().mean()
    return total


def _edges(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return differences along columns, along rows, and along both."""
    here, right = images[..., :-1, :-1], images[..., :-1, 1:]
    below, across = images[..., 1:, :-1], images[..., 1:, 1:]
    return right - here, below - here, across - below - right + here


def _strength(edges: Tensor) -> Tensor:
    return (F.avg_pool2d(edges.square(), 8, 4) + 1e-4).sqrt()


class Stage:
    """One training run of the decoder of ``work / "vae"``, in one process; resumes by itself."""

    def __init__(self, work: Path, options: Options, budget: Budget, group: ProcessGroup) -> None:
        self.where = training_device()
        self.options, self.budget, self._work = options, budget, work
        self._group = group
        torch.manual_seed(options.seed)
        self.vae = AutoencoderTiny.from_pretrained(work / "vae").requires_grad_(False)
        self.vae.to(self.where, memory_format=torch.channels_last)
        self.vae.decoder.requires_grad_(True)
        self.critic = build_critic().to(self.where)
        self.average = MovingAverage({"decoder": self.vae.decoder}, 0.995)
        rate, betas = options.rate, (0.5, 0.99)
        self._painting = torch.optim.AdamW(self.vae.decoder.parameters(), rate, betas, weight_decay=0.01)
        self._judging = torch.optim.AdamW(self.critic.parameters(), rate, betas, weight_decay=0.01)
        self._parts = {
            "decoder": self.vae.decoder,
            "average": self.average.modules["decoder"],
            "critic": self.critic,
            "painting": self._painting,
            "judging": self._judging,
        }
        if (state := load_checkpoint(work / "decoder.pt")) is not None:
            for name, part in self._parts.items():
                part.load_state_dict(state[name])
            budget.step, budget.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Write the checkpoint, then the autoencoder with the averaged decoder."""
        state = {name: part.state_dict() for name, part in self._parts.items()}
        spent = {"step": self.budget.step, "seconds": self.budget.seconds}
        save_checkpoint(self._work / "decoder.pt", state | spent)
        vae = AutoencoderTiny.from_pretrained(self._work / "vae")
        vae.decoder.load_state_dict(self.average.modules["decoder"].state_dict())
        vae.save_pretrained(self._work / "vae")

    def step(self, sampler: land_cover.WindowSampler) -> dict[str, Tensor]:
        """Take one step of the decoder and one of its critic on a random batch."""
        options, begun = self.options, time.monotonic()
        for optimizer in (self._painting, self._judging):
            for group in optimizer.param_groups:
                group["lr"] = options.rate * self.budget.rate(warmup=50)
        rng = self._group.seed(options.seed, self.budget.step)
        real = to_tensor(sampler.draw(options.batch, rng).pixels, self.where)
        real = real.contiguous(memory_format=torch.channels_last)
        with autocast(self.where):
            with torch.no_grad():
                latents = autoencoder.seamless(lambda images: self.vae.encode(images).latents, real)
            made = self.vae.decode(latents + options.jitter * torch.randn_like(latents)).sample.float()
            doubted = -self.critic(made).float().mean()
        picture = autoencoder.reconstruction_loss(made, real) + 2 * autoencoder.colour_loss(made, real)
        detail = detail_loss(made, real)
        share = min(1.0, self.budget.step / options.warmup)
        loss = picture + options.detail * detail + share * options.critic * doubted
        self._descend(self._painting, loss)
        with autocast(self.where):
            seen, shown = self.critic(real).float(), self.critic(made.detach()).float()
        doubt = F.relu(1 - seen).mean() + F.relu(1 + shown).mean()
        self._descend(self._judging, doubt)
        self.budget.step += 1
        self.budget.seconds += time.monotonic() - begun
        self.average.update({"decoder": self.vae.decoder}, self.budget.step)
        return {"picture": picture.detach(), "detail": detail.detach(), "critic": doubt.detach()}

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
        optimizer.step()

    def run(self, chips: land_cover.ChipsByLevel) -> None:
        """Train until the budget is spent."""
        sampler = land_cover.WindowSampler({level: some.split()[0] for level, some in chips.items()}, _SHARES)
        log = ProgressLog(self._work / "decoder.log", self.budget, self.options.batch, 30.0)
        saving = Interval(self.options.save_seconds, self.save)
        train_until_spent(lambda: self.step(sampler), self.budget, self._group, log, saving)
        self.save()
