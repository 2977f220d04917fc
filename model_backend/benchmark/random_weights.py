"""Models with random weights, made in memory: speed does not depend on what a model has learnt.

``sd2`` has every shape of Text2Earth (1.3 B parameters: the UNet of Stable Diffusion 2 with a level input,
OpenCLIP's ViT-H text tower without its last layer, Stable Diffusion's autoencoder), from the published
configuration files of stabilityai/stable-diffusion-2-base and lcybuaa/Text2Earth. ``tiny`` is the same family
with a few thousand times less work, to try the measuring. Their pictures are noise.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from model_backend.models.card import EngineParameters, ModelCard
from model_backend.models.loader import Model, Networks

Name = Literal["sd2", "tiny"]

#: The scheduler file of Text2Earth and of Stable Diffusion 2 base.
SCHEDULER: dict[str, Any] = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}
_UNET: dict[Name, dict[str, Any]] = {
    "sd2": {
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": (*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
        "up_block_types": ("UpBlock2D", *["CrossAttnUpBlock2D"] * 3),
        "cross_attention_dim": 1024,
        "attention_head_dim": [5, 10, 20, 20],
    },
    "tiny": {
        "block_out_channels": (32, 64),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 32,
        "attention_head_dim": [2, 4],
        "layers_per_block": 1,
        "norm_num_groups": 8,
    },
}
_TEXT: dict[Name, dict[str, Any]] = {
    "sd2": {
        "vocab_size": 49408,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 23,
        "num_attention_heads": 16,
        "projection_dim": 512,
        "hidden_act": "gelu",
    },
    "tiny": {
        "vocab_size": 514,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "projection_dim": 32,
    },
}
_VAE: dict[Name, dict[str, Any]] = {
    "sd2": {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2},
    "tiny": {"block_out_channels": (16, 16, 16, 16), "layers_per_block": 1, "norm_num_groups": 8},
}
_ENGINE: dict[Name, EngineParameters] = {
    "sd2": EngineParameters(),
    "tiny": EngineParameters(
        window=8, stride=6, decode_window=26, decode_core=16, decode_halo=5, decode_fade=2, batch=4
    ),
}


def card(name: Name) -> ModelCard:
    """Return the card of a random model."""
    return ModelCard(
        id=f"random-{name}",
        title=f"Random weights in the shape of {name}",
        levels=tuple(range(10, 19)),
        gsd=(0.354, 181.0),
        engine=_ENGINE[name],
        licence="Apache-2.0",
        non_commercial=False,
    )


def build(
    name: Name, device: torch.device, dtype: torch.dtype, drawn: torch.dtype | None = None
) -> tuple[Model, Networks]:
    """Return a random model on a device, and its networks; the UNet in ``dtype``, the others in float32.

    The UNet's numbers are drawn in the format ``drawn``, so that models of several formats have the same.
    """
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        (folder / "scheduler").mkdir()
        (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER), encoding="utf-8")
        with _made(device, drawn or dtype):
            network = unet(name).to(dtype)
        with _made(device, torch.float32):
            networks = Networks(
                unet=network.eval().requires_grad_(False),
                vae=autoencoder(name).eval().requires_grad_(False),
                text_encoder=text_encoder(name).eval().requires_grad_(False),
                tokenizer=_tokenizer(folder / "tokenizer"),
            )
        return Model(folder, card(name), networks, device), networks


def unet(name: Name, in_channels: int = 4) -> Any:
    """Return the UNet alone, made in torch's default device and dtype."""
    return UNet2DConditionModel(
        sample_size=64,
        in_channels=in_channels,
        out_channels=4,
        use_linear_projection=True,
        class_embed_type="timestep",
        **_UNET[name],
    )


def autoencoder(name: Name) -> Any:
    """Return the autoencoder alone, made as `unet` is."""
    blocks = len(_VAE[name]["block_out_channels"])
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        latent_channels=4,
        scaling_factor=0.18215,
        **_VAE[name],
    )


def text_encoder(name: Name) -> Any:
    """Return the text encoder alone, made as `unet` is."""
    ends = {"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 0}
    return CLIPTextModel(CLIPTextConfig(max_position_embeddings=77, **ends, **_TEXT[name]))


def _tokenizer(folder: Path) -> Any:
    """Return a tokenizer of single bytes, in CLIP's files: a byte, a byte that ends a word, and two ends."""
    folder.mkdir()
    # CLIP's alphabet for bytes is GPT-2's: printable Latin-1 stands for itself, other bytes are shifted up.
    printable = [code for first, last in ("!~", "¡¬", "®ÿ") for code in range(ord(first), ord(last) + 1)]
    letters = [chr(code) for code in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "!"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return CLIPTokenizer.from_pretrained(folder)


@contextmanager
def _made(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Make networks where and how they are needed, without a detour over float32 in main memory."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device), torch.random.fork_rng():
            torch.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(before)
