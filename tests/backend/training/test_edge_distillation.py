"""The stage that teaches windows at their rims: who teaches what, and that a run replaces the model whole."""

from __future__ import annotations

import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPTokenizer

from model_backend.training import sampling, tokenizer
from model_backend.training.data_sets import captions, drawn_scenes, land_cover
from model_backend.training.process_group import ProcessGroup
from model_backend.training.stages import autoencoder, diffusion, edge_distillation
from model_backend.training.trainer import Budget

OFFSETS = [(row, col) for row in (0, 8, 16, 24) for col in (0, 8, 16, 24)]


pytestmark = pytest.mark.usefixtures("one_thread")


def test_windows_agree_on_what_they_see_from_inside():
    land = torch.randn(2, 4, 40, 40, generator=torch.Generator().manual_seed(1))
    said = edge_distillation.crop_windows(land, OFFSETS, 16)
    assert torch.equal(said[2:4], land[..., :16, 8:24]), "offset by offset"
    rim = torch.ones(16, 16)
    rim[3:-3, 3:-3] = 0
    agreed = edge_distillation.consensus(said + 7 * rim, OFFSETS, 40)
    inside = slice(3, -3)
    assert torch.allclose(agreed[..., inside, inside], land[..., inside, inside], atol=1e-5)
    assert agreed[..., :3, :].isnan().all(), "nobody sees all around there"


def test_lines_are_what_whole_rows_and_columns_share():
    rows, columns = torch.tensor([3.0, -1, -1, -1]), torch.tensor([0.0, 0, 2, -2])
    grain = torch.tensor([[1.0, -1], [-1, 1]]).repeat(2, 2)
    window = 7 + rows[:, None] + columns + grain
    assert torch.allclose(edge_distillation.line_means(window[None, None])[0, 0], rows[:, None] + columns)


@pytest.fixture
def work(tmp_path):
    """Return a work folder that holds an untrained model."""
    words = tokenizer.build(captions.corpus(), tmp_path / "tokenizer")
    torch.manual_seed(0)
    parts = sampling.Parts(
        words,
        diffusion.build_text(words),
        diffusion.build_unet((32, 64)),
        autoencoder.build(16),
        dict(diffusion.scheduler().config),
    )
    for name, part in (("unet", parts.unet), ("text_encoder", parts.text), ("vae", parts.vae)):
        part.save_pretrained(tmp_path / "model" / name)
    parts.vae.save_pretrained(tmp_path / "vae")
    words.save_pretrained(tmp_path / "model" / "tokenizer")
    diffusion.scheduler().save_pretrained(tmp_path / "model" / "scheduler")
    return tmp_path


@pytest.fixture
def chips():
    pixels = np.random.default_rng(5).integers(0, 255, (20, 80, 80, 3), dtype=np.uint8)
    files = tuple(f"{n}.jpg" for n in range(20))
    return {14: land_cover.Chips(14, pixels, np.arange(20) % 2, ("Forest", "SeaLake"), files)}


SOME = (
    drawn_scenes.DrawnScene("Forest", 14, 0),
    drawn_scenes.DrawnScene("denseresidential", 18, 1),
    drawn_scenes.DrawnScene("SeaLake", 14, 3),
)


def stage(work, steps: int) -> edge_distillation.Stage:
    options = edge_distillation.Options(batch=2, windows=2, rate=1e-2, scenes=SOME)
    return edge_distillation.Stage(work, options, Budget(None, steps), ProcessGroup())


def drawn(work) -> drawn_scenes.SceneBatches:
    """Return a batches of made-up land, smooth with a grain."""
    rng = np.random.default_rng(7)
    (work / "drawn-scenes").mkdir()
    for scene in SOME:
        slope = np.linspace(rng.integers(40, 90), rng.integers(120, 200), 256)[:, None, None]
        picture = (slope + rng.normal(0, 6, (256, 256, 3))).clip(0, 255).astype(np.uint8)
        Image.fromarray(picture).save(work / "drawn-scenes" / scene.file)
    words = CLIPTokenizer.from_pretrained(work / "model" / "tokenizer")
    return drawn_scenes.SceneBatches(work / "drawn-scenes", SOME, words, torch.device("cpu"), 160)


def same(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_every_class_is_drawn_at_its_levels_and_water_most():
    kinds = {(scene.name, scene.level) for scene in drawn_scenes.PLAN}
    assert {name for name, _ in kinds} == set(captions.PHRASES)
    assert {level for _, level in kinds} == set(land_cover.LEVELS)
    assert len({scene.file for scene in drawn_scenes.PLAN}) == len(drawn_scenes.PLAN)
    counts = Counter(scene.name for scene in drawn_scenes.PLAN)
    assert counts.most_common(1)[0][0] == "SeaLake"


def test_a_batch_of_land_has_pieces_without_prompt_and_pieces_masked(work):
    batches = drawn(work)
    batch = batches.draw(200, np.random.default_rng(1))
    assert batch.images.shape == (200, 3, 160, 160)
    assert torch.equal(batch.images, batches.draw(200, np.random.default_rng(1)).images)
    nothing = sampling.tokens(CLIPTokenizer.from_pretrained(work / "model" / "tokenizer"), [""])[0]
    free = (batch.ids == nothing).all(1)
    assert 0.2 < free.float().mean() < 0.5
    assert 0.2 < (free & (batch.levels == 0)).float().mean() < 0.4
    assert set(batch.levels.tolist()) == {0, 14, 18}
    masked = (batch.masks < 0.5).flatten(1).any(1)
    assert 0.15 < masked.float().mean() < 0.35


def test_a_run_replaces_the_model_and_a_killed_one_leaves_it(work, chips):
    other = work.parent / "broken"
    shutil.copytree(work, other)
    whole = stage(work, 2)
    whole.run(chips)
    broken = stage(other, 1)
    broken.finish = broken.save  # killed before it ends
    broken.run(chips)
    there = sampling.load(other / "model", torch.device("cpu"))
    assert same(there.unet, whole.teacher.unet), "the model stays until the run ends"
    pictures = sorted(path.name for path in (other / "drawn-scenes").glob("*.png"))
    assert pictures == sorted(scene.file for scene in SOME)
    resumed = stage(other, 2)
    assert resumed.budget.step == 1
    resumed.run(chips)
    ends = [sampling.load(folder / "model", torch.device("cpu")) for folder in (work, other)]
    assert same(ends[0].unet, ends[1].unet)
    assert same(ends[0].text, ends[1].text)
    assert not same(ends[0].unet, whole.teacher.unet)
    assert same(ends[0].vae, whole.teacher.vae)
    before = sampling.load(other / "model.before", torch.device("cpu"))
    assert same(before.unet, whole.teacher.unet)
    assert not (other / "edge-distillation.pt").exists()
    assert not (other / "drawn-scenes").exists(), "they are scenes of the model before"


@pytest.mark.parametrize("late", [True, False])
def test_rims_come_to_say_what_insides_say(work, monkeypatch, late):
    """An untrained UNet has rims of its own; a few steps take some of them away."""
    monkeypatch.setattr(edge_distillation, "_LATE_SHARE", float(late))
    one, batches = stage(work, 60), drawn(work)
    batch = batches.draw(8, np.random.default_rng(99))

    @torch.no_grad()
    def off() -> float:
        torch.manual_seed(1)
        return float(one.loss(batch, np.random.default_rng(1)))

    before = off()
    for _ in range(50):
        one.step(batches)
    assert off() < 0.75 * before


def test_in_early_steps_windows_keep_their_own_image(work, monkeypatch):
    """All that is to change there is what whole lines share."""
    monkeypatch.setattr(edge_distillation, "_LATE_SHARE", 0.0)
    one, batches = stage(work, 1), drawn(work)
    monkeypatch.setattr(edge_distillation, "line_means", torch.zeros_like)
    batch = batches.draw(8, np.random.default_rng(99))
    with torch.no_grad():
        assert float(one.loss(batch, np.random.default_rng(1))) < 1e-9, "what the teacher says itself"
