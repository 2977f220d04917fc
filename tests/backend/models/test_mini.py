"""The bundled model: its folder, its card, what it shows."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from model_backend.engine.scene import Scene
from model_backend.errors import InvalidInput
from model_backend.models.card import checksums, read_card
from model_backend.models.loader import load
from model_backend.raster.georeference.placement import place
from model_backend.schemas import Box, Extent, GenerateInputs
from model_backend.training import sampling
from model_backend.training.data_sets import captions

ROOT = Path(__file__).parents[3]
MINI = ROOT / "resources" / "models" / "text2earth-mini"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def card():
    return read_card(MINI)


@pytest.fixture(scope="module")
def model(card):
    return load(MINI, card, "cpu", threads=1)


class Silent:
    def step(self, done: int, total: int) -> None:
        pass

    def preview(self, rgb: np.ndarray) -> None:
        pass


def scene(model, prompt: str, level: int, seed: int = 5, size: int = 64) -> Scene:
    canvas = Box(col=0, row=0, width=size, height=size)
    return Scene(model, model.card.recipe(prompt, level, seed, canvas))


def window(model, prompt: str, level: int, seed: int = 5) -> np.ndarray:
    return scene(model, prompt, level, seed).pixels(Box(col=0, row=0, width=64, height=64), Silent())


def test_it_is_small_enough_to_ship_and_holds_no_pickles():
    files = [path for path in MINI.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 40 * MEGABYTE
    assert max(path.stat().st_size for path in files) <= 15 * MEGABYTE
    assert {path.suffix for path in files} <= {".json", ".txt", ".safetensors", ".md", ".png"}


def test_the_card_says_what_was_trained_and_on_what(card):
    assert card.id == "text2earth-mini"
    assert set(card.levels) == {14, 17, 18}
    assert card.attribution.startswith("Trained on EuroSAT (Helber et al. 2019, MIT licence; contains")
    assert "Yang & Newsam 2010" in card.attribution
    assert not card.non_commercial
    assert set(card.words) == set(captions.words())
    assert read_card(MINI).files == checksums(MINI)


def test_its_note_carries_attribution_and_figures(card):
    note = (MINI / "README.md").read_text("utf-8")
    assert card.attribution in " ".join(note.split())
    figures = json.loads((ROOT / "docs" / "benchmarks" / "text2earth-mini.json").read_text("utf-8"))
    assert figures["weights"] == card.revision_or_hash
    for level in ("level 14", "level 18"):
        assert f"{figures[level]['prompt accuracy %']} %" in note


def test_loading_it_costs_four_calls_of_its_unet(monkeypatch: pytest.MonkeyPatch):
    """Two to try its slots in each of two memory layouts; the rest is reading files."""
    calls, forward = [], UNet2DConditionModel.forward

    def counted(self, *arguments, **named):
        calls.append(len(arguments[0]))
        return forward(self, *arguments, **named)

    monkeypatch.setattr(UNet2DConditionModel, "forward", counted)
    card = read_card(MINI)
    load(MINI, card, "cpu", threads=1)
    assert len(calls) <= 4
    assert max(calls) <= 2 * card.engine.batch


def test_scenes_follow_prompt_and_level(model):
    water = np.mean([window(model, "open water", 14, seed).std((1, 2)).mean() for seed in range(3)])
    homes = np.mean([window(model, "a residential area", 14, seed).std((1, 2)).mean() for seed in range(3)])
    assert homes > 2 * water
    forest = np.mean([window(model, "a forest", 14, seed).mean((1, 2)) for seed in range(3)], axis=0)
    beach = np.mean([window(model, "a beach", 18, seed).mean((1, 2)) for seed in range(3)], axis=0)
    assert beach.mean() > forest.mean() + 20
    near, far = window(model, "a residential area", 18), window(model, "a residential area", 14)
    assert np.abs(near.astype(int) - far).mean() > 5


def test_the_engine_draws_what_the_training_code_draws(model):
    parts = sampling.load(MINI, torch.device("cpu"))
    grey = torch.zeros(1, 3, 64, 64)
    context = sampling.context(parts, grey, torch.ones(1, 1, 64, 64))
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    levels = torch.tensor([17.0])
    with torch.no_grad():
        ours = parts.unet(
            torch.cat([x, context], 1), 500, parts.embed(["a forest"]), class_labels=levels
        ).sample
    theirs = model.denoise(x, 500, model.embed(["a forest"]), levels)
    assert (ours - theirs).abs().mean() < 0.05 * ours.abs().mean()


def test_tiles_decode_to_the_pixels_of_the_whole(model, card):
    latents = torch.randn(1, 4, 80, 80, generator=torch.Generator().manual_seed(1))
    whole = model.decode(latents)
    halo, factor = card.engine.decode_halo, card.vae_factor
    tile = model.decode(latents[..., : 40 + halo, 16:])
    inside = tile[..., : 40 * factor, halo * factor :]
    assert torch.allclose(whole[..., : 40 * factor, (16 + halo) * factor :], inside, atol=1e-4)


@pytest.mark.parametrize("gsd", [0.5, 1.0, 8.0])
def test_it_is_asked_for_what_it_was_trained_at(card, gsd):
    assert place(wish(gsd), card).level == {0.5: 18, 1.0: 17, 8.0: 14}[gsd]


@pytest.mark.parametrize("gsd", [0.25, 2.0, 4.0, 16.0])
def test_what_lies_between_or_beyond_its_levels_is_refused(card, gsd):
    with pytest.raises(InvalidInput) as refusal:
        place(wish(gsd), card)
    assert refusal.value.field == "gsd"
    assert "metres per pixel" in refusal.value.allowed


def wish(gsd: float) -> GenerateInputs:
    return GenerateInputs(prompt="a lake", extent=Extent(bbox=[13.0, 52.0, 13.01, 52.01]), gsd=gsd)
