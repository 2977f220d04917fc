"""Loading: the shapes that are understood, and sentences for those that are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from model_backend.errors import ModelUnavailable
from model_backend.models.card import card_from_folder, read_card
from model_backend.models.loader import load
from tests.support.backend.tiny_models import build_tiny, load_tiny, tiny_card

pytestmark = pytest.mark.fast

X = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def test_embeddings_are_the_stock_pipelines(tiny: Path):
    model = load_tiny(tiny)
    pipeline = StableDiffusionPipeline.from_pretrained(tiny, low_cpu_mem_usage=False)
    prompts = ["a lake and houses, Zürich", "", "forest " * 100]
    for prompt in prompts:
        theirs = pipeline.encode_prompt(prompt, "cpu", 1, False)[0]
        torch.testing.assert_close(model.embed([prompt]), theirs, atol=0, rtol=0)
    assert model.embed(prompts).shape == (3, 77, 32)
    assert torch.equal(model.embed(prompts)[1:2], model.embed([""]))
    assert model.embed(["a lake"]).dtype == torch.float32


def test_a_prompt_is_encoded_once_and_the_memory_is_bounded(tiny: Path):
    model = load_tiny(tiny)
    calls = []
    model._text_encoder.register_forward_pre_hook(lambda _module, _args: calls.append(1))
    for _ in range(3):
        model.embed(["a lake", "a lake", "a road"])
    assert len(calls) == 2
    for n in range(100):
        model.embed(["a lake", f"field {n}"])
    assert len(model._prompts) == 64
    assert len(calls) == 102  # the one in use is kept


def test_the_authors_level_prefix_never_reaches_the_text_encoder(tiny: Path, tmp_path: Path):
    model = load_tiny(tiny)
    assert torch.equal(model.embed(["16_GOOGLE_LEVEL_a lake"]), model.embed(["a lake"]))
    plain = load_tiny(build_tiny(tmp_path / "plain", level=False))
    assert not torch.equal(plain.embed(["16_GOOGLE_LEVEL_a lake"]), plain.embed(["a lake"]))


def test_level_is_the_class_label(tiny: Path, tmp_path: Path):
    model = load_tiny(tiny)
    embeds = model.embed(["a lake", "a lake"])
    at = [model.denoise(X, 500.0, embeds, torch.tensor([level] * 2)) for level in (0.0, 10.0, 18.0)]
    assert torch.equal(model.denoise(X, 500.0, embeds, None), at[0])
    assert not torch.equal(at[1], at[2])
    labels = torch.tensor([10.0, 18.0])
    theirs = model._unet(X, 500.0, embeds, class_labels=labels).sample
    assert torch.equal(model.denoise(X, 500.0, embeds, labels), theirs)
    plain = load_tiny(build_tiny(tmp_path / "plain", level=False))
    assert torch.equal(plain.denoise(X, 500.0, embeds, labels), plain.denoise(X, 500.0, embeds, None))


def test_inpainting_sees_mask_and_known_pixels(tmp_path: Path):
    model = load_tiny(build_tiny(tmp_path / "inpaint", "inpaint"))
    assert model.card.pipeline == "inpaint"
    embeds = model.embed(["a lake", "a lake"])
    levels = torch.tensor([16.0, 16.0])
    grey = model.encode(torch.zeros(1, 3, 64, 64))
    everything = torch.cat([torch.ones(1, 1, 8, 8), grey], dim=1)
    free = model.denoise(X, 500.0, embeds, levels)
    assert free.shape == X.shape
    assert torch.equal(free, model.denoise(X, 500.0, embeds, levels, everything.expand(2, -1, -1, -1)))
    known = torch.cat([torch.zeros(1, 1, 8, 8), model.encode(torch.rand(1, 3, 64, 64))], dim=1)
    assert not torch.equal(free, model.denoise(X, 500.0, embeds, levels, known))


@pytest.mark.parametrize("vae", ["kl", "tiny"])
def test_decode_and_encode(vae, tmp_path: Path):
    model = load_tiny(build_tiny(tmp_path / "model", vae=vae))
    pixels = model.decode(3 * X)
    assert pixels.shape == (2, 3, 64, 64)
    assert pixels.dtype == torch.float32
    assert -1 <= pixels.min() < 0 < pixels.max() <= 1
    theirs = model._vae.decode(3 * X / model._vae.config.scaling_factor).sample.clamp(-1, 1)
    assert torch.equal(pixels, theirs)
    assert torch.equal(model.encode(pixels), model.encode(pixels))
    assert model.encode(pixels).shape == (2, 4, 8, 8)


def test_folders_without_a_card_get_one(tmp_path: Path):
    hub = build_tiny(tmp_path / "Text2Earth of somebody", card=None)
    card = card_from_folder(hub)
    assert (card.id, card.pipeline, card.vae_factor) == ("Text2Earth-of-somebody", "text2image", 8)
    assert (card.levels, card.guidance, card.engine.window) == (tuple(range(10, 19)), 4.0, 32)
    plain = card_from_folder(build_tiny(tmp_path / "sd2", level=False, card=None))
    assert (plain.levels, plain.guidance, plain.engine.window, plain.engine.stride) == (None, 7.5, 64, 48)
    inpaint = card_from_folder(build_tiny(tmp_path / "inpaint", "inpaint", card=None))
    assert (inpaint.pipeline, inpaint.guidance) == ("inpaint", 3.5)
    model = load(hub, read_card(hub).model_copy(update={"engine": tiny_card().engine}), "cpu", 1)
    assert model.denoise(X, 500.0, model.embed(["", ""]), None).shape == X.shape


def refused(folder: Path, match: str) -> None:
    with pytest.raises(ModelUnavailable, match=match):
        load(folder, tiny_card(), "cpu", threads=1)


def test_pickles_are_refused(copy: Path):
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    refused(copy, "holds the weights of its unet only as a pickle, .* convert it to safetensors first")


UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda whole: b"", "is empty. Get the file again"),
        (
            lambda whole: whole[: len(whole) // 2],
            "bytes instead of .*: a download that stopped. Get",
        ),
        (lambda whole: whole + b"more", "bytes instead of"),
        (lambda whole: whole[:5], "is no safetensors file, or cut off"),
        (lambda whole: whole[:40], "is no safetensors file, or cut off"),
        (
            lambda whole: b"\x10" + bytes(7) + b"no JSON in here.",
            "no safetensors file. Get the file again",
        ),
        (lambda whole: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", 'with "git lfs pull"'),
        (lambda whole: b"<!DOCTYPE html><html>Please log in</html>", "is a web page. Get the file again"),
    ],
)
def test_damaged_weights_are_named(copy: Path, content: Callable[[bytes], bytes], sentence: str):
    path = copy / UNET
    path.write_bytes(content(path.read_bytes()))
    refused(copy, f"The file {UNET} of copy .*{sentence}")


def test_weights_in_half_precision_alone_say_what_to_do(copy: Path):
    (copy / UNET).rename(copy / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    refused(copy, "only as diffusion_pytorch_model.fp16.safetensors. Rename it to diffusion_pytorch_model.s")


def test_missing_weights_are_refused_not_made_up(copy: Path):
    for part, file in (("text_encoder", "model"), ("unet", "diffusion_pytorch_model")):
        path = copy / part / f"{file}.safetensors"
        tensors = load_file(path)
        save_file(dict(list(tensors.items())[1:]), path, metadata={"format": "pt"})
        refused(copy, f"cannot be loaded: {part} lacks 1 of its weights, such as")


def test_broken_folders_are_refused_with_a_sentence(copy: Path):
    config = copy / "vae" / "config.json"
    config.write_text(json.dumps({"_class_name": "VQModel"}), encoding="utf-8")
    refused(copy, "autoencoder of copy is of class VQModel; supported: AutoencoderKL, AutoencoderTiny")
    (copy / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"no tensors in here")
    refused(copy, "The file vae/diffusion_pytorch_model.safetensors of copy is no safetensors file")
    shutil.rmtree(copy / "vae")
    refused(copy, "holds the weights of its vae not at all")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pipeline": "inpaint"}, "says input channels: 9, but the folder tiny has: 4"),
        ({"vae_factor": 4}, "says pixels per latent: 4, but the folder tiny has: 8"),
        ({"levels": None}, "says a level input: False, but the folder tiny has: True"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tiny: Path, change: dict, sentence: str):
    with pytest.raises(ModelUnavailable, match=sentence):
        load_tiny(tiny, **change)
