"""Tiny random models of Text2Earth's exact family, built in a second: real diffusers folders, real tokenizer.

Their pictures are noise. Everything else is as on the hub: a UNet with ``class_embed_type="timestep"``, a
CLIP text encoder with a byte-pair tokenizer, an f8 autoencoder, safetensors, a ``model_index.json`` that
names the authors' own pipeline class and PNDM next to a scheduler file that says DDIM.
``python -m tests.support.backend.tiny_models FOLDER text2image|inpaint`` builds one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal

from model_backend.models.card import EngineParameters, ModelCard

LEVELS = tuple(range(10, 19))
WORDS = ("lake", "forest", "field", "road", "houses", "river", "desert", "a", "the", "and", "of")
# The scheduler file of Text2Earth on the hub is that of Stable Diffusion 2 base, to the byte.
SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "_diffusers_version": "0.8.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}


def build_tiny(
    folder: Path,
    pipeline: Literal["text2image", "inpaint"] = "text2image",
    *,
    level: bool = True,
    vae: Literal["kl", "tiny"] = "kl",
    factor: Literal[4, 8] = 8,
    card: ModelCard | None | Literal["default"] = "default",
    seed: int = 0,
) -> Path:
    """Build a model folder and return it.

    ``level=False`` gives a plain Stable Diffusion 2 shape (no class embedding, stock pipeline class in the
    index); ``card=None`` leaves the folder as its authors would publish it, without a card.
    """
    import torch

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _build_tokenizer(folder / "tokenizer")
        _build_networks(folder, pipeline, level)
        _build_autoencoder(folder / "vae", vae, {4: 3, 8: 4}[factor])
    _build_index(folder, pipeline, level, vae)
    if card is not None:
        given = tiny_card(pipeline, level=level, vae_factor=factor) if card == "default" else card
        given.write(folder)
    return folder


def tiny_card(pipeline: str = "text2image", *, level: bool = True, **changes: Any) -> ModelCard:
    """Return the card of a tiny model: 8-latent windows of 64 pixels, decode tiles of 26 latents."""
    members: dict[str, Any] = {
        "id": "tiny" if pipeline == "text2image" else "tiny-inpaint",
        "title": "Tiny random model (its pictures are noise)",
        "pipeline": pipeline,
        "levels": LEVELS if level else None,
        "gsd": (0.25, 128.0),
        "steps": {"dpm++2m": 6, "euler": 8},
        "engine": EngineParameters(
            window=8, stride=6, decode_window=26, decode_core=16, decode_halo=5, decode_fade=2, batch=4
        ),
        "licence": "Apache-2.0",
        "non_commercial": False,
        "attribution": "Random numbers",
    }
    return ModelCard.model_validate(members | changes)


def load_tiny(folder: Path, **changes: Any) -> Any:
    """Load a tiny model in float32 on one thread; ``changes`` go into its card."""
    import torch

    from model_backend.models.card import read_card
    from model_backend.models.loader import load

    return load(folder, read_card(folder).model_copy(update=changes), "cpu", threads=1, dtype=torch.float32)


class ProgressRecorder:
    """A watch that remembers; raises ``error`` after UNet call ``stop_at``."""

    def __init__(self, stop_at: int | None = None, error: BaseException | None = None) -> None:
        self.steps: list[tuple[int, int]] = []
        self.previews: list[Any] = []
        self._stop_at, self._error = stop_at, error

    def step(self, done: int, total: int) -> None:
        self.steps.append((done, total))
        if self._error is not None and len(self.steps) == self._stop_at:
            raise self._error

    def preview(self, rgb: Any) -> None:
        self.previews.append(rgb)


def _build_networks(folder: Path, pipeline: str, level: bool) -> None:
    import torch
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()

    unet = UNet2DConditionModel(
        sample_size=64,  # as on the hub: that of the base model, not the size it was trained at
        in_channels=9 if pipeline == "inpaint" else 4,
        out_channels=4,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=32,
        attention_head_dim=[2, 4],
        use_linear_projection=True,
        class_embed_type="timestep" if level else None,
    )
    with torch.no_grad():
        # A random UNet is nearly constant. Make latents, prompt and level matter, as when trained.
        if unet.class_embedding is not None:
            unet.class_embedding.linear_2.weight.mul_(8)
        for name, weight in unet.named_parameters():
            if "attn2.to_v" in name or "attn2.to_out" in name:
                weight.mul_(4)
        some = torch.randn(4, unet.config["in_channels"], 8, 8)
        levels = torch.full((4,), 14.0) if level else None
        output = unet(some, 500.0, torch.randn(4, 77, 32), class_labels=levels).sample
        scale = 1 / (output - output.mean(dim=0)).std()
        unet.conv_out.bias.copy_((unet.conv_out.bias - output.mean(dim=(0, 2, 3))) * scale)
        unet.conv_out.weight.mul_(scale)
    unet.save_pretrained(folder / "unet")

    tokens = len(json.loads((folder / "tokenizer" / "vocab.json").read_text(encoding="utf-8")))
    text = CLIPTextConfig(
        vocab_size=tokens,
        bos_token_id=tokens - 2,
        eos_token_id=tokens - 1,
        pad_token_id=0,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        projection_dim=32,
    )
    CLIPTextModel(text).save_pretrained(folder / "text_encoder")


def _build_autoencoder(folder: Path, vae: str, blocks: int) -> None:
    import torch
    from diffusers import AutoencoderKL, AutoencoderTiny

    channels = (16,) * blocks
    if vae == "tiny":
        autoencoder: Any = AutoencoderTiny(
            encoder_block_out_channels=channels,
            decoder_block_out_channels=channels,
            num_encoder_blocks=(1,) * blocks,
            num_decoder_blocks=(1,) * blocks,
        )
        with torch.no_grad():  # untrained, its pictures are black: centre them, with a deviation of a quarter
            pixels = autoencoder.decode(torch.randn(1, 4, 16, 16)).sample / 2 + 0.5
            last, scale = (
                autoencoder.decoder.layers[-1],
                0.25 / (pixels - pixels.mean(dim=(0, 2, 3), keepdim=True)).std(),
            )
            last.bias.copy_((last.bias - pixels.mean(dim=(0, 2, 3))) * scale + 0.5)
            last.weight.mul_(scale)
    else:
        autoencoder = AutoencoderKL(
            block_out_channels=channels,
            down_block_types=("DownEncoderBlock2D",) * blocks,
            up_block_types=("UpDecoderBlock2D",) * blocks,
            layers_per_block=1,
            norm_num_groups=8,
            latent_channels=4,
            scaling_factor=0.18215,
        )
    autoencoder.save_pretrained(folder)


def _build_tokenizer(folder: Path) -> None:
    """Write CLIP's tokenizer files: a vocabulary of single bytes, and a few words merged letter by letter."""
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    # CLIP's alphabet for bytes is GPT-2's: printable Latin-1 stands for itself, other bytes are shifted up.
    ranges = ("!~", "¡¬", "®ÿ")
    printable = [code for first, last in ranges for code in range(ord(first), ord(last) + 1)]
    letters = [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    merges: list[str] = []
    for word in WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            merge = f"{parts[0]} {parts[1]}"
            if merge not in merges:
                merges.append(merge)
            parts[:2] = [parts[0] + parts[1]]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *(m.replace(" ", "") for m in merges)]
    vocabulary = {token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "!"}),
        encoding="utf-8",
    )
    CLIPTokenizer.from_pretrained(folder)


def _build_index(folder: Path, pipeline: str, level: bool, vae: str) -> None:
    inpaint = "Inpaint" if pipeline == "inpaint" else ""
    index = {
        "_class_name": f"Text2EarthDiffusion{inpaint}Pipeline"
        if level
        else f"StableDiffusion{inpaint}Pipeline",
        "_diffusers_version": "0.29.0.dev0",
        "feature_extractor": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderTiny" if vae == "tiny" else "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2), encoding="utf-8")
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(
        json.dumps(SCHEDULER, indent=2), encoding="utf-8"
    )


if __name__ == "__main__":
    build_tiny(Path(sys.argv[1]), sys.argv[2])  # type: ignore[arg-type]
