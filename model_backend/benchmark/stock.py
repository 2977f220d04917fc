"""What a user would otherwise do with the same weights: diffusers' own pipelines, window by window.

(a) One window after another, side by side, without overlap: the seams are the user's problem.
(b) Sequential outpainting with the inpainting pipeline: every window sees 28 % of what was made before, as in
the paper (Text2Earth, arXiv 2501.00895). Everything as the pipelines' documentation says it: all networks in
one number format, one window per call, no compiled code. The only addition is a hook that gives the UNet the
level, without which these checkpoints cannot be called.

Knows diffusers' pipelines and PIL images; does not know our engine.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from PIL import Image

from model_backend.arrays import BoolArray, UInt8Array
from model_backend.benchmark.random_weights import SCHEDULER
from model_backend.models.card import NO_LEVEL, ModelCard
from model_backend.models.loader import Networks
from model_backend.schemas import Sampler

OVERLAP = 0.28  # share of a window that outpainting sees


@dataclass(frozen=True)
class WindowRequest:
    """What a window is asked for."""

    prompt: str
    level: int
    guidance: float


class StockPipeline:
    """The stock pipeline of one model, asked for windows of its native size."""

    def __init__(self, pipeline: Any, card: ModelCard, device: torch.device, request: WindowRequest) -> None:
        self.pipeline = pipeline.to(device)
        self.pipeline.set_progress_bar_config(disable=True)
        self.inpaints = pipeline.unet.config.in_channels > card.latent_channels
        self.side = card.engine.window * card.vae_factor
        self._card, self._request = card, request
        if pipeline.unet.class_embedding is not None:
            pipeline.unet.register_forward_pre_hook(self._give_level, with_kwargs=True)

    def window(self, sampler: Sampler, steps: int) -> UInt8Array:
        """Return one window, (side, side, 3), with nothing around it."""
        blank = np.full((self.side, self.side, 3), 128, np.uint8)
        return self._call(sampler, steps, blank, np.ones(blank.shape[:2], np.bool_))

    def latents(self, sampler: Sampler, steps: int, start: torch.Tensor) -> torch.Tensor:
        """Return the latents of one window, (1, c, h, w) float32, that begin as noise of unit variance."""
        self.pipeline.scheduler = _scheduler(self.pipeline.scheduler.config, sampler)
        made = self.pipeline(
            prompt=self._request.prompt,
            height=self.side,
            width=self.side,
            num_inference_steps=steps,
            guidance_scale=self._request.guidance,
            latents=start.to(self.pipeline.device, self.pipeline.unet.dtype),
            output_type="latent",
        ).images
        final: torch.Tensor = made.float()
        return final

    def outpaint(self, sampler: Sampler, steps: int, size: int) -> Iterator[UInt8Array]:
        """Yield the scene of ``size`` pixels a side after each of its windows, row by row.

        Needs an inpainting model. A window keeps what is known and fills the rest.
        """
        scene = np.full((size, size, 3), 128, np.uint8)
        unknown = np.ones((size, size), np.bool_)
        starts = self._starts(size)
        for top in starts:
            for left in starts:
                box = (slice(top, top + self.side), slice(left, left + self.side))
                made = self._call(sampler, steps, scene[box], unknown[box])
                scene[box] = np.where(unknown[box][..., None], made, scene[box])
                unknown[box] = False
                yield scene

    def windows_needed(self, size: int, outpainting: bool) -> int:
        """Return how many windows a scene of ``size`` pixels a side takes."""
        if outpainting:
            return len(self._starts(size)) ** 2
        across = -(-size // self.side)
        return across * across

    def networks(self) -> dict[str, torch.nn.Module]:
        """Return the networks whose calls a meter counts, by name."""
        vae = self.pipeline.vae
        return {"unet": self.pipeline.unet, "decode": vae.decoder, "encode": vae.encoder}

    def _starts(self, size: int) -> list[int]:
        stride = round(self.side * (1 - OVERLAP))
        count = -(-max(0, size - self.side) // stride)
        return [min(i * stride, max(0, size - self.side)) for i in range(count + 1)]

    def _call(self, sampler: Sampler, steps: int, known: UInt8Array, unknown: BoolArray) -> UInt8Array:
        self.pipeline.scheduler = _scheduler(self.pipeline.scheduler.config, sampler)
        inputs: dict[str, Any] = {}
        if self.inpaints:
            mask = Image.fromarray(unknown.astype(np.uint8) * 255)
            inputs = {"image": Image.fromarray(known), "mask_image": mask, "strength": 1.0}
        made = self.pipeline(
            prompt=self._request.prompt,
            height=self.side,
            width=self.side,
            num_inference_steps=steps,
            guidance_scale=self._request.guidance,
            generator=torch.Generator().manual_seed(0),
            **inputs,
        ).images[0]
        return np.asarray(made)

    def _give_level(
        self, _unet: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Label the unconditional half 0 and the other one with the level, as the authors' pipeline does."""
        x = arguments[0]
        halves = [NO_LEVEL, self._request.level] if self._request.guidance > 1 else [self._request.level]
        levels = torch.tensor(halves, dtype=torch.float32, device=x.device)
        return arguments, named | {"class_labels": levels.repeat_interleave(len(x) // len(halves))}


def quiet() -> None:
    """Keep the libraries from writing progress and hints between our tables."""
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def from_folder(folder: Path, card: ModelCard, dtype: torch.dtype) -> Any:
    """Load the stock pipeline of a model folder, whatever pipeline class its index names."""
    kind: Any = _pipeline_class(card.pipeline == "inpaint")
    return kind.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        safety_checker=None,
        requires_safety_checker=False,
    )


def from_networks(networks: Networks, dtype: torch.dtype) -> Any:
    """Return a stock pipeline with copies of networks in memory, as it would have loaded them."""
    return _assemble(
        copy.deepcopy(networks.unet).to(memory_format=torch.contiguous_format),
        copy.deepcopy(networks.vae).to(dtype),
        copy.deepcopy(networks.text_encoder).to(dtype),
        networks.tokenizer,
    )


def widened(pipeline: Any) -> Any:
    """Return an inpainting pipeline with a copy of the UNet whose first layer is widened to nine channels.

    For random weights only, where no inpainting model exists: 0.1 % more work.
    """
    unet = copy.deepcopy(pipeline.unet)
    old, inputs = unet.conv_in, 2 * unet.config.in_channels + 1
    unet.conv_in = torch.nn.Conv2d(inputs, old.out_channels, old.kernel_size, padding=old.padding).to(
        old.weight
    )
    unet.register_to_config(in_channels=inputs)
    return _assemble(unet, pipeline.vae, pipeline.text_encoder, pipeline.tokenizer)


@contextmanager
def as_shipped() -> Iterator[None]:
    """Give cuDNN the freedom that torch gives it by default, which our engine takes away for its bits."""
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=True)
    with flags:
        yield


def _assemble(unet: Any, vae: Any, text_encoder: Any, tokenizer: Any) -> Any:
    kind: Any = _pipeline_class(unet.config.in_channels == 9)
    return kind(
        unet=unet,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=diffusers.DDIMScheduler.from_config(SCHEDULER),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _pipeline_class(inpaints: bool) -> Any:
    return diffusers.StableDiffusionInpaintPipeline if inpaints else diffusers.StableDiffusionPipeline


def _scheduler(config: Any, sampler: Sampler) -> Any:
    if sampler == "euler":
        return diffusers.EulerDiscreteScheduler.from_config(config)
    options = {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": True}
    return diffusers.DPMSolverMultistepScheduler.from_config(config, **options)
