"""Loading a model folder and running its networks: embeds prompts, denoises, encodes and decodes.

Stock diffusers and transformers classes, whatever pipeline class the folder's index names: no remote code, no
pickles, safetensors only. Three shapes are understood: Text2Earth (a Stable Diffusion 2 UNet with a level
input), its inpainting sibling (nine input channels), and plain Stable Diffusion 2 without a level. Text
encoder and autoencoder stay in float32, the UNet takes the number format that its card names for the device,
or that suits the device; decoding may be faster where pictures stay the same (``decoder``).

Knows networks and devices; does not know samplers, windows or pixels of a frame.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from safetensors import SafetensorError
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer
from transformers.utils.logging import disable_progress_bar

from model_backend.errors import ModelUnavailable
from model_backend.models import profile as profiles
from model_backend.models.card import NO_LEVEL, ModelCard
from model_backend.models.decoder import choose, wanted_format
from model_backend.models.finite import finite
from model_backend.models.profile import Profile, SlotTest, try_slots
from model_backend.models.prompt_tokens import plain_prompt
from model_backend.models.schedule import read_schedule
from model_backend.models.weights import WEIGHTED_PARTS, check_weights, loaded_bytes

T = TypeVar("T")

_GPU_BATCH = 4  # times the card's batch: small windows leave a GPU idle
_PROMPTS_KEPT = 64
_AUTOENCODERS = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}


@dataclass(frozen=True)
class Networks:
    """What a folder holds, loaded; not yet on a device."""

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any


def load(
    folder: Path,
    card: ModelCard,
    device: str = "auto",
    threads: int = 0,
    dtype: torch.dtype | None = None,
) -> Model:
    """Load a model folder onto a device and measure its profile.

    ``threads`` are those of the CPU (0: torch's choice); ``dtype`` is the UNet's number format (None: that
    of the card, or what the device is good at). Raises ModelUnavailable with a sentence if the folder cannot
    be loaded.
    """
    if threads:
        torch.set_num_threads(threads)
    where = profiles.choose_device(device)
    profiles.make_deterministic(where)
    disable_progress_bar()
    networks = _read_networks(folder, dtype or profiles.choose_dtype(where, card.dtype))
    _check(folder, card, networks)
    try:
        return Model(folder, card, networks, where)
    except torch.OutOfMemoryError as error:
        raise ModelUnavailable(
            f"{profiles.name_of(where)} has too little free memory for {card.title}. Use another device,"
            " or end what else runs on it."
        ) from error


def bytes_needed(folder: Path, card: ModelCard, device: str) -> int:
    """Return the bytes that a model's weights will take on a device, whatever its files have."""
    dtype = profiles.choose_dtype(profiles.choose_device(device), card.dtype)
    return loaded_bytes(folder, dtype.itemsize)


class Model:
    """One loaded model on one device, used from one thread. Tensors it returns are on its device."""

    def __init__(self, folder: Path, card: ModelCard, networks: Networks, device: torch.device) -> None:
        """Move the networks to the device, choose layout and batch there, and measure the profile.

        Raises torch.OutOfMemoryError if the device has too little memory for the model.
        """
        self.card = card
        self.device = device
        self.dtype: torch.dtype = networks.unet.dtype
        self.schedule = read_schedule(folder)
        self._unet = networks.unet.to(device)
        self._vae = networks.vae.to(device)
        self._text_encoder = networks.text_encoder.to(device)
        self._tokenizer = networks.tokenizer
        self._prompts: dict[str, Tensor] = {}
        self._blank: Tensor | None = None
        self._tried: dict[int, SlotTest] = {}
        self._threads = torch.get_num_threads()
        self._layout = torch.contiguous_format
        self._decoder = choose(self._vae, wanted_format(card, device), self._noise(1))
        self.profile = self._choose(card.engine.batch * (_GPU_BATCH if device.type == "cuda" else 1))

    @torch.inference_mode()
    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Return text embeddings, (n, tokens, dim) float32; each prompt is encoded alone, once, and kept."""
        self._take_threads()
        embeddings = []
        for prompt in prompts:
            known = self._prompts.pop(prompt, None)
            self._prompts[prompt] = self._encode(prompt) if known is None else known
            embeddings.append(self._prompts[prompt])
        while len(self._prompts) > _PROMPTS_KEPT:
            del self._prompts[next(iter(self._prompts))]  # the one used longest ago
        return torch.cat(embeddings)

    @torch.inference_mode()
    def denoise(
        self,
        x: Tensor,
        t: float,
        embeds: Tensor,
        levels: Tensor | None,
        context: Tensor | None = None,
    ) -> Tensor:
        """Return the UNet's raw prediction, float32, of the shape of ``x``.

        ``x`` (b, c, h, w) noisy latents at timestep ``t``; ``embeds`` (b, tokens, dim); ``levels`` (b,), 0
        for unknown, ignored by a model without a level. ``context`` (b, 1 + c, h, w) is what an inpainting
        UNet sees besides: the mask (1: generate) and the encoded known pixels; left out, everything is to be
        generated.
        """
        self._take_threads()
        x = x.to(self.device)
        if self.card.pipeline == "inpaint":
            seen = self._nothing_known(x) if context is None else context.to(self.device)
            x = torch.cat([x, seen.expand(len(x), -1, -1, -1)], dim=1)
        labels = None
        if self._unet.class_embedding is not None:
            known = torch.full((len(x),), NO_LEVEL) if levels is None else levels
            labels = known.to(self.device, torch.float32)
        prediction: Tensor = self._unet(
            x.to(self.dtype, memory_format=self._layout),
            t,
            encoder_hidden_states=embeds.to(self.device, self.dtype),
            class_labels=labels,
            return_dict=False,
        )[0]
        return prediction.to(torch.float32, memory_format=torch.contiguous_format)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Return pixels in [-1, 1], (b, 3, h * factor, w * factor) float32, of clean latents (b, c, h, w)."""
        self._take_threads()
        latents = latents.to(self.device, torch.float32) / float(self._vae.config.scaling_factor)
        pixels: Tensor = self._again(lambda: self._decoder(latents))
        return finite(pixels, "decoder", pixels.dtype).clamp(-1, 1)

    @torch.inference_mode()
    def encode(self, pixels: Tensor) -> Tensor:
        """Return clean latents (b, c, h, w) of pixels (b, 3, h * factor, w * factor), [-1, 1]: no sample."""
        self._take_threads()
        pixels = pixels.to(self.device, torch.float32)
        encoded = self._again(lambda: self._vae.encode(pixels))
        posterior = getattr(encoded, "latent_dist", None)
        latents: Tensor = encoded.latents if posterior is None else posterior.mode()
        return finite(latents, "encoder", latents.dtype) * float(self._vae.config.scaling_factor)

    def free(self) -> None:
        """Give back memory that the device keeps in reserve."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def profile_for(self, batch: int, sizes: Sequence[int]) -> Profile:
        """Return the profile with this many windows per UNet call; slots are tried once per size of call.

        ``sizes`` are the samples of all calls that will be made: guidance doubles the windows, an
        unconditional half first.
        """
        for size in sizes:
            if size not in self._tried:
                self._tried[size] = self._try_slots(size)
        return Profile(
            device=profiles.name_of(self.device),
            isa=profiles.isa_of(self.device),
            dtype=str(self.dtype).removeprefix("torch."),
            decode=self._decoder.format,
            layout="channels_last" if self._layout == torch.channels_last else "contiguous",
            batch=batch,
            threads=self._threads if self.device.type == "cpu" else 0,
            versions=profiles.versions(),
            weights=self.card.weights_hash,
            parameters=self.card.engine.model_dump(),
            approximate=not all(self._tried[size].agree for size in sizes),
            seconds_per_evaluation=self._tried[max(sizes)].seconds,
            memory=profiles.memory_of(self.device),
        )

    @property
    def _tokens(self) -> int:
        return min(
            int(self._text_encoder.config.max_position_embeddings), int(self._tokenizer.model_max_length)
        )

    def _take_threads(self) -> None:
        """Compute in the threads that the profile names: numba sets those of all OpenMP in the process."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)

    def _encode(self, prompt: str) -> Tensor:
        tokens = self._tokenizer(
            plain_prompt(prompt, self.card),
            padding="max_length",
            max_length=self._tokens,
            truncation=True,
            return_tensors="pt",
        )
        embedding: Tensor = self._text_encoder(tokens.input_ids.to(self.device))[0]
        return finite(embedding, "text encoder", embedding.dtype)

    def _nothing_known(self, x: Tensor) -> Tensor:
        """The context of an inpainting UNet where all is to be generated: mask 1, grey pixels."""
        if self._blank is None or self._blank.shape[-2:] != x.shape[-2:]:
            height, width = (n * self.card.vae_factor for n in x.shape[-2:])
            grey = self.encode(torch.zeros(1, 3, height, width))
            self._blank = torch.cat([torch.ones_like(grey[:, :1]), grey], dim=1)
        return self._blank

    def _choose(self, batch: int) -> Profile:
        """Return the profile of the largest batch, this one or a part of it, that the memory allows."""
        while batch > 1:
            with contextlib.suppress(torch.OutOfMemoryError):
                return self._choose_layout(batch)
            batch //= 2
        return self._choose_layout(batch)

    def _choose_layout(self, batch: int) -> Profile:
        """Prefer the layout that is fast on the device, unless slots disagree there."""
        sizes = (2 * batch, batch) if self.card.engine.guidance_cutoff else (2 * batch,)
        *preferred, plain = profiles.layouts(self.device)
        for layout in preferred:
            self._set_layout(layout)
            if not (profile := self.profile_for(batch, sizes)).approximate:
                return profile
        self._set_layout(plain)
        return self.profile_for(batch, sizes)

    def _set_layout(self, layout: torch.memory_format) -> None:
        self._layout = layout
        self._unet.to(memory_format=layout)
        self._tried.clear()

    def _try_slots(self, samples: int) -> SlotTest:
        x = self._noise(samples)
        embeds = self.embed([""]).expand(samples, -1, -1)
        levels = torch.full((samples,), float(max(self.card.levels or (NO_LEVEL,))))
        middle = self.schedule.timesteps / 2
        return self._again(lambda: try_slots(lambda x: self.denoise(x, middle, embeds, levels).cpu(), x))

    def _noise(self, samples: int) -> Tensor:
        """Return so many windows of noise, always the same, to try things with."""
        size, channels = self.card.engine.window, self.card.latent_channels
        x = torch.randn(samples, channels, size, size, generator=torch.Generator().manual_seed(0))
        return x.to(self.device)

    def _again(self, call: Callable[[], T]) -> T:
        """Return a call's result; where memory runs short, call again once the reserve is free."""
        with contextlib.suppress(torch.OutOfMemoryError):
            return call()
        self.free()
        return call()


def _read_networks(folder: Path, dtype: torch.dtype) -> Networks:
    for part in WEIGHTED_PARTS:
        check_weights(folder, part)
    vae_class = _class_of(folder / "vae")
    if vae_class not in _AUTOENCODERS:
        supported = ", ".join(_AUTOENCODERS)
        raise ModelUnavailable(
            f"The autoencoder of {folder.name} is of class {vae_class}; supported: {supported}."
        )
    vae = _AUTOENCODERS[vae_class]
    try:
        return Networks(
            unet=_complete(UNet2DConditionModel, folder / "unet", dtype, low_cpu_mem_usage=False),
            vae=_complete(vae, folder / "vae", torch.float32, low_cpu_mem_usage=False),
            text_encoder=_complete(CLIPTextModel, folder / "text_encoder", torch.float32),
            tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).replace(str(folder), folder.name).strip()  # paths are not the caller's business
        raise ModelUnavailable(f"The model folder {folder.name} cannot be loaded: {reason}") from error


def _class_of(folder: Path) -> str:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{folder.name}/config.json of the model cannot be read: {error}") from error
    return str(config.get("_class_name"))


def _complete(kind: Any, folder: Path, dtype: torch.dtype, **options: Any) -> Any:
    """Load one network; the libraries would only warn of missing weights and go on with random ones."""
    network, report = kind.from_pretrained(
        folder,
        torch_dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
        **options,
    )
    wrong = sorted(str(name) for name in [*report["missing_keys"], *report["mismatched_keys"]])
    if wrong:
        raise ValueError(f"{folder.name} lacks {len(wrong)} of its weights, such as {wrong[0]}")
    return network.eval().requires_grad_(False)


def _check(folder: Path, card: ModelCard, networks: Networks) -> None:
    """Hold the card against the networks, so that a wrong card fails here and not as a strange picture."""
    unet, vae = networks.unet.config, networks.vae.config
    blocks = vae.get("decoder_block_out_channels") or vae.block_out_channels
    channels = card.latent_channels
    for what, told, found in (
        ("input channels", 2 * channels + 1 if card.pipeline == "inpaint" else channels, unet.in_channels),
        ("latent channels", channels, vae.latent_channels),
        ("pixels per latent", card.vae_factor, 2 ** (len(blocks) - 1)),
        ("a level input", card.levels is not None, unet.class_embed_type == "timestep"),
    ):
        if told != found:
            raise ModelUnavailable(
                f"The card of {card.id} says {what}: {told}, but the folder {folder.name} has: {found}."
            )
