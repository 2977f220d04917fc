"""A scene sixteen times as long as wide takes the memory of a short one: worker, blocks, file and all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import rasterio

from model_backend.models.card import EngineParameters
from tests.support.backend.tiny_models import build_tiny, tiny_card

# Windows of 256 pixels, blocks of 2,048 x 4,096.
ENGINE = EngineParameters(
    window=32,
    stride=24,
    boundaries=(500,),
    decode_window=68,
    decode_core=64,
    decode_halo=2,
    decode_fade=2,
    batch=7,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of real networks that are as small as they go: 67 million pixels are many."""
    import torch
    from diffusers import AutoencoderTiny, UNet2DConditionModel

    folder = build_tiny(
        tmp_path_factory.mktemp("models") / "least", vae="tiny", level=False, card=tiny_card(level=False)
    )
    torch.manual_seed(0)
    UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(8,),
        down_block_types=("DownBlock2D",),
        mid_block_type=None,
        up_block_types=("UpBlock2D",),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=32,
    ).save_pretrained(folder / "unet")
    channels = (4, 4, 4, 4)
    AutoencoderTiny(
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    ).save_pretrained(folder / "vae")
    tiny_card(level=False, engine=ENGINE).write(folder)
    return folder


PROGRAM = """
import json, resource, sys
from pathlib import Path
from model_backend.jobs.pulse import Pulse
from model_backend.jobs.worker import Worker
from model_backend.settings import Settings
from tests.support.backend.submissions import submission

folder, model, length = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
folder.mkdir()
settings = Settings(data_dir=folder, model=model, device="cpu", max_pixels=10**8)
worker = Worker("w", "cpu", settings, Pulse())
box = [500_000, 5_200_000, 500_000 + 2048, 5_200_000 + length]
inputs = {
    "prompt": "", "extent": {"bbox": box, "crs": "EPSG:32632"}, "gsd": 1, "seed": 1, "steps": 2,
    "sampler": "euler", "guidance": 1,
}
queued = submission(settings, "generate", inputs)
job = worker._desk.store.queue.submit(queued, max_jobs=1, free=10**12)
last, claims = None, 0
while last := worker._desk.store.claims.take("w", 60, 3, last):
    worker.work_on(last)
    claims += 1
done = worker._desk.store.queue.job("ada", job.id)
print(json.dumps({
    "status": done.status, "message": done.message, "claims": claims, "reserved": queued.work.disk,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_memory_depends_on_the_block_alone(model: Path, tmp_path: Path) -> None:
    peaks = []
    for length, blocks in ((4096, 1), (32_768, 8)):
        folder = tmp_path / str(length)
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder), str(model), str(length)],
            capture_output=True,
            text=True,
            check=True,
        )
        told = json.loads(run.stdout.splitlines()[-1])
        assert told["status"] == "successful", told["message"] + run.stderr[-2000:]
        assert told["claims"] == blocks + 1
        peaks.append(told["peak"])
        (path,) = folder.rglob("image.tif")
        with rasterio.open(path) as file:
            assert (file.width, file.height) == (2048, length)
            assert file.overviews(1)[-1] >= length // 1024
        path.unlink()
    print(f"peak memory: {peaks[0]:.0f} MB and {peaks[1]:.0f} MB")
    assert peaks[1] <= 1.1 * peaks[0]
