"""The engine's edit path: parity with the stock pipeline, pins, only the windows that touch the mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionInpaintPipeline

from model_backend.engine.diffusion.leveled_noise import leveled_noise
from model_backend.engine.diffusion.noise import Noise
from model_backend.engine.diffusion.prompt_field import PromptField
from model_backend.engine.editing.active_windows import canvas_around
from model_backend.engine.editing.edit import Edit
from model_backend.engine.lattice import Count
from model_backend.engine.makers import EditCanvas
from model_backend.errors import JobFailed
from model_backend.models import loader
from model_backend.models.card import EngineParameters
from model_backend.models.loader import Model
from model_backend.schemas import Box, Recipe
from tests.support.backend.recipes import recipe_of
from tests.support.backend.tiny_models import build_tiny, tiny_card

ENGINE = EngineParameters(
    window=8, stride=6, boundaries=(), decode_window=26, decode_core=16, decode_halo=5, decode_fade=2, batch=4
)


class Steps:
    """A watch that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, int]] = []
        self.seen: list[np.ndarray] = []

    def step(self, done: int, total: int) -> None:
        self.heard.append((done, total))

    def preview(self, rgb: np.ndarray) -> None:
        self.seen.append(rgb)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny plain Stable Diffusion 2 inpainting model, in one phase as the stock pipeline runs it."""
    card = tiny_card("inpaint", level=False, engine=ENGINE)
    return build_tiny(tmp_path_factory.mktemp("edit") / "sd2", "inpaint", level=False, vae="tiny", card=card)


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return loader.load(folder, tiny_card("inpaint", level=False, engine=ENGINE), "cpu", 1, torch.float32)


def phases(model: Model, boundaries: tuple[float, ...]) -> Model:
    """The same model with other phases."""
    model.card = model.card.model_copy(
        update={"engine": ENGINE.model_copy(update={"boundaries": boundaries})}
    )
    return model


def recipe(**changes: Any) -> Recipe:
    members: dict[str, Any] = {"level": None, "prompt": "a lake", "negative_prompt": "", "steps": 6}
    return recipe_of(**(members | {"seed": 5, "sampler": "euler"} | changes))


def canvas(height: int, width: int, paint: tuple[slice, slice], at: tuple[int, int] = (0, 0)) -> EditCanvas:
    view = np.random.default_rng(1).random((3, height, width), np.float32)
    mask = np.zeros((height, width), np.bool_)
    mask[paint] = True
    box = Box(col=at[1], row=at[0], width=width, height=height)
    return EditCanvas(box, view, mask, np.ones_like(mask))


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_one_window_is_the_stock_inpainting_pipeline(
    folder: Path, model: Model, strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = phases(model, ())
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    monkeypatch.setattr("model_backend.engine.diffusion.denoiser.leveled_noise", lambda *_: noise[0].numpy())
    # The dilated mask covers the window, so that no latent is replaced by the source's at the end.
    place = canvas(64, 64, (slice(16, 48), slice(16, 48)))
    ours = Edit(model, recipe(), place, strength).view(Steps())

    stock = StableDiffusionInpaintPipeline.from_pretrained(folder, dtype=torch.float32)
    stock.scheduler = EulerDiscreteScheduler.from_config(stock.scheduler.config)
    stock.set_progress_bar_config(disable=True)
    theirs = stock(
        prompt="a lake",
        image=torch.from_numpy(place.view)[None] * 2 - 1,
        mask_image=torch.from_numpy(place.paint.astype(np.float32))[None, None],
        height=64,
        width=64,
        num_inference_steps=6,
        guidance_scale=4.0,
        strength=strength,
        generator=torch.Generator().manual_seed(3),
        output_type="np",
    ).images[0]
    np.testing.assert_allclose(ours, theirs.transpose(2, 0, 1), atol=1e-4)


def test_phases_pin_the_known_latents_to_the_source(model: Model) -> None:
    model = phases(model, (800, 400))
    edit = Edit(model, recipe(), canvas(64, 64, (slice(0, 8), slice(0, 8))))
    window = edit._active.windows[0]
    last = edit._denoiser.trajectory.phases[-1][0]
    done = {window: np.full((4, 8, 8), 9, np.float32)}
    begun = edit._begin(2, window, done)
    free = edit._active.free
    assert free[:3, :3].all()
    assert free.sum() == 9
    assert (begun[:, free] == 9).all()
    noise = leveled_noise(Noise.of(recipe()), range(8), range(8))
    expected = last.alpha * edit._encoded[window] + last.sigma * noise
    np.testing.assert_allclose(begun[:, ~free], expected[:, ~free], rtol=1e-5, atol=1e-6)


def test_what_is_unknown_holds_nothing_in_place(model: Model) -> None:
    """Beside nodata the model goes on freely: nothing grey is pinned there."""
    model = phases(model, (800, 400))
    place = canvas(64, 64, (slice(0, 64), slice(0, 24)))
    known = np.ones((64, 64), np.bool_)
    known[:, 24:48] = False
    edit = Edit(model, recipe(), EditCanvas(place.box, place.view, place.paint, known))
    window = edit._active.windows[0]
    begun = edit._begin(1, window, {window: np.full((4, 8, 8), 9, np.float32)})
    assert (begun[:, :, :6] == 9).all()
    assert not (begun[:, :, 6:] == 9).any()


def planned(edit: Edit, recipe: Recipe, model: Model) -> Count:
    """What a plan counts of an edit."""
    prompts = PromptField.of(recipe, edit._layout)
    return edit._active.count(prompts, edit._denoiser.trajectory.lengths, model.profile.batch)


def test_only_windows_that_touch_the_mask_are_computed(model: Model) -> None:
    model = phases(model, (800, 400))
    place = canvas(8 * 50, 8 * 50, (slice(8, 16), slice(8, 16)))
    edit, watch = Edit(model, recipe(), place), Steps()
    view = edit.view(watch)
    counted = planned(edit, recipe(), model)
    assert counted.windows == 3  # one window, three phases
    assert watch.heard[-1] == (12, 12) == (counted.evaluations, counted.evaluations)
    assert counted.calls == 6
    # Beyond the only decode tile with free latents the picture is the source's own view.
    assert np.array_equal(view[:, -40:, -40:], place.view[:, -40:, -40:])


@pytest.mark.parametrize(("guidance", "sizes"), [(4.0, {2, 1}), (1.0, {1})])
def test_guidance_stops_as_planned(model: Model, guidance: float, sizes: set[int]) -> None:
    """The UNet calls really made, of an edit that begins late, are those that a plan counts."""
    whole = phases(model, (800, 400)).card
    params = whole.engine.model_copy(update={"guidance_cutoff": 300.0})
    model.card = whole.model_copy(update={"engine": params})
    calls: list[int] = []
    hook = model._unet.register_forward_pre_hook(lambda _module, args: calls.append(len(args[0])))
    try:
        edit = Edit(model, recipe(guidance=guidance), canvas(64, 64, (slice(8, 16), slice(8, 16))), 0.7)
        counted = planned(edit, recipe(guidance=guidance), model)
        calls.clear()  # those that tried the slots
        watch = Steps()
        edit.view(watch)
    finally:
        hook.remove()
        model.card = whole
    assert set(calls) == sizes
    assert (counted.calls, counted.evaluations) == (len(calls), sum(calls))
    assert [done for done, _ in watch.heard[: len(calls)]] == np.cumsum(calls).tolist()
    assert watch.heard[-1] == (sum(calls), sum(calls))


def test_previews_show_what_is_made_and_hide_nothing_beside_it(model: Model) -> None:
    place = canvas(8 * 20, 8 * 14, (slice(40, 60), slice(32, 80)), at=(500, 300))
    watch = Steps()
    Edit(model, recipe(), place).view(watch, Box(col=330, row=530, width=52, height=31))
    there = np.s_[30:61, 30:82]
    paint, old = place.paint[there], np.rint(255 * place.view[:, *there]).transpose(1, 2, 0)
    assert len(watch.seen) >= 1
    for seen in watch.seen:
        assert seen.shape == (31, 52, 4)
        assert not seen[~paint, 3].any()
        assert (seen[paint, :3] != old[paint]).any(1).mean() > 0.5
    opacity = [seen[paint, 3] for seen in watch.seen]
    assert all(len(set(one.tolist())) == 1 for one in opacity)
    assert [one[0] for one in opacity] == sorted(one[0] for one in opacity)


def test_an_edit_hardly_depends_on_what_it_hides(model: Model) -> None:
    model = phases(model, (400,))
    one = canvas(8 * 14, 8 * 14, (slice(40, 60), slice(40, 60)))
    other = EditCanvas(one.box, np.where(one.paint, 0.1, one.view).astype(np.float32), one.paint, one.known)
    first, second = (Edit(model, recipe(), place).view(Steps()) for place in (one, other))
    # Not to the bit: the pins are encoded from the whole window, whose far latents feel a hidden pixel a
    # little.
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_the_canvas_lies_around_the_mask_and_inside_the_raster() -> None:
    raster = Box(col=0, row=0, width=1000, height=1000)

    def around(mask: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        box = canvas_around(Box(col=mask[0], row=mask[1], width=mask[2], height=mask[3]), raster, ENGINE, 8)
        return box.col, box.row, box.width, box.height

    assert around((500, 500, 16, 16)) == (476, 476, 64, 64)
    assert around((0, 990, 10, 10)) == (0, 936, 64, 64)
    # 60 pixels and 16 of context on either side: 12 latents, so two windows of 8 with a stride of 6.
    assert around((500, 0, 60, 16)) == (474, 0, 112, 64)
    # Wider than the raster: all of it, the last latent padded.
    assert around((0, 0, 1000, 1000)) == (0, 0, 1000, 1000)
    raster = Box(col=0, row=0, width=30, height=71)
    small = canvas_around(Box(col=3, row=3, width=4, height=4), raster, ENGINE, 8)
    assert (small.col, small.row, small.width, small.height) == (0, 0, 64, 64)


def test_a_model_that_overflows_fails(model: Model) -> None:
    bias = model._unet.conv_out.bias.data
    kept = bias.clone()
    bias[0] = torch.inf
    try:
        with pytest.raises(JobFailed, match="not finite"):
            Edit(model, recipe(), canvas(64, 64, (slice(0, 8), slice(0, 8)))).view(Steps())
    finally:
        bias.copy_(kept)


def test_a_text_to_image_model_cannot_edit(model: Model) -> None:
    card, model.card = model.card, model.card.model_copy(update={"pipeline": "text2image"})
    try:
        with pytest.raises(ValueError, match="no inpainting model"):
            Edit(model, recipe(), canvas(64, 64, (slice(0, 8), slice(0, 8))))
    finally:
        model.card = card
