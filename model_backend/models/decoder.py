"""Latents to pixels by an autoencoder: in float32, or faster where that gives the same pictures.

A card may name a faster format by kind of device: 16 bits, or ``tf32``, whose products a GPU rounds to 10
bits. That pictures stay the same is not assumed but tried, with the model's own weights on the device: where
a value differs by more than an eye could tell, or is not finite, float32 it is. Knows one autoencoder; no
windows, no tiles.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from model_backend.models.card import DecodeFormat, ModelCard

MOST, MEAN = 2.0, 0.25  # of 255 levels: by how much a faster format may be off, anywhere and on average
_HALF: dict[DecodeFormat, torch.dtype] = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class Decoder:
    """An autoencoder's decoder in one of the formats; ``vae`` is in float32 and stays so."""

    def __init__(self, vae: Any, name: DecodeFormat = "float32") -> None:
        self.format = name
        self._network = _in_half(vae, _HALF[name]) if name in _HALF else vae

    @torch.inference_mode()
    def __call__(self, latents: Tensor) -> Tensor:
        """Return pixels around [-1, 1], (b, 3, h, w) float32, of unscaled latents (b, c, h, w) float32."""
        if self.format != "tf32":
            return self._decode(latents.to(self._network.dtype))
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=True):
            return self._decode(latents)

    def _decode(self, latents: Tensor) -> Tensor:
        pixels: Tensor = self._network.decode(latents, return_dict=False)[0]
        return pixels.to(torch.float32)


def wanted_format(card: ModelCard, device: torch.device) -> DecodeFormat:
    """Return the format that a card names for a device."""
    return next((name for kind, name in card.decode.items() if kind == device.type), "float32")


def choose(vae: Any, wanted: DecodeFormat, trial: Tensor) -> Decoder:
    """Return the decoder that is wanted, if it decodes ``trial`` (latents on the device) as float32 does."""
    exact = Decoder(vae)
    if wanted == "float32":
        return exact
    fast = Decoder(vae, wanted)
    off = levels_off(fast(trial), exact(trial))
    agrees = bool(off.isfinite().all() and off.max() <= MOST and off.mean() <= MEAN)
    return fast if agrees else exact


def levels_off(pixels: Tensor, exact: Tensor) -> Tensor:
    """Return by how many of 255 levels pixels in [-1, 1] differ."""
    return (pixels.clamp(-1, 1) - exact.clamp(-1, 1)).abs() * 127.5


def _in_half(vae: Any, dtype: torch.dtype) -> Any:
    """Return a copy of what decodes; its other half is left out."""
    without: dict[int, Any] = {id(vae.encoder): torch.nn.Identity()}
    return copy.deepcopy(vae, without).to(dtype)
