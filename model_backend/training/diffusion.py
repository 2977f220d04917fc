"""Stage 3: the text encoder and the 9-channel UNet, trained together on latents of the frozen autoencoder.

Text2Earth's structure, smaller: stock ``CLIPTextModel`` and ``UNet2DConditionModel``, the level through
``class_embed_type="timestep"``, text through cross-attention, mask and masked latents as extra channels.
Text and level are dropped independently (dynamic condition adaptation, arXiv 2501.00895) and together, so
that text alone, level alone and guidance work. v-prediction with min-SNR weights (arXiv 2303.09556), which
learns faster than plain epsilon. Does not know scenes or lattices.
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

from model_backend.training import autoencoder, captions, data, loop, masks, sample, tokenizer

_DROP_BOTH, _DROP_TEXT, _DROP_LEVEL = 0.08, 0.07, 0.07
_GAMMA = 5.0
_RIM, _RIM_WEIGHT = 4, 3.0  # latents, that lie in overlaps
_FOREIGN = 0.5
"""Share of partly painted windows that get other surroundings than their own.

Real chips are of one class, so surroundings would tell what belongs inside, and the prompt nothing new:
a lake asked for in a field became more field.
"""


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


def build_text(words: CLIPTokenizer, width: int = 128) -> CLIPTextModel:
    """Return an untrained text encoder for a tokenizer."""
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.LENGTH,
        projection_dim=width,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        attn_implementation="eager",
    )
    return CLIPTextModel(config)


def build_unet(widths: Sequence[int], text_width: int = 128) -> UNet2DConditionModel:
    """Return an untrained 9-channel UNet for windows of 16 x 16 latents; text enters at 8 x 8 and below."""
    deeper = len(widths) - 1
    return UNet2DConditionModel(
        sample_size=data.WINDOW // autoencoder.FACTOR,
        in_channels=9,
        out_channels=autoencoder.LATENT_CHANNELS,
        block_out_channels=tuple(widths),
        layers_per_block=1,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * deeper),
        up_block_types=(*("CrossAttnUpBlock2D",) * deeper, "UpBlock2D"),
        cross_attention_dim=text_width,
        attention_head_dim=tuple(width // 64 for width in widths),
        use_linear_projection=True,
        class_embed_type="timestep",
    )


@torch.no_grad()
def latent_scale(vae: AutoencoderTiny, sampler: data.Sampler, where: torch.device) -> float:
    """Return the factor that brings latents of training windows to unit variance."""
    pixels = sampler.draw(256, np.random.default_rng(0)).pixels
    return float(1 / vae.encode(loop.to_tensor(pixels, where)).latents.float().std())


def rim(size: int) -> Tensor:
    """Return what errors count at the latents of a window, (size, size): in overlaps, where they would show
    as a lattice, more than inside.
    """
    weights = torch.full((size, size), _RIM_WEIGHT)
    weights[_RIM:-_RIM, _RIM:-_RIM] = 1
    return weights


@dataclass(frozen=True)
class Batch:
    """One batch: images (b, 3, 64, 64) in [-1, 1], masks (b, 1, 64, 64), ids (b, length), levels (b,)."""

    images: Tensor
    masks: Tensor
    ids: Tensor
    levels: Tensor


class Feeder:
    """Makes batches: windows, true captions, masks, foreign surroundings, dropped conditions."""

    def __init__(self, chips: dict[int, data.Chips], words: CLIPTokenizer, where: torch.device) -> None:
        self._sampler, self._words, self._where = data.Sampler(chips), words, where
        self._known: dict[str, Tensor] = {}

    def _ids(self, prompt: str) -> Tensor:
        if prompt not in self._known:
            self._known[prompt] = sample.tokens(self._words, [prompt])[0]
        return self._known[prompt]

    def draw(self, count: int, rng: np.random.Generator) -> Batch:
        """Return a batch, a function of the state of ``rng`` alone."""
        windows = self._sampler.draw(count, rng)
        told = [
            captions.caption(name, px, rng) for name, px in zip(windows.names, windows.pixels, strict=True)
        ]
        chance = rng.random(count)
        no_text = chance < _DROP_BOTH + _DROP_TEXT
        no_level = (chance < _DROP_BOTH) | (chance > 1 - _DROP_LEVEL)
        ids = torch.stack([self._ids("" if drop else text) for text, drop in zip(told, no_text, strict=True)])
        levels = torch.from_numpy(np.where(no_level, 0, windows.levels).astype(np.float32))
        painted = masks.draw(count, data.WINDOW, rng)
        pixels = _transplanted(windows, painted, rng)
        cover, where = torch.from_numpy(painted)[:, None].float(), self._where
        return Batch(loop.to_tensor(pixels, where), cover.to(where), ids.to(where), levels.to(where))


def _transplanted(windows: data.Windows, painted: masks.Mask, rng: np.random.Generator) -> data.Pixels:
    """Return the windows (b, 3, 64, 64), some with the kept part of another one of their level."""
    pixels = windows.pixels.copy()
    for index in np.flatnonzero(rng.random(len(pixels)) < _FOREIGN):
        other = rng.choice(np.flatnonzero(windows.levels == windows.levels[index]))
        pixels[index] = masks.set_in(windows.pixels[index], windows.pixels[other], painted[index])
    return pixels


class Stage:
    """One training run of text encoder and UNet in ``work``; resumes by itself."""

    def __init__(self, work: Path, options: Options, budget: loop.Budget, team: loop.Team) -> None:
        self.where = loop.device()
        self.options, self.budget, self._work, self._team = options, budget, work, team
        torch.manual_seed(options.seed)
        folder = work / "tokenizer"
        if team.rank == 0:
            tokenizer.build(captions.corpus(), folder)
        team.wait()
        vae = AutoencoderTiny.from_pretrained(work / "vae").eval().requires_grad_(False)
        vae.to(self.where, memory_format=torch.channels_last)
        words = CLIPTokenizer.from_pretrained(folder)
        schedule = scheduler()
        self._alphas = schedule.alphas_cumprod.to(self.where)
        self.parts = sample.Parts(
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
        self._learner = loop.Learner(trained, adam, options.decay, budget, team)
        self._learner.restore(work / "diffusion.pt")
        self._rim = rim(self.parts.unet.config.sample_size).to(self.where)

    def save(self) -> None:
        """Write the checkpoint, then the averaged weights as a diffusers folder ``model``."""
        self._learner.save(self._work / "diffusion.pt")
        parts = self.averaged()
        folder = self._work / "model"
        parts.unet.save_pretrained(folder / "unet")
        parts.text.save_pretrained(folder / "text_encoder")
        parts.vae.save_pretrained(folder / "vae")
        parts.tokenizer.save_pretrained(folder / "tokenizer")
        scheduler().save_pretrained(folder / "scheduler")

    def averaged(self) -> sample.Parts:
        """Return the model with averaged weights."""
        average = self._learner.average.modules
        unet, text = average["unet"], average["text_encoder"]
        return sample.Parts(self.parts.tokenizer, text, unet, self.parts.vae, self.parts.schedule)

    def loss(self, batch: Batch) -> Tensor:
        """Return the weighted v-prediction loss of one batch; times are spread evenly over the schedule."""
        with torch.no_grad():
            latents = autoencoder.seamless(self.parts.encode, batch.images)
            extra = sample.context(self.parts, batch.images, batch.masks)
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
        error: Tensor = (((made - target).square() * self._rim).mean((1, 2, 3)) * weights).mean()
        return error

    def step(self, feeder: Feeder) -> Tensor:
        """Take one optimiser step on one random batch; return the loss."""

        def loss() -> Tensor:
            rng = self._team.seed(self.options.seed, self.budget.step)
            batch = feeder.draw(self.options.batch // self._team.size, rng)
            with loop.precision(self.where):
                return self.loss(batch)

        return self._learner.step(loss)

    def run(self, chips: dict[int, data.Chips]) -> None:
        """Train until the budget is spent."""
        train = {level: some.split()[0] for level, some in chips.items()}
        scale = latent_scale(self.parts.vae, data.Sampler(train), self.where)
        self.parts.vae.register_to_config(scaling_factor=scale)
        feeder = Feeder(train, self.parts.tokenizer, self.where)
        progress = loop.Progress(self._work / "diffusion.log", 30.0)
        saving = loop.Interval(self.options.save_seconds)
        showing = loop.Interval(self.options.sheet_seconds)
        while self.budget.progress() < 1:
            loss = self.step(feeder)
            if self._team.rank:
                continue
            progress.add(self.budget, self.options.batch, {"loss": loss})
            if saving.over():
                self.save()
            if showing.over():
                self.sheet()
        if self._team.rank == 0:
            self.save()
            self.sheet()

    def sheet(self) -> None:
        """Draw three images of every class at its level from the averaged weights."""
        made = sample.draw(self.averaged(), sheet_wish())
        loop.sheet(self._work / "sheets" / f"diffusion-{self.budget.step:06d}.png", made, 12, zoom=2)


def sheet_wish() -> sample.Wish:
    """Return the prompts of the sample sheet: three of every class, EuroSAT at 14, UC Merced at 18."""
    names = [name for name in captions.PHRASES for _ in range(3)]
    levels = [14 if name[0].isupper() else 18 for name in names]
    return sample.Wish([captions.plain(name) for name in names], levels, seed=7)
