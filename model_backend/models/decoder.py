"""Latents to pixels by an autoencoder: in float32, or faster where that gives the same pictures.

A card may name a faster format by kind of device: 16 bits, or ``tf32``, whose products a GPU rounds to 10
bits. That pictures stay the same is not assumed but tried, with the model's own weights on the device:
where a value differs by more than an eye could tell, or is not finite, float32 it is. Knows one autoencoder;
no windows, no tiles.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from model_backend.models.card import DecodeFormat, ModelCard

MOST, MEAN = 2.0, 0.25  # of 255 levels: by how much a faster format may be off, anywhere and on average
_HALF: dict[DecodeFormat, torch.dtype] = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def wanted_format(card: ModelCard, device: torch.device) -> DecodeFormat:
    """Return the format that a card names for a device."""
    return next((name for kind, name in card.decode.items() if kind == device.type), "float32")


class Decoder:
    """An autoencoder's decoder in one of the formats; ``vae`` is in float32 and stays so."""

    def __init__(self, vae: Any, wanted: DecodeFormat, trial: Tensor) -> None:
        """Take the format that is wanted, if it decodes ``trial`` (latents on the device) as float32 does."""
        self._vae, self.format = vae, wanted
        self._network = _in_half(vae, _HALF[wanted]) if wanted in _HALF else vae
        if wanted != "float32" and not self._agrees(trial):
            self._network, self.format = vae, "float32"

    @torch.inference_mode()
    def __call__(self, latents: Tensor) -> Tensor:
        """Return pixels around [-1, 1], (b, 3, h, w) float32, of unscaled latents (b, c, h, w) float32."""
        if self.format != "tf32":
            return _decode(self._network, latents.to(self._network.dtype))
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=True):
            return _decode(self._network, latents)

    def _agrees(self, trial: Tensor) -> bool:
        off = levels_off(self(trial), self.exact(trial))
        return bool(off.isfinite().all() and off.max() <= MOST and off.mean() <= MEAN)

    @torch.inference_mode()
    def exact(self, latents: Tensor) -> Tensor:
        """Return what float32 makes of latents."""
        return _decode(self._vae, latents)


def levels_off(pixels: Tensor, exact: Tensor) -> Tensor:
    """Return by how many of 255 levels pixels in [-1, 1] differ."""
    return (pixels.clamp(-1, 1) - exact.clamp(-1, 1)).abs() * 127.5


def _decode(vae: Any, latents: Tensor) -> Tensor:
    pixels: Tensor = vae.decode(latents, return_dict=False)[0]
    return pixels.to(torch.float32)


def _in_half(vae: Any, dtype: torch.dtype) -> Any:
    """Return a copy of what decodes; its other half is left out."""
    without: dict[int, Any] = {id(vae.encoder): torch.nn.Identity()}
    return copy.deepcopy(vae, without).to(dtype)
