"""The number formats of Text2Earth's weights as published, on a processor: what is computed in which."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model_backend.engine.scene import Scene
from model_backend.models.card import read_card
from model_backend.models.decoder import Decoder, choose, levels_off
from model_backend.models.loader import bytes_needed, load
from model_backend.models.registry import KNOWN
from model_backend.models.weights import loaded_bytes
from model_backend.schemas import Box
from tests.support.backend.recipes import recipe_of
from tests.support.backend.tiny_models import ProgressRecorder, build_tiny, load_tiny

pytestmark = pytest.mark.fast

UNET = "unet/diffusion_pytorch_model.safetensors"
LATENTS = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose UNet is in float16 and the rest in float32, as Text2Earth's files are."""
    folder = build_tiny(tmp_path_factory.mktemp("published") / "model", card=None)
    tensors = {name: tensor.half() for name, tensor in load_file(folder / UNET).items()}
    save_file(tensors, folder / UNET)
    return folder


def test_the_unet_computes_in_its_format_and_the_rest_in_float32(published: Path):
    halves = load(published, read_card(published), "cpu", 1, torch.float16)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    embeds, levels = halves.embed(["a lake", ""]), torch.tensor([17.0, 0.0])
    assert embeds.dtype == torch.float32
    theirs = halves._unet(x.half(), 500.0, embeds.half(), class_labels=levels).sample.float()
    ours = halves.denoise(x, 500.0, embeds, levels)
    assert torch.equal(ours, theirs)
    whole = load(published, read_card(published), "cpu", 1, torch.float32).denoise(x, 500.0, embeds, levels)
    assert 0 < (ours - whole).abs().max() < 5e-3 * whole.abs().max()


@pytest.mark.parametrize(("dtype", "off"), [(torch.float16, 2), (torch.bfloat16, 12)])
def test_a_scene_in_half_precision_is_the_same_picture(tiny: Path, dtype: torch.dtype, off: float):
    recipe = recipe_of(canvas=Box(col=0, row=0, width=112, height=64), steps=6)
    card = read_card(tiny)
    pictures = [
        Scene(load(tiny, card, "cpu", 1, one), recipe).pixels(recipe.grid, ProgressRecorder()).astype(float)
        for one in (torch.float32, dtype)
    ]
    assert 0 < np.abs(pictures[0] - pictures[1]).max() <= off


def test_memory_is_that_of_the_weights_once_loaded(published: Path, tiny: Path):
    for folder in (published, tiny):
        for dtype in (torch.float32, torch.float16):
            model = load(folder, read_card(folder), "cpu", 1, dtype)
            parts = (model._unet, model._vae, model._text_encoder)
            held = sum(one.nbytes for part in parts for one in part.parameters())
            assert loaded_bytes(folder, dtype.itemsize) == pytest.approx(held, rel=0.01)
    named = read_card(published).model_copy(update={"dtype": {"cpu": "float16"}})
    assert bytes_needed(published, named, "cpu") == loaded_bytes(published, 2) < loaded_bytes(published, 4)
    size = (published / UNET).stat().st_size
    (published / UNET).write_bytes((published / UNET).read_bytes()[: size // 2])
    assert loaded_bytes(published, 2) < loaded_bytes(tiny, 2)  # and no exception: loading tells


@pytest.mark.parametrize("wanted", ["tf32", "float16"])
def test_a_faster_decoder_is_taken_where_pictures_stay_the_same(tiny: Path, wanted: str):
    plain, fast = load_tiny(tiny), load_tiny(tiny, decode={"cpu": wanted})
    assert (plain.profile.decode, fast.profile.decode) == ("float32", wanted)
    assert plain.profile.digest != fast.profile.digest
    pixels = fast.decode(LATENTS)
    assert pixels.dtype == torch.float32
    assert levels_off(pixels, plain.decode(LATENTS)).max() <= 2
    assert torch.equal(fast.encode(pixels), plain.encode(pixels))
    assert load_tiny(tiny, decode={"cuda": wanted}).profile.decode == "float32"


def test_a_decoder_that_leaves_the_numbers_of_its_format_is_not_taken(tmp_path: Path):
    """As some autoencoders do in float16, which ends at 65,504."""
    vae = load_tiny(build_tiny(tmp_path / "model"))._vae
    with torch.no_grad():
        vae.decoder.conv_in.weight.mul_(1e6)
    trial = torch.ones(1, 4, 8, 8)
    assert not Decoder(vae)(trial).isnan().any()
    assert choose(vae, "float16", trial).format == "float32"
    assert choose(vae, "tf32", trial).format == "tf32"


def test_text2earth_asks_for_what_its_authors_published(published: Path):
    cards = [card for card in KNOWN if card.repo]
    assert [(card.dtype, card.decode) for card in cards] == 2 * [({"cuda": "float16"}, {"cuda": "tf32"})]
    assert json.loads(cards[0].model_dump_json())["decode"] == {"cuda": "tf32"}
    assert not any(card.unfamiliar(None) or card.unfamiliar("96226bb0") for card in cards)
    assert "this is 0123456" in cards[0].unfamiliar("0123456789")
