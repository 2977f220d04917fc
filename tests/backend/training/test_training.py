"""The training scripts, run for a few steps on small made-up chips; the numbers of the evaluation."""

import shutil

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from transformers import CLIPTokenizer

from model_backend.models.card import read_card
from model_backend.training import export, sampling, tokenizer
from model_backend.training.data_sets import captions, land_cover, masks
from model_backend.training.data_sets.batches import ChipBatches
from model_backend.training.image_tensors import to_tensor
from model_backend.training.process_group import ProcessGroup
from model_backend.training.stages import autoencoder, decoder, diffusion
from model_backend.training.trainer import Budget

pytestmark = pytest.mark.usefixtures("one_thread")


# --- data, captions, masks ---------------------------------------------------------------------------------


def test_a_tenth_is_held_out_by_name_alone(chips):
    assert 0.08 < np.mean([land_cover.held_out(f"Forest/Forest_{i}.jpg") for i in range(5000)]) < 0.12
    train, held = chips[14].split()
    assert not set(train.files) & set(held.files)
    assert len(train.files) + len(held.files) == len(chips[14].files)
    # The two levels of UC Merced hold out the same files: a chip at 1 m is the chip at 0.5 m.
    assert chips[18].split()[1].files == chips[17].split()[1].files


def test_levels_have_the_ground_size_they_claim(chips):
    assert {level: 2.0 ** (17 - level) for level in land_cover.LEVELS} == land_cover.LEVELS
    assert [chips[level].pixels.shape[1] for level in (18, 17, 14)] == [156, 78, 80]
    box = chips[18].pixels[0].reshape(78, 2, 78, 2, 3).mean((1, 3))
    assert np.abs(box - chips[17].pixels[0]).max() <= 1  # an honest area mean


def test_colour_correction_follows_the_readme_and_spares_water():
    dark = np.full((2, 2, 3), [20, 37, 55], np.uint8)
    assert land_cover.correct_colours(dark, "Forest").max() == 0
    assert np.array_equal(land_cover.correct_colours(dark, "SeaLake"), dark)
    assert land_cover.correct_colours(np.full((1, 1, 3), 253, np.uint8), "Forest").min() == 255


def test_sampling_is_even_over_classes_caps_flat_chips_and_repeats(chips):
    pixels = np.random.default_rng(0).integers(0, 255, (10, 80, 80, 3), dtype=np.uint8)
    pixels[2:8] = 90
    some = land_cover.Chips(14, pixels, np.array([0] * 8 + [1] * 2), ("a", "b"), tuple("abcdefghij"))
    weights = land_cover.chip_weights(some)
    assert weights[:8].sum() == pytest.approx(0.5)
    assert weights[2:8].sum() == pytest.approx(0.15)
    draws = [land_cover.WindowSampler(chips).draw(20, np.random.default_rng(4)) for _ in range(2)]
    assert np.array_equal(draws[0].pixels, draws[1].pixels)
    assert draws[0].names == draws[1].names


def test_the_eight_turns_differ_and_keep_the_pixels():
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    turns = {land_cover.turn(image, way).tobytes() for way in range(8)}
    assert len(turns) == 8
    assert {tuple(sorted(turn)) for turn in turns} == {tuple(range(27))}


def test_captions_say_only_what_is_true_and_the_card_lists_their_words():
    rng = np.random.default_rng(0)
    green = np.zeros((3, 8, 8), np.uint8)
    green[1] = 90
    told = {captions.caption("Forest", green, rng) for _ in range(200)}
    assert any(text.endswith(", green") for text in told)
    assert not any(word in text for text in told for word in ("brown", "bright", "blue", "grey"))
    assert {"forest", "residential", "green", "airplane"} <= set(captions.words())
    assert "a" not in captions.words()


def test_masks_are_binary_and_half_of_them_are_everything():
    drawn = masks.draw(300, 64, np.random.default_rng(0))
    assert set(np.unique(drawn)) == {0, 1}
    assert 0.45 < drawn.all((1, 2)).mean() < 0.65
    assert 0.25 <= masks.large(64, np.random.default_rng(1)).mean() <= 0.8


def test_land_set_into_other_land_keeps_what_is_kept_and_fades_inside():
    land, around = np.full((2, 3, 64, 64), [[[[200]]], [[[20]]]], np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[8:56, 8:56] = 1
    joined = masks.set_in(land, around, mask)
    assert (joined[:, mask == 0] == 20).all()
    assert (joined[:, 14:50, 14:50] == 200).all()
    assert (np.diff(joined[0, 32, 7:15].astype(int)) > 0).all(), "from one into the other over 6 pixels"
    mask[12:] = 0
    assert masks.set_in(land, around, mask) is land, "a small mask keeps its own surroundings"


def test_some_windows_get_other_surroundings_and_all_keep_their_insides(chips, trained):
    batches = ChipBatches(
        {14: chips[14]}, CLIPTokenizer.from_pretrained(trained / "tokenizer"), torch.device("cpu")
    )
    batch = batches.draw(60, np.random.default_rng(2))
    plain = land_cover.WindowSampler({14: chips[14]}).draw(60, np.random.default_rng(2))
    same = (batch.images == to_tensor(plain.pixels, torch.device("cpu"))).all(1)
    partly = [0.25 <= share < 1 for share in batch.masks.mean((1, 2, 3))]
    changed = [not bool(equal.all()) for equal in same]
    assert 0.2 < np.mean([change for change, part in zip(changed, partly, strict=True) if part]) < 0.8
    assert not any(change for change, part in zip(changed, partly, strict=True) if not part)
    deep = -torch.nn.functional.max_pool2d(-batch.masks, 17, 1, 8)[:, 0] == 1
    assert same[deep].all()


def test_tokenizer_is_read_by_the_stock_class_and_knows_whole_words(tmp_path):
    made = tokenizer.build(captions.corpus(), tmp_path)
    read = CLIPTokenizer.from_pretrained(tmp_path)
    ids = sampling.tokens(read, ["A Residential Area", "", "quay"])
    assert ids.shape == (3, tokenizer.LENGTH)
    assert torch.equal(ids, sampling.tokens(made, ["a residential area", "", "quay"]))
    assert [token.removesuffix("</w>") for token in read.convert_ids_to_tokens(ids[0][1:4].tolist())] == [
        "a",
        "residential",
        "area",
    ]
    assert read.decode(ids[2], skip_special_tokens=True).strip() == "quay"  # unknown words fall into bytes


# --- training ----------------------------------------------------------------------------------------------


def test_budget_counts_time_or_steps_and_cools_down():
    timed = Budget(2.0, seconds=60)
    assert timed.progress() == 0.5
    steps = Budget(None, 1000)
    rates = []
    for steps.step in (0, 500, 999):
        rates.append(steps.rate())
    assert rates[0] < 0.01
    assert rates[1] == 1
    assert rates[2] < 0.04


def same(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_resumed_run_ends_where_an_unbroken_one_does(chips, tmp_path):
    train = {level: some.split()[0] for level, some in chips.items()}
    sampler = land_cover.WindowSampler(train)

    def stage(work):
        options = autoencoder.Options(width=16, batch=4)
        return autoencoder.Stage(work, options, Budget(None, 10), ProcessGroup())

    whole = stage(tmp_path / "whole")
    for _ in range(4):
        whole.step(sampler)
    broken = stage(tmp_path / "broken")
    for _ in range(2):
        broken.step(sampler)
    broken.save()
    resumed = stage(tmp_path / "broken")
    assert resumed.budget.step == 2
    for _ in range(2):
        resumed.step(sampler)
    assert same(whole.model, resumed.model)
    assert same(whole.averaged(), resumed.averaged())


@torch.no_grad()
def test_windows_are_encoded_as_if_land_went_on_beyond_their_edges():
    torch.manual_seed(1)
    vae = autoencoder.build(8).eval()
    slope = torch.linspace(-0.5, 0.5, 96)
    land = torch.stack(
        [slope[None] + slope[:, None], 0.2 * slope[None].repeat(96, 1), -slope.repeat(96, 1).T]
    )[None]
    inside = vae.encode(land).latents[..., 4:-4, 4:-4]
    window = land[..., 16:-16, 16:-16]

    def off(latents: torch.Tensor) -> float:
        return float((latents - inside).square().mean((0, 1))[0].mean().sqrt())

    assert off(autoencoder.seamless(lambda images: vae.encode(images).latents, window)) < (
        0.3 * off(vae.encode(window).latents)
    )


def test_errors_count_more_where_windows_overlap():
    weights = diffusion.edge_weights(16)
    assert weights[4:12, 4:12].eq(1).all()
    assert weights[:4].eq(weights[-4:]).all()
    assert weights[0, 0] > 1


def test_the_decoder_resumes_exactly_and_leaves_the_encoder_alone(chips, trained, tmp_path):
    shutil.copytree(trained / "vae", tmp_path / "vae")
    before = AutoencoderTiny.from_pretrained(tmp_path / "vae")
    sampler = land_cover.WindowSampler({level: some.split()[0] for level, some in chips.items()})

    def stage():
        return decoder.Stage(tmp_path, decoder.Options(batch=2, warmup=1), Budget(None, 10), ProcessGroup())

    whole = stage()
    whole.step(sampler)
    whole.save()
    whole.step(sampler)
    resumed = stage()
    resumed.step(sampler)
    assert same(whole.vae, resumed.vae)
    assert same(whole.critic, resumed.critic)
    resumed.save()
    after = AutoencoderTiny.from_pretrained(tmp_path / "vae")
    assert same(before.encoder, after.encoder)
    assert not same(before.decoder, after.decoder)


def test_detail_is_asked_for_in_amount_not_in_place():
    rng = torch.Generator().manual_seed(0)
    real, other = torch.randn(2, 4, 3, 64, 64, generator=rng)
    blurred = torch.nn.functional.avg_pool2d(real, 3, 1, 1)
    assert decoder.detail_loss(other, real) < 0.3 * decoder.detail_loss(blurred, real)
    assert decoder.detail_loss(real, real) == 0


def test_diffusion_resumes_exactly_and_learns_from_text(chips, trained, tmp_path):
    (tmp_path / "vae").symlink_to(trained / "vae", target_is_directory=True)
    train = {level: some.split()[0] for level, some in chips.items()}

    def stage():
        options = diffusion.Options(widths=(32, 64), batch=4)
        return diffusion.Stage(tmp_path, options, Budget(None, 10), ProcessGroup())

    whole = stage()
    batches = ChipBatches(train, whole.parts.tokenizer, whole.where)
    before = [p.clone() for p in whole.parts.text.parameters()]
    whole.step(batches)
    whole.save()
    whole.step(batches)
    resumed = stage()
    resumed.step(batches)
    assert same(whole.parts.unet, resumed.parts.unet)
    assert any(not torch.equal(a, b) for a, b in zip(before, whole.parts.text.parameters(), strict=True))


def test_guidance_stops_at_the_cutoff(trained):
    """Four steps, the last two plain: the UNet sees both halves of two images, then one."""
    parts = sampling.load(trained / "model", torch.device("cpu"))
    sizes: list[int] = []
    hook = parts.unet.register_forward_pre_hook(lambda _module, args: sizes.append(len(args[0])))
    request = sampling.SamplingRequest(["a forest", "a river"], [14, 18], seed=3, steps=4, cutoff=200)
    sampling.draw(parts, request)
    hook.remove()
    assert sizes == [4, 4, 2, 2]


def test_export_is_a_model_folder_that_the_card_describes(chips, trained, tmp_path):
    export.write(trained, tmp_path, chips)
    card = read_card(tmp_path)
    assert (card.id, card.pipeline, card.vae_factor) == ("text2earth-mini", "inpaint", 4)
    assert set(card.levels) == set(land_cover.LEVELS)
    assert card.attribution == export.ATTRIBUTION
    for config in tmp_path.rglob("*.json"):  # the folder travels: nothing in it says where it was made
        assert str(trained) not in config.read_text("utf-8")
    parts = sampling.load(tmp_path, torch.device("cpu"))
    request = sampling.SamplingRequest(["a forest", "a river"], [14, 18], seed=3, steps=2)
    images = sampling.draw(parts, request)
    assert images.shape == (2, 3, 64, 64)
    assert torch.equal(images, sampling.draw(parts, request))
    # One image of a batch is the image alone, up to rounding: noise belongs to the seed and the slot.
    alone = sampling.draw(parts, request, batch=1)
    assert (alone - images).abs().mean() < 0.05
