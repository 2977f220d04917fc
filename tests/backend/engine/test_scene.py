"""Scenes on real (tiny, random) diffusers networks: parity with stock pipelines, and their promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
)
from diffusers.image_processor import VaeImageProcessor

from model_backend.engine.cost import count
from model_backend.engine.diffusion.decode import to_bytes
from model_backend.engine.diffusion.leveled_noise import leveled_noise
from model_backend.engine.diffusion.noise import Noise
from model_backend.engine.lattice import canvas_box
from model_backend.engine.scene import Scene
from model_backend.errors import Cancelled, JobFailed
from model_backend.models.card import read_card
from model_backend.models.loader import Model, load
from model_backend.schemas import Box, Recipe
from tests.support.backend.recipes import FRAME, recipe_of
from tests.support.backend.scenes import SHORT, box, counted, pixels
from tests.support.backend.tiny_models import ProgressRecorder, build_tiny, load_tiny

pytestmark = pytest.mark.fast


@pytest.fixture(scope="module")
def model(tiny: Path) -> Model:
    return load_tiny(tiny, engine=SHORT)


def crop(image: np.ndarray, of: Box, part: Box) -> np.ndarray:
    top, left = part.row - of.row, part.col - of.col
    return image[:, top : top + part.height, left : left + part.width]


def with_level(pipeline: Any, level: int | None) -> None:
    """Give a stock pipeline's UNet the level, as the authors' pipelines do: 0 in the unconditional half."""
    if level is None:
        return

    def hook(_module: Any, args: Any, kwargs: Any) -> Any:
        half = len(args[0]) // 2
        kwargs["class_labels"] = torch.tensor([0.0] * half + [float(level)] * half)
        return args, kwargs

    pipeline.unet.register_forward_pre_hook(hook, with_kwargs=True)


def stock(pipeline: Any, scheduler: Any, recipe: Recipe, **inputs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Run a stock pipeline from our noise; return latents (c, h, w) and image (3, h, w) in [0, 1]."""
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = scheduler
    with_level(pipeline, recipe.level)
    assert recipe.canvas_box is not None
    top, left = recipe.canvas_box.row // 8, recipe.canvas_box.col // 8
    start = leveled_noise(Noise.of(recipe), range(top, top + 8), range(left, left + 8))
    latents = pipeline(
        recipe.prompt,
        negative_prompt=recipe.negative_prompt,
        guidance_scale=recipe.guidance,
        num_inference_steps=recipe.steps,
        height=64,
        width=64,
        latents=torch.from_numpy(start)[None],
        output_type="latent",
        **inputs,
    ).images
    with torch.inference_mode():
        image = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    return latents[0].numpy(), VaeImageProcessor().postprocess(image, output_type="np")[0].transpose(2, 0, 1)


def assert_same_picture(model: Model, recipe: Recipe, latents: np.ndarray, image: np.ndarray) -> None:
    scene = Scene(model, recipe)
    ours = scene.pixels(recipe.grid, ProgressRecorder())
    final = scene._field.read(scene._layout.rows.bounds, scene._layout.cols.bounds)
    np.testing.assert_allclose(final, latents, atol=1e-4, rtol=1e-4)
    decoded = model.decode(torch.from_numpy(final)[None])[0].numpy() / 2 + 0.5
    np.testing.assert_allclose(decoded, image, atol=1e-4)
    assert np.abs(ours / 255 - image).max() < 0.5 / 255 + 1e-4


@pytest.mark.parametrize("level", [True, False])
def test_one_window_equals_the_stock_pipeline(level: bool, tmp_path: Path):
    """Text2Earth's shape and plain Stable Diffusion 2, Euler on the folder's grid, four phases."""
    folder = build_tiny(tmp_path / "model", level=level)
    model = load_tiny(folder)
    recipe = recipe_of(canvas=box(-61, 1003, 64, 64), sampler="euler", steps=8, level=17 if level else None)
    scheduler = EulerDiscreteScheduler.from_pretrained(folder, subfolder="scheduler")
    pipeline = StableDiffusionPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    assert_same_picture(model, recipe, *stock(pipeline, scheduler, recipe))


def test_one_window_equals_the_stock_pipeline_with_dpm(tiny: Path):
    """In one phase and guided throughout, as diffusers has no phases and no cut-off."""
    model = load_tiny(tiny, engine=SHORT.model_copy(update={"boundaries": (), "guidance_cutoff": 0}))
    recipe = recipe_of(canvas=box(8, 16, 64, 64), steps=6)
    scheduler = DPMSolverMultistepScheduler.from_pretrained(
        tiny, subfolder="scheduler", use_karras_sigmas=True
    )
    pipeline = StableDiffusionPipeline.from_pretrained(tiny, low_cpu_mem_usage=False)
    assert_same_picture(model, recipe, *stock(pipeline, scheduler, recipe))


def test_an_inpainting_model_generates_like_its_stock_pipeline(tmp_path: Path):
    """Nine channels, all masked. AutoencoderTiny, because the stock pipeline samples a KL posterior."""
    folder = build_tiny(tmp_path / "model", "inpaint", vae="tiny")
    model = load_tiny(folder)
    recipe = recipe_of(canvas=box(0, 0, 64, 64), sampler="euler", steps=6)
    pipeline = StableDiffusionInpaintPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    scheduler = EulerDiscreteScheduler.from_pretrained(folder, subfolder="scheduler")
    inputs = {"image": torch.zeros(1, 3, 64, 64), "mask_image": torch.ones(1, 1, 64, 64), "strength": 1.0}
    assert_same_picture(model, recipe, *stock(pipeline, scheduler, recipe, **inputs))


@pytest.mark.slow
def test_overlapping_requests_on_the_ground_agree_in_every_byte(model: Model):
    """Different extents, offsets of no multiple, across the origin into negative coordinates."""
    first, second = box(-45, -30, 90, 60), box(-13, -51, 70, 65)
    common = box(-13, -30, 57, 44)
    one, other = crop(pixels(model, first), first, common), crop(pixels(model, second), second, common)
    np.testing.assert_array_equal(one, other)
    assert len(np.unique(one)) > 100


@pytest.mark.slow
def test_a_latent_may_be_four_pixels(tmp_path: Path):
    model = load_tiny(build_tiny(tmp_path / "model", factor=4), engine=SHORT)
    first, second = box(-31, -9, 40, 20), box(-11, -3, 25, 41)
    common = box(-11, -3, 20, 14)
    one, other = crop(pixels(model, first), first, common), crop(pixels(model, second), second, common)
    np.testing.assert_array_equal(one, other)
    canvas = canvas_box(first, SHORT, 4)
    assert (canvas.width, canvas.height) == (56, 32)
    assert pixels(model, canvas, canvas=canvas).shape == (3, 32, 56)


@pytest.mark.parametrize("whole", [0, 40])
def test_any_reads_of_a_canvas_agree_in_every_byte(tiny: Path, whole: int):
    """In several decode tiles, and in a larger one."""
    model = load_tiny(tiny, engine=SHORT.model_copy(update={"decode_whole": whole}))
    canvas = canvas_box(box(-101, 55, 150, 100), SHORT, 8)
    assert 14 * 8 < canvas.width < 40 * 8
    whole = pixels(model, canvas, canvas=canvas)
    shared = Scene(model, recipe_of(canvas=canvas))
    for part in (box(-60, 60, 30, 20), box(canvas.col, canvas.row, 1, 1), box(-90, 80, 100, 40)):
        expected = crop(whole, canvas, part)
        np.testing.assert_array_equal(pixels(model, part, canvas=canvas), expected)
        np.testing.assert_array_equal(shared.pixels(part, ProgressRecorder()), expected)


def test_what_the_recipe_says_matters_and_nothing_else(model: Model):
    canvas = box(0, 0, 64, 64)
    base = pixels(model, canvas, canvas=canvas)
    np.testing.assert_array_equal(base, pixels(model, canvas, canvas=canvas))
    for change in (
        {"level": 12},
        {"level": None},
        {"seed": 12},
        {"prompt": "the desert"},
        {"negative_prompt": ""},
        {"guidance": 2.0},
        {"guidance": 1.0},
        {"steps": 5},
        {"sampler": "euler"},
        {"frame": FRAME.model_copy(update={"anchor": [0, 1]})},
    ):
        other = pixels(model, canvas, canvas=canvas, **change)
        assert (base != other).mean() > 0.3, change


@pytest.mark.parametrize("guidance", [4.0, 1.0])
@pytest.mark.parametrize("ground", [True, False])
def test_the_planner_counts_what_is_run(model: Model, ground: bool, guidance: float):
    grid = box(-37, 21, 100, 60)
    canvas = None if ground else canvas_box(grid, SHORT, 8)
    recipe = recipe_of(canvas, grid=grid, level=15, guidance=guidance)
    scene, watch = Scene(model, recipe), ProgressRecorder()
    promised = count(recipe, model.card, model.schedule)
    with counted(model) as calls:
        scene.pixels(grid, watch)
    assert (promised.calls, promised.evaluations) == (len(calls), sum(calls))
    batch = scene.profile.batch
    assert set(calls) == ({2 * batch, batch} if guidance > 1 else {batch})  # of guided and of plain steps
    total = promised.evaluations
    assert watch.steps[: len(calls)] == [(sum(calls[: i + 1]), total) for i in range(len(calls))]
    assert set(watch.steps[len(calls) :]) == {(total, total)}  # decoding
    missing = Scene(model, recipe)._field.missing(*scene._layout.latents(grid))
    assert promised.windows == sum(map(len, missing))
    first, last = map(len, missing)  # of two steps each: guided both, or guided and plain
    assert promised.needed == (first * 4 + last * 3 if guidance > 1 else 2 * (first + last))
    assert promised.steps == 2 * (first + last)
    with counted(model) as calls:
        scene.pixels(grid, ProgressRecorder())
    assert calls == []  # kept


def test_cancel_stops_within_one_call_and_the_scene_survives(model: Model):
    canvas = canvas_box(box(0, 0, 150, 100), SHORT, 8)
    scene = Scene(model, recipe_of(canvas=canvas))
    with counted(model) as calls, pytest.raises(Cancelled):
        scene.pixels(canvas, ProgressRecorder(stop_at=7, error=Cancelled()))
    assert len(calls) == 7
    np.testing.assert_array_equal(
        scene.pixels(canvas, ProgressRecorder()), pixels(model, canvas, canvas=canvas)
    )


def test_previews_cover_the_box_and_become_the_picture(model: Model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("model_backend.engine.diffusion.window_progress.PREVIEW_SECONDS", 0.0)
    canvas = canvas_box(box(0, 0, 150, 100), SHORT, 8)
    part, watch = box(11, 3, 101, 70), ProgressRecorder()
    scene = Scene(model, recipe_of(canvas=canvas))
    scene.pixels(part, watch)
    assert len(watch.previews) == sum(part < total for part, total in watch.steps) + 1  # one per call
    assert {preview.shape for preview in watch.previews} == {(9, 13, 3)}
    assert all(preview.dtype == np.uint8 for preview in watch.previews)
    # The last one shows the clean latents of the last phase where its windows do not overlap any more.
    rows, cols = scene._layout.latents(part)
    matrix = np.asarray(model.card.latent_rgb, np.float32)
    field = to_bytes(np.tensordot(matrix, scene._field.read(rows, cols), (0, 0)))
    place_rows, place_cols = scene._layout.place(part)
    at_rows = ((place_rows.start + (np.arange(9) + 0.5) * 70 / 9) // 8).astype(int) - rows.start
    at_cols = ((place_cols.start + (np.arange(13) + 0.5) * 101 / 13) // 8).astype(int) - cols.start
    expected = field[:, at_rows[:, None], at_cols].transpose(1, 2, 0)
    assert np.median(np.abs(watch.previews[-1].astype(int) - expected)) <= 1


def test_previews_do_not_come_at_every_step(model: Model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("model_backend.engine.diffusion.window_progress.PREVIEW_SECONDS", 3600.0)
    canvas = canvas_box(box(0, 0, 150, 100), SHORT, 8)
    watch = ProgressRecorder()
    Scene(model, recipe_of(canvas=canvas)).pixels(canvas, watch)
    assert len(watch.previews) == 1


def test_a_model_that_overflows_fails_instead_of_painting_black(tiny: Path):
    model = load_tiny(tiny, engine=SHORT)
    model._unet.conv_out.bias.data[0] = torch.inf
    canvas = box(0, 0, 64, 64)
    with pytest.raises(JobFailed, match="not finite, in float32 on"):
        pixels(model, canvas, canvas=canvas)


def test_a_canvas_of_another_model_is_refused(model: Model):
    with pytest.raises(ValueError, match="whole windows"):
        Scene(model, recipe_of(canvas=box(0, 0, 65, 64)))


@pytest.mark.parametrize("vae", ["kl", "tiny"])
@pytest.mark.slow
def test_bfloat16_agrees_with_itself(vae: Any, tmp_path: Path):
    """The number format of fast processors: other bits than float32, but as repeatable."""
    folder = build_tiny(tmp_path / "model", vae=vae)
    model = load(folder, read_card(folder).model_copy(update={"engine": SHORT}), "cpu", 1, torch.bfloat16)
    assert model.profile.dtype == "bfloat16"
    first, second = box(-20, -20, 40, 40), box(-8, -30, 40, 40)
    common = box(-8, -20, 28, 30)
    one, other = (crop(pixels(model, b, steps=2), b, common) for b in (first, second))
    if not model.profile.approximate:
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_runs_where_rasterio_and_fastapi_are_missing(tiny: Path):
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['rasterio', 'fastapi', 'uvicorn', 'pyproj', 'pystac']))\n"
        "from pathlib import Path\n"
        "from model_backend.engine.scene import Scene\n"
        "from model_backend.schemas import Box\n"
        "from tests.support.backend.recipes import recipe_of\n"
        "from tests.support.backend.tiny_models import ProgressRecorder, load_tiny\n"
        f"model = load_tiny(Path({str(tiny)!r}))\n"
        "box = Box(col=0, row=0, width=64, height=64)\n"
        "scene = Scene(model, recipe_of(box, steps=2))\n"
        "assert scene.pixels(box, ProgressRecorder()).shape == (3, 64, 64)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
