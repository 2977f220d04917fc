"""Stage 1: the autoencoder, a stock ``AutoencoderTiny`` of factor 4 with 4 latent channels.

No GroupNorm, no attention: a tile decodes to the same pixels as the whole. Pixels in [-1, 1]; the stock
encoder maps them to [0, 1] itself and the stock decoder squashes latents by 3 * tanh(x / 3), so training
through ``encode`` and ``decode`` is inference. Losses: L1 on pixels and on their differences at three scales,
and on hues; latents are held near mean 0 and variance 1, jittered with noise, and must still decode when
halved in size (scale equivariance, arXiv 2502.14831), which leaves less fine noise in them to be learned.
Does not know text, levels or the UNet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from torch import Tensor

from model_backend.training.data_sets import land_cover
from model_backend.training.image_tensors import to_tensor, write_sheet
from model_backend.training.process_group import ProcessGroup
from model_backend.training.progress import Interval, ProgressLog, train_until_spent
from model_backend.training.trainer import Budget, Trainer, autocast, training_device

FACTOR = 4
LATENT_CHANNELS = 4
_REACH = 8  # pixels, of what lies beyond an edge


@dataclass(frozen=True)
class Options:
    """Settings of the stage."""

    width: int = 48
    batch: int = 16
    rate: float = 1.5e-3
    jitter: float = 0.08
    seed: int = 1
    save_seconds: float = 120.0


def build(width: int) -> AutoencoderTiny:
    """Return an untrained autoencoder whose convolutions have ``width`` channels."""
    return AutoencoderTiny(
        encoder_block_out_channels=(width,) * 3,
        decoder_block_out_channels=(width,) * 3,
        num_encoder_blocks=(0, 1, 2),
        num_decoder_blocks=(3, 2, 1),
        latent_channels=LATENT_CHANNELS,
        scaling_factor=1.0,
    )


def seamless(encode: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the latents of images (b, 3, h, w) as they would be inside of larger pictures.

    ``encode`` pads with zeros, which leaves the latents at all edges 0.2 to 0.5 off. A UNet that learns them
    so paints them into every overlap of a scene: on open water the lattice shows. Here edges are repeated
    beyond the reach of those zeros; what differs from real surroundings is a tenth of that.
    """
    inside = slice(_REACH // FACTOR, -(_REACH // FACTOR))
    return encode(F.pad(images, (_REACH,) * 4, mode="replicate"))[..., inside, inside]


def _differences(images: Tensor) -> tuple[Tensor, Tensor]:
    return images[..., 1:] - images[..., :-1], images[..., 1:, :] - images[..., :-1, :]


def reconstruction_loss(made: Tensor, real: Tensor) -> Tensor:
    """Return L1 of pixels and of neighbour differences (b, 3, h, w), over three octaves."""
    total = made.new_zeros(())
    for octave in range(3):
        if octave:
            made, real = F.avg_pool2d(made, 2), F.avg_pool2d(real, 2)
        total = total + (made - real).abs().mean()
        for ours, theirs in zip(_differences(made), _differences(real), strict=True):
            total = total + 0.5 * (ours - theirs).abs().mean()
    return total


def colour_loss(made: Tensor, real: Tensor) -> Tensor:
    """Return L1 of red minus green and blue minus green: hues vary little and would be learned last."""
    ours, theirs = made[:, ::2] - made[:, 1:2], real[:, ::2] - real[:, 1:2]
    return (ours - theirs).abs().mean()


def losses(model: AutoencoderTiny, images: Tensor, jitter: float) -> dict[str, Tensor]:
    """Return the terms of the loss for images (b, 3, h, w) in [-1, 1]; ``loss`` is what is minimised."""
    latents = model.encode(images).latents
    noisy = latents + jitter * torch.randn_like(latents)
    rebuilt = model.decode(noisy).sample.float()
    small = model.decode(F.avg_pool2d(noisy, 2)).sample.float()
    latents = latents.float()
    mean, spread = latents.mean((0, 2, 3)), latents.var((0, 2, 3))
    prior = (mean.square() + (spread + 1e-4).log().square()).mean()
    sharp = reconstruction_loss(rebuilt, images) + 2 * colour_loss(rebuilt, images)
    equal = (small - F.avg_pool2d(images, 2)).abs().mean()
    return {
        "loss": sharp + 0.25 * equal + 0.02 * prior,
        "l1": (rebuilt - images).abs().mean(),
        "prior": prior,
    }


class Stage:
    """One training run of the autoencoder in ``work`` (checkpoint, log, sheets); resumes by itself."""

    def __init__(self, work: Path, options: Options, budget: Budget, group: ProcessGroup) -> None:
        self.where = training_device()
        self.options, self.budget, self._work, self._group = options, budget, work, group
        torch.manual_seed(options.seed)
        self.model = build(options.width).to(self.where, memory_format=torch.channels_last)
        adam = partial(torch.optim.AdamW, lr=options.rate, weight_decay=0.01)
        self._trainer = Trainer({"vae": self.model}, adam, 0.998, budget, group)
        self._trainer.restore(work / "autoencoder.pt")

    def save(self) -> None:
        """Write the checkpoint and the averaged weights as a diffusers folder ``vae``."""
        self._trainer.save(self._work / "autoencoder.pt")
        self.averaged().save_pretrained(self._work / "vae")

    def step(self, sampler: land_cover.WindowSampler) -> dict[str, Tensor]:
        """Take one optimiser step on one random batch; return the terms of its loss."""
        terms: dict[str, Tensor] = {}

        def loss() -> Tensor:
            rng = self._group.seed(self.options.seed, self.budget.step)
            pixels = sampler.draw(self.options.batch // self._group.size, rng).pixels
            images = to_tensor(pixels, self.where).contiguous(memory_format=torch.channels_last)
            with autocast(self.where):
                terms.update(losses(self.model, images, self.options.jitter))
            return terms["loss"]

        self._trainer.step(loss)
        return {name: value.detach() for name, value in terms.items()}

    def run(self, chips: land_cover.ChipsByLevel) -> None:
        """Train until the budget is spent."""
        train = {level: some.split()[0] for level, some in chips.items()}
        sampler = land_cover.WindowSampler(train, {18: 0.4, 17: 0.25, 14: 0.35})
        log = ProgressLog(self._work / "autoencoder.log", self.budget, self.options.batch, 20.0)

        def save() -> None:
            self.save()
            self.sheet(chips)

        saving = Interval(self.options.save_seconds, save)
        train_until_spent(lambda: self.step(sampler), self.budget, self._group, log, saving)
        if self._group.rank == 0:
            save()

    def averaged(self) -> AutoencoderTiny:
        """Return the autoencoder with averaged weights."""
        return self._trainer.average.modules["vae"]

    @torch.no_grad()
    def sheet(self, chips: land_cover.ChipsByLevel) -> float:
        """Write held-out windows above their reconstructions; return the mean absolute error in DN."""
        held = [land_cover.centre(some.split()[1].pixels) for some in chips.values()]
        pixels = np.concatenate([some[:: max(1, len(some) // 8)][:8] for some in held])
        real = to_tensor(pixels.transpose(0, 3, 1, 2), self.where)
        vae = self.averaged()
        made = vae.decode(vae.encode(real).latents).sample.clamp(-1, 1)
        rows = [
            part for pair in zip(torch.split(real, 8), torch.split(made, 8), strict=True) for part in pair
        ]
        write_sheet(self._work / "sheets" / "autoencoder.png", torch.cat(rows), 8, zoom=2)
        error = float((real - made).abs().mean()) * 127.5
        print(f"held-out windows: mean absolute error {error:.2f} DN", flush=True)
        return error
