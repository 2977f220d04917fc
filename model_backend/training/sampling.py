"""One-window images from a model folder with stock diffusers classes: for sheets and for evaluation.

The engine draws the user's scenes; on a one-window canvas it gives these images up to the noise. This module
exists so that training needs no engine, and so that evaluation can run hundreds of windows in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderTiny,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from model_backend.training.trainer import autocast


@dataclass(frozen=True)
class Parts:
    """The parts of a model, as in its folder."""

    tokenizer: CLIPTokenizer
    text: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderTiny
    schedule: dict[str, Any]

    @property
    def where(self) -> torch.device:
        """The device the UNet is on."""
        where: torch.device = next(self.unet.parameters()).device
        return where

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Return the embeddings (n, tokens, dim) of prompts."""
        hidden: Tensor = self.text(tokens(self.tokenizer, prompts).to(self.where)).last_hidden_state
        return hidden

    def encode(self, images: Tensor) -> Tensor:
        """Return scaled latents (n, 4, h/4, w/4) of images (n, 3, h, w) in [-1, 1]."""
        images = images.contiguous(memory_format=torch.channels_last)  # half the time on a CPU
        latents: Tensor = self.vae.encode(images).latents.float() * self.vae.config.scaling_factor
        return latents.contiguous()

    def decode(self, latents: Tensor) -> Tensor:
        """Return images (n, 3, h, w) in [-1, 1] of scaled latents."""
        images: Tensor = self.vae.decode(latents / self.vae.config.scaling_factor).sample
        return images.float().clamp(-1, 1)


def tokens(tokenizer: CLIPTokenizer, prompts: Sequence[str]) -> Tensor:
    """Return token ids (n, length), padded and cut to the tokenizer's length."""
    found = tokenizer(list(prompts), padding="max_length", truncation=True, return_tensors="pt")
    ids: Tensor = found.input_ids
    return ids


def load(folder: Path, where: torch.device) -> Parts:
    """Return the parts of a diffusers folder in float32, ready for inference."""
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    vae = AutoencoderTiny.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    text = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    if where.type == "cpu":
        unet.set_attn_processor(AttnProcessor())
    return Parts(
        CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        text.to(where).eval(),
        unet.to(where).eval(),
        vae.to(where).eval(),
        dict(DDIMScheduler.from_pretrained(folder / "scheduler").config),
    )


@dataclass(frozen=True)
class SamplingRequest:
    """What to draw: one entry of each sequence per image; ``images`` and ``masks`` only for inpainting.

    Guidance stops below the timestep ``cutoff``.
    ``images`` (n, 3, s, s) in [-1, 1]; ``masks`` (n, 1, s, s), 1 = paint.
    """

    prompts: Sequence[str]
    levels: Sequence[int]
    seed: int = 0
    steps: int = 20
    guidance: float = 3.5
    sampler: str = "dpm++2m"
    cutoff: float = 0.0
    images: Tensor | None = None
    masks: Tensor | None = None


def context(parts: Parts, images: Tensor, masks: Tensor) -> Tensor:
    """Return the 5 extra channels of an inpainting UNet: mask, max-pooled, and latents of what is kept.

    Windows that keep nothing share one encoding of grey.
    """
    partly = (masks < 0.5).flatten(1).any(1)
    kept = parts.encode(torch.zeros_like(images[:1])).repeat(len(images), 1, 1, 1)
    if partly.any():
        kept[partly] = parts.encode(images[partly] * (masks[partly] < 0.5))
    return torch.cat([F.max_pool2d(masks, images.shape[-1] // kept.shape[-1]), kept], 1)


@torch.no_grad()
def draw(parts: Parts, request: SamplingRequest, batch: int = 64) -> Tensor:
    """Return images (n, 3, 64, 64) in [-1, 1] on the CPU; noise is a function of ``request.seed`` alone."""
    size = parts.unet.config.sample_size
    noise = torch.randn(
        len(request.prompts), 4, size, size, generator=torch.Generator().manual_seed(request.seed)
    )
    made = []
    for start in range(0, len(request.prompts), batch):
        made.append(_draw_batch(parts, request, noise, slice(start, start + batch)).cpu())
    return torch.cat(made)


def _draw_batch(parts: Parts, request: SamplingRequest, noise: Tensor, part: slice) -> Tensor:
    where = parts.where
    x = noise[part].to(where)
    count = len(x)
    scheduler = _scheduler(parts.schedule, request)
    embeds = parts.embed(["", *request.prompts[part]])
    embeds = torch.cat([embeds[:1].expand(count, -1, -1), embeds[1:]])
    levels = torch.tensor([0] * count + list(request.levels[part]), dtype=torch.float32, device=where)
    if request.images is None or request.masks is None:
        images = x.new_zeros(1, 3, size_of(parts), size_of(parts))
        extra = context(parts, images, torch.ones_like(images[:, :1])).expand(count, -1, -1, -1)
    else:
        extra = context(parts, request.images[part].to(where), request.masks[part].to(where))
    x = x * scheduler.init_noise_sigma
    for step in scheduler.timesteps:
        scaled = torch.cat([scheduler.scale_model_input(x, step), extra], 1)
        halves = 2 if step >= request.cutoff else 1
        rows = slice(-halves * count, None)
        with autocast(where):
            said = parts.unet(
                scaled.repeat(halves, 1, 1, 1), step, embeds[rows], class_labels=levels[rows]
            ).sample.float()
        unconditional, conditional = said[:count], said[-count:]
        output = conditional
        if halves == 2:
            output = unconditional + request.guidance * (conditional - unconditional)
        x = scheduler.step(output, step, x).prev_sample
    return parts.decode(x)


def size_of(parts: Parts) -> int:
    """Return the pixels of a window."""
    return int(parts.unet.config.sample_size) * 4


def _scheduler(config: dict[str, Any], request: SamplingRequest) -> Any:
    if request.sampler == "euler":
        scheduler = EulerDiscreteScheduler.from_config(config, timestep_spacing="linspace")
    else:
        scheduler = DPMSolverMultistepScheduler.from_config(config, use_karras_sigmas=True)
    scheduler.set_timesteps(request.steps)
    return scheduler
