"""From a training run to the model folder that ships: fp16 safetensors in small shards, and the card.

The folder is an ordinary diffusers folder (``StableDiffusionInpaintPipeline`` loads it; the level goes in as
``class_labels``). Knows files and the card; trains nothing.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import diffusers
import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from torch import Tensor

from model_backend.models.card import EngineParameters, ModelCard
from model_backend.schemas import Sampler
from model_backend.training import sampling
from model_backend.training.data_sets import captions, land_cover
from model_backend.training.image_tensors import to_tensor
from model_backend.training.stages import autoencoder, diffusion

ATTRIBUTION = (
    "Trained on EuroSAT (Helber et al. 2019, MIT licence; contains modified Copernicus Sentinel data) and "
    "UC Merced Land Use (Yang & Newsam 2010; USGS National Map Urban Area Imagery, public domain)."
)
_SHARD = "14MB"


@dataclass(frozen=True)
class Defaults:
    """What the card proposes, chosen on the measured table of the model's README."""

    guidance: float = 3.0
    stride: int = 12
    boundaries: tuple[float, ...] = (680.0, 400.0)
    cutoff: float = 130.0
    sampler: Sampler = "dpm++2m"
    steps: int = 16


def write(
    work: Path, out: Path, chips: land_cover.ChipsByLevel, defaults: Defaults | None = None
) -> ModelCard:
    """Write the averaged model of the run in ``work`` to ``out``, replacing weights, configs and card."""
    source = work / "model"
    parts = sampling.load(source, torch.device("cpu"))
    sharp = AutoencoderTiny.from_pretrained(work / "vae")  # its decoder may be younger than the run's copy
    parts.vae.decoder.load_state_dict(sharp.decoder.state_dict())
    for name in ("unet", "text_encoder", "vae", "tokenizer", "scheduler"):
        shutil.rmtree(out / name, ignore_errors=True)
    parts.unet.half().save_pretrained(out / "unet", max_shard_size=_SHARD)
    parts.text.half().save_pretrained(out / "text_encoder", max_shard_size=_SHARD)
    parts.tokenizer.save_pretrained(out / "tokenizer")
    diffusion.scheduler().save_pretrained(out / "scheduler")
    parts.vae.half().save_pretrained(out / "vae", max_shard_size=_SHARD)
    _write_index(out)
    _forget_origin(out)
    shipped = sampling.load(out, torch.device("cpu"))
    matrix = preview_matrix(shipped, chips)
    card = make_card(shipped, matrix, defaults or Defaults())
    card.write(out)
    return card


def _write_index(out: Path) -> None:
    index = {
        "_class_name": "StableDiffusionInpaintPipeline",
        "_diffusers_version": diffusers.__version__,
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderTiny"],
    }
    (out / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", "utf-8")


def _forget_origin(out: Path) -> None:
    """Take from the configs where the parts were loaded from: a path of the machine that trained them."""
    for path in out.glob("*/config.json"):
        config = json.loads(path.read_text("utf-8"))
        if config.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")


@torch.no_grad()
def preview_matrix(parts: sampling.Parts, chips: land_cover.ChipsByLevel) -> Tensor:
    """Return the least-squares map (5, 3) from scaled latents and 1 to the mean RGB of their pixels."""
    windows = land_cover.WindowSampler({level: some.split()[0] for level, some in chips.items()})
    images = to_tensor(windows.draw(256, np.random.default_rng(5)).pixels, parts.where)
    latents = autoencoder.seamless(parts.encode, images).permute(0, 2, 3, 1).reshape(-1, 4)
    colours = F.avg_pool2d(images, 4).permute(0, 2, 3, 1).reshape(-1, 3)
    ones = torch.ones_like(latents[:, :1])
    solution: Tensor = torch.linalg.lstsq(torch.cat([latents, ones], 1), colours).solution
    return solution


def make_card(parts: sampling.Parts, matrix: Tensor, defaults: Defaults) -> ModelCard:
    """Return the card; rows of ``matrix`` (5, 3) are the four latents and the bias."""
    rgb = [tuple(round(value, 4) for value in row) for row in matrix.tolist()]
    window = int(parts.unet.config.sample_size)
    steps: dict[Sampler, int] = {"dpm++2m": defaults.steps, "euler": 50}
    return ModelCard(
        id="text2earth-mini",
        title="Text2Earth mini",
        pipeline="inpaint",
        vae_factor=4,
        levels=tuple(sorted(land_cover.LEVELS)),
        gsd=(0.354, 11.3),
        sampler=defaults.sampler,
        steps=steps,
        guidance=defaults.guidance,
        engine=EngineParameters(
            window=window,
            stride=defaults.stride,
            boundaries=defaults.boundaries,
            guidance_cutoff=defaults.cutoff,
            decode_window=96,
            decode_core=64,
            decode_halo=16,
            decode_fade=4,
            decode_whole=160,
            batch=16,
        ),
        latent_rgb=tuple((row[0], row[1], row[2]) for row in rgb[:4]),
        latent_rgb_bias=(rgb[4][0], rgb[4][1], rgb[4][2]),
        licence="Apache-2.0",
        licence_url="https://www.apache.org/licenses/LICENSE-2.0",
        non_commercial=False,
        attribution=ATTRIBUTION,
        words=captions.words(),
    )
