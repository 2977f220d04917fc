"""A stage of a model that computes numbers which are not finite ends its job, by name; nothing is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.backend.service import NO_MODEL, Backend, finished, submit
from tests.support.pixel_table import MASK, raster

#: Stage -> the file of its weights, and the last tensor of it.
STAGES = {
    "text encoder": ("text_encoder/model.safetensors", "final_layer_norm.bias"),
    "UNet": ("unet/diffusion_pytorch_model.safetensors", "conv_out.bias"),
    "decoder": ("vae/diffusion_pytorch_model.safetensors", "decoder.conv_out.bias"),
    "encoder": ("vae/diffusion_pytorch_model.safetensors", "encoder.layers.8.bias"),
}


def damaged(model: Path, data_dir: Path, stage: str) -> str:
    """Install a model that overflows in a stage; return its id."""
    name, tensor = STAGES[stage]
    folder = Path(shutil.copytree(model, data_dir / "models" / stage.replace(" ", "-")))
    weights = load_file(folder / name)
    weights[tensor] = torch.full_like(weights[tensor], torch.inf)
    save_file(weights, folder / name, metadata={"format": "pt"})
    return folder.name


@pytest.fixture(scope="module")
def backend(tiny: Path, inpaint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend with a model for each stage."""
    data_dir = tmp_path_factory.mktemp("damaged") / "data"
    for stage in STAGES:
        damaged(inpaint_folder if stage == "encoder" else tiny, data_dir, stage)
    one = Backend(data_dir, *NO_MODEL).start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def client(backend: Backend) -> Iterator[httpx.Client]:
    with backend.client() as one:
        yield one


@pytest.mark.parametrize("stage", STAGES)
def test_the_stage_is_named_and_nothing_is_written(
    backend: Backend, client: httpx.Client, scene: dict[str, Any], stage: str
) -> None:
    model = {"model": stage.replace(" ", "-"), "steps": 2}
    if stage == "encoder":
        edit = {"prompt": "a lake", "seed": 1, "source": raster("uint8", 3), "mask": MASK}
        job = submit(client, "edit", edit | model)
    else:
        job = submit(client, "generate", scene | model)
    info = finished(client, job)
    assert info["status"] == "failed"
    assert f"The {stage} computed numbers that are not finite, in " in info["message"]
    assert "Another device, or a full-precision copy of the model, may help." in info["message"]
    assert client.get(f"/jobs/{job}/results").status_code >= 400
    assert not list((backend.data_dir / "jobs" / job).rglob("*.tif"))
