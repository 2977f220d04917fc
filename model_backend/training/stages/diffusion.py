"""Stage 3: the text encoder and the 9-channel UNet, trained together on latents of the frozen autoencoder.

Text2Earth's structure, smaller: stock ``CLIPTextModel`` and ``UNet2DConditionModel``, the level through
``class_embed_type="timestep"``, text through cross-attention, mask and masked latents as extra channels.
v-prediction with min-SNR weights (arXiv 2303.09556) learns faster than plain epsilon. Does not know scenes or
lattices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from model_backend.training import sampling, tokenizer
from model_backend.training.data_sets import captions, land_cover
from model_backend.training.data_sets.batches import Batch, ChipBatches
from model_backend.training.image_tensors import to_tensor, write_sheet
from model_backend.training.process_group import ProcessGroup
from model_backend.training.progress import Interval, ProgressLog, train_until_spent
from model_backend.training.stages import autoencoder
from model_backend.training.trainer import Budget, Trainer, autocast, training_device

_TEXT_WIDTH = 128
_GAMMA = 5.0  # of min-SNR weights
_EDGE, _EDGE_WEIGHT = 4, 3.0  # latents, that lie in overlaps


@dataclass(frozen=True)
class Options:
    """Settings of the stage."""

    widths: tuple[int, ...] = (64, 128, 192)
    batch: int = 32
    rate: float = 8e-4
    decay: float = 0.999
    seed: int = 2
    save_seconds: float = 300.0
    sheet_seconds: float = 3600.0


def scheduler() -> DDIMScheduler:
    """Return the noise schedule of Stable Diffusion 2, with v-prediction."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )


def build_text(words: CLIPTokenizer) -> CLIPTextModel:
    """Return an untrained text encoder for a tokenizer."""
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=_TEXT_WIDTH,
        intermediate_size=4 * _TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.LENGTH,
        projection_dim=_TEXT_WIDTH,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        attn_implementation="eager",
    )
    return CLIPTextModel(config)


def build_unet(widths: Sequence[int]) -> UNet2DConditionModel:
    """Return an untrained 9-channel UNet for windows of 16 x 16 latents; text enters at 8 x 8 and below."""
    deeper = len(widths) - 1
    return UNet2DConditionModel(
        sample_size=land_cover.WINDOW // autoencoder.FACTOR,
        in_channels=9,
        out_channels=autoencoder.LATENT_CHANNELS,
        block_out_channels=tuple(widths),
        layers_per_block=1,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * deeper),
        up_block_types=(*("CrossAttnUpBlock2D",) * deeper, "UpBlock2D"),
        cross_attention_dim=_TEXT_WIDTH,
        attention_head_dim=tuple(width // 64 for width in widths),
        use_linear_projection=True,
        class_embed_type="timestep",
    )


@torch.no_grad()
def latent_scale(vae: AutoencoderTiny, sampler: land_cover.WindowSampler, where: torch.device) -> float:
    """Return the factor that brings latents of training windows to unit variance."""
    pixels = sampler.draw(256, np.random.default_rng(0)).pixels
    return float(1 / vae.encode(to_tensor(pixels, where)).latents.float().std())


def edge_weights(size: int) -> Tensor:
    """Return how much an error weighs at each latent of a window, (size, size): most in the overlaps.

    There it would show as a lattice.
    """
    weights = torch.full((size, size), _EDGE_WEIGHT)
    weights[_EDGE:-_EDGE, _EDGE:-_EDGE] = 1
    return weights


class Stage:
    """One training run of text encoder and UNet in ``work``; resumes by itself."""

    def __init__(self, work: Path, options: Options, budget: Budget, group: ProcessGroup) -> None:
        self.where = training_device()
        self.options, self.budget, self._work, self._group = options, budget, work, group
        torch.manual_seed(options.seed)
        folder = work / "tokenizer"
        if group.rank == 0:
            tokenizer.build(captions.corpus(), folder)
        group.wait()
        vae = AutoencoderTiny.from_pretrained(work / "vae").eval().requires_grad_(False)
        vae.to(self.where, memory_format=torch.channels_last)
        words = CLIPTokenizer.from_pretrained(folder)
        schedule = scheduler()
        self._alphas = schedule.alphas_cumprod.to(self.where)
        self.parts = sampling.Parts(
            words,
            build_text(words).to(self.where),
            build_unet(options.widths).to(self.where),
            vae,
            dict(schedule.config),
        )
        if self.where.type == "cpu":
            self.parts.unet.set_attn_processor(AttnProcessor())
        trained = {"unet": self.parts.unet, "text_encoder": self.parts.text}
        adam = partial(torch.optim.AdamW, lr=options.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        self._trainer = Trainer(trained, adam, options.decay, budget, group)
        self._trainer.restore(work / "diffusion.pt")
        self._edge_weights = edge_weights(self.parts.unet.config.sample_size).to(self.where)

    def save(self) -> None:
        """Write the checkpoint, then the averaged weights as a diffusers folder ``model``."""
        self._trainer.save(self._work / "diffusion.pt")
        parts = self.averaged()
        folder = self._work / "model"
        parts.unet.save_pretrained(folder / "unet")
        parts.text.save_pretrained(folder / "text_encoder")
        parts.vae.save_pretrained(folder / "vae")
        parts.tokenizer.save_pretrained(folder / "tokenizer")
        scheduler().save_pretrained(folder / "scheduler")

    def averaged(self) -> sampling.Parts:
        """Return the model with averaged weights."""
        average = self._trainer.average.modules
        unet, text = average["unet"], average["text_encoder"]
        return sampling.Parts(self.parts.tokenizer, text, unet, self.parts.vae, self.parts.schedule)

    def loss(self, batch: Batch) -> Tensor:
        """Return the weighted v-prediction loss of one batch; times are spread evenly over the schedule."""
        with torch.no_grad():
            latents = autoencoder.seamless(self.parts.encode, batch.images)
            extra = sampling.context(self.parts, batch.images, batch.masks)
        count = len(latents)
        spread = (torch.arange(count, device=self.where) + torch.rand(count, device=self.where)) / count
        times = (spread * len(self._alphas)).long()
        signal = self._alphas[times].view(-1, 1, 1, 1)
        noise = torch.randn_like(latents)
        noisy = signal.sqrt() * latents + (1 - signal).sqrt() * noise
        target = signal.sqrt() * noise - (1 - signal).sqrt() * latents
        embeds = self.parts.text(batch.ids).last_hidden_state
        inputs = torch.cat([noisy, extra], 1)
        made = self.parts.unet(inputs, times, embeds, class_labels=batch.levels).sample.float()
        ratio = (signal / (1 - signal)).flatten()
        weights = ratio.clamp(max=_GAMMA) / (ratio + 1)
        error: Tensor = (((made - target).square() * self._edge_weights).mean((1, 2, 3)) * weights).mean()
        return error

    def step(self, batches: ChipBatches) -> Tensor:
        """Take one optimiser step on one random batch; return the loss."""

        def loss() -> Tensor:
            rng = self._group.seed(self.options.seed, self.budget.step)
            batch = batches.draw(self.options.batch // self._group.size, rng)
            with autocast(self.where):
                return self.loss(batch)

        return self._trainer.step(loss)

    def run(self, chips: land_cover.ChipsByLevel) -> None:
        """Train until the budget is spent."""
        train = {level: some.split()[0] for level, some in chips.items()}
        scale = latent_scale(self.parts.vae, land_cover.WindowSampler(train), self.where)
        self.parts.vae.register_to_config(scaling_factor=scale)
        batches = ChipBatches(train, self.parts.tokenizer, self.where)
        log = ProgressLog(self._work / "diffusion.log", self.budget, self.options.batch, 30.0)
        saving = Interval(self.options.save_seconds, self.save)
        showing = Interval(self.options.sheet_seconds, self.sheet)
        train_until_spent(
            lambda: {"loss": self.step(batches)}, self.budget, self._group, log, saving, showing
        )
        if self._group.rank == 0:
            self.save()
            self.sheet()

    def sheet(self) -> None:
        """Draw three images of every class at its level from the averaged weights."""
        made = sampling.draw(self.averaged(), sheet_request())
        write_sheet(self._work / "sheets" / f"diffusion-{self.budget.step:06d}.png", made, 12, zoom=2)


def sheet_request() -> sampling.SamplingRequest:
    """Return the prompts of the sample sheet: three of every class, EuroSAT at 14, UC Merced at 18."""
    names = [name for name in captions.PHRASES for _ in range(3)]
    levels = [14 if name[0].isupper() else 18 for name in names]
    return sampling.SamplingRequest([captions.plain(name) for name in names], levels, seed=7)
