"""Where memory runs short: less at once, the same scene, and a sentence where nothing helps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from model_backend.engine.lattice import canvas_box
from model_backend.engine.scene import Scene
from model_backend.errors import ModelUnavailable
from model_backend.models.loader import Model
from tests.support.backend.recipes import recipe_of
from tests.support.backend.scenes import SHORT, box, pixels
from tests.support.backend.tiny_models import ProgressRecorder, load_tiny


def short_of_memory(model: Model, samples: int, times: int) -> None:
    """Let the UNet run out of memory with more than ``samples`` at once, so many times."""
    left = [times]

    def refuse(_unet, arguments):
        if len(arguments[0]) > samples and left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")

    model._unet.register_forward_pre_hook(refuse)


def test_where_memory_runs_short_calls_are_halved_and_the_scene_says_so(tiny: Path):
    canvas = canvas_box(box(0, 0, 150, 100), SHORT, 8)
    model = load_tiny(tiny, engine=SHORT)
    whole = Scene(model, recipe_of(canvas=canvas))
    expected = whole.pixels(canvas, ProgressRecorder())
    short_of_memory(model, 3, times=10**9)
    scene = Scene(model, recipe_of(canvas=canvas))
    assert not scene.profile.approximate
    made = scene.pixels(canvas, ProgressRecorder())
    assert np.abs(made.astype(int) - expected).max() <= 1
    assert scene.profile == dataclasses.replace(whole.profile, approximate=True)


def test_memory_that_can_be_freed_changes_nothing(tiny: Path):
    canvas = canvas_box(box(0, 0, 150, 100), SHORT, 8)
    model = load_tiny(tiny, engine=SHORT)
    expected = pixels(model, canvas, canvas=canvas)
    short_of_memory(model, 3, times=1)
    scene = Scene(model, recipe_of(canvas=canvas))
    np.testing.assert_array_equal(scene.pixels(canvas, ProgressRecorder()), expected)
    assert not scene.profile.approximate


def test_a_device_too_small_for_one_sample_is_an_error(tiny: Path):
    canvas = box(0, 0, 64, 64)
    model = load_tiny(tiny, engine=SHORT)
    scene = Scene(model, recipe_of(canvas=canvas))
    short_of_memory(model, 0, times=10**9)
    with pytest.raises(torch.OutOfMemoryError):
        scene.pixels(canvas, ProgressRecorder())


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let UNets run out of memory with more than so many samples at once, from the first on."""

    def limit(samples: int) -> None:
        forward = UNet2DConditionModel.forward

        def refuse(self: Any, sample: torch.Tensor, *rest: Any, **named: Any) -> Any:
            if len(sample) > samples:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(self, sample, *rest, **named)

        monkeypatch.setattr(UNet2DConditionModel, "forward", refuse)

    return limit


def test_a_device_with_little_memory_gets_a_smaller_batch(tiny: Path, scarce: Callable[[int], None]):
    canvas = canvas_box(box(0, 0, 150, 100), SHORT, 8)
    engine = SHORT.model_copy(update={"batch": 4})
    ample = load_tiny(tiny, engine=engine)
    expected = pixels(ample, canvas, canvas=canvas)
    scarce(5)
    model = load_tiny(tiny, engine=engine)
    assert (ample.profile.batch, model.profile.batch) == (4, 2), "guidance doubles what goes into a call"
    scene = Scene(model, recipe_of(canvas=canvas))
    made = scene.pixels(canvas, ProgressRecorder())
    assert not scene.profile.approximate, "a profile of its own, which is repeatable"
    assert np.abs(made.astype(int) - expected).max() <= 1


def test_a_device_with_too_little_memory_for_a_model_says_so(tiny: Path, scarce: Callable[[int], None]):
    scarce(0)
    with pytest.raises(ModelUnavailable, match="too little free memory"):
        load_tiny(tiny)


@pytest.mark.parametrize("part", ["encode", "decode"])
def test_an_autoencoder_that_runs_out_of_memory_is_asked_again(
    tiny: Path, part: str, monkeypatch: pytest.MonkeyPatch
):
    model = load_tiny(tiny)
    freed: list[bool] = []
    monkeypatch.setattr(model, "free", lambda: freed.append(True))
    call, side = getattr(model._vae, part), 8 * model.card.vae_factor
    given = torch.zeros(1, 3, side, side) if part == "encode" else torch.zeros(1, 4, 8, 8)
    expected = getattr(model, part)(given)

    def fails_once(*arguments: Any, **named: Any) -> Any:
        if not freed:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return call(*arguments, **named)

    monkeypatch.setattr(model._vae, part, fails_once)
    assert torch.equal(getattr(model, part)(given), expected)
    assert freed == [True]
