"""The benchmark counts what really runs, and runs on a bare machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model_backend.__main__ import main
from model_backend.benchmark import random_weights, stock
from model_backend.benchmark.meter import Memory, Meter, matmul_peak, timed
from model_backend.benchmark.stock import StockPipeline, WindowRequest
from model_backend.engine.diffusion.prompt_field import Prompt, PromptField
from model_backend.engine.diffusion.sampler import Lengths
from model_backend.engine.lattice import Layout
from model_backend.models.card import read_card
from model_backend.schemas import Box
from tests.support.backend.tiny_models import build_tiny

CPU = torch.device("cpu")
BARE = """
import sys

class NotHere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"rasterio", "pyproj", "fastapi", "uvicorn", "tifffile", "pystac"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotHere())
from model_backend.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def inpainting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("models") / "tiny-inpaint", "inpaint")


def measured(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    out = tmp_path / "figures.json"
    options = ("--device", "cpu", "--dtype", "float32", "--rounds", "2", "--out", str(out))
    assert main(["benchmark", *arguments, *options]) == 0
    figures: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return figures


class TestShapes:
    def test_sd2_is_text2earth_to_the_parameter(self) -> None:
        with torch.device("meta"):
            parts = [
                random_weights.unet("sd2"),
                random_weights.unet("sd2", in_channels=9),
                random_weights.autoencoder("sd2"),
                random_weights.text_encoder("sd2"),
            ]
        sizes = [sum(weight.numel() for weight in part.parameters()) for part in parts]
        # Of the published files: 867,961,284 + 83,653,863 + 340,387,840 = 1.29 billion.
        assert sizes == [867_961_284, 867_961_284 + 320 * 9 * 5, 83_653_863, 340_387_840]

    @pytest.mark.parametrize(("latents", "gflop"), [(32, 181.1), (64, 804.3)])
    def test_sd2_costs_what_it_should(self, latents: int, gflop: float) -> None:
        with torch.device("meta"):
            unet = random_weights.unet("sd2")
            x, text = torch.zeros(1, 4, latents, latents), torch.zeros(1, 77, 1024)
            with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
                unet(x, 500.0, text, class_labels=torch.zeros(1))
        assert counter.get_total_flops() / 1e9 == pytest.approx(gflop, abs=0.1)


class TestBenchmark:
    def test_random_weights(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        figures = measured(tmp_path, "--random-weights", "tiny", "--size", "64", "128", "--steps", "6")
        one, more = figures["scenes"]
        assert (one["windows"], more["windows"]) == (1, 9)
        assert one["evaluations"] == 6 * 2
        card = random_weights.card("tiny")
        canvas = Box(col=0, row=0, width=more["canvas"][0], height=more["canvas"][1])
        layout = Layout.of(card.engine, card.vae_factor, canvas)
        windows = layout.windows(Box(col=0, row=0, width=128, height=128), 1)
        survey = PromptField(Prompt("", ""), [], layout, guided=True).survey(*windows[0])
        counted = survey.count(windows, [Lengths(6, 0)], card.engine.batch)
        assert more["evaluations"] == 6 * 2 * 9 == counted.evaluations
        assert more["unet_calls"] == counted.calls
        for scene in figures["scenes"]:
            assert sum(scene["shares"].values()) == pytest.approx(1, abs=1e-4)
            assert min(scene["shares"]["unet"], scene["shares"]["decode"]) > 0
            assert scene["mpx_per_second"] == pytest.approx(
                scene["size"] ** 2 / 1e6 / scene["seconds"], rel=1e-3
            )
            assert len(scene["rounds"]) == 2
            assert scene["write_seconds"] > 0
            assert 0 < scene["write_share"] < 1
        names = [way["name"][:3] for way in figures["stock"]]
        assert names == ["(a)", "(a)", "(b)"]
        equal, official, outpainting = figures["stock"]
        assert (equal["window"]["evaluations"], official["window"]["evaluations"]) == (12, 100)
        assert [scene["windows"] for scene in equal["scenes"]] == [1, 4]
        assert [scene["windows"] for scene in outpainting["scenes"]] == [1, 9]
        assert outpainting["scenes"][1]["evaluations"] == 900
        assert figures["skipped"] is None
        assert figures["profile"]["dtype"] == "float32"
        assert figures["about"]["date"].endswith("+00:00")
        text = capsys.readouterr().out
        assert "we are faster" in text
        assert all(scene["by_cpu_time"] > 0 for way in figures["stock"] for scene in way["scenes"])
        assert "(b) sequential outpainting" in text

    def test_with_and_without_the_guidance_cutoff(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Every scene both ways; the stock pipeline, always guided, beside either."""
        arguments = ("--random-weights", "tiny", "--size", "64", "--steps", "6", "--cutoff", "100")
        figures = measured(tmp_path, *arguments)
        whole, cut = figures["scenes"]
        assert (whole["guidance_cutoff"], whole["guided_steps"], whole["evaluations"]) == (0, 6, 12)
        assert (cut["guidance_cutoff"], cut["guided_steps"], cut["evaluations"]) == (100, 4, 10)
        for way in figures["stock"]:
            assert [scene["our_guidance_cutoff"] for scene in way["scenes"]] == [0, 100]
        said = capsys.readouterr().out
        assert "6 of 6" in said
        assert "4 of 6" in said

    def test_a_folder_that_cannot_outpaint_says_so(
        self, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        figures = measured(tmp_path, "--model", str(tiny), "--size", "64")
        assert [way["name"][:3] for way in figures["stock"]] == ["(a)", "(a)"]
        assert figures["skipped"] == "the model is not an inpainting model"
        assert "was skipped" in capsys.readouterr().out
        assert figures["scenes"][0]["evaluations"] == 12  # the card's steps

    def test_an_inpainting_folder(self, inpainting: Path, tmp_path: Path) -> None:
        figures = measured(tmp_path, "--model", str(inpainting), "--size", "100", "--sampler", "euler")
        assert [way["name"][:3] for way in figures["stock"]] == ["(a)", "(a)", "(b)"]
        assert figures["stock"][2]["window"]["shares"]["encode"] > 0

    def test_no_such_model(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        assert main(["benchmark", "--model", "nothing"]) == 1
        assert "nothing" in capsys.readouterr().err

    def test_a_machine_without_rasterio_and_fastapi(self, tmp_path: Path) -> None:
        arguments = ["benchmark", "--random-weights", "tiny", "--size", "64", "--rounds", "1", "--steps", "2"]
        out = tmp_path / "figures.json"
        done = subprocess.run(
            [sys.executable, "-c", BARE, *arguments, "--device", "cpu", "--out", str(out)],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Mpx/s" in done.stdout
        figures = json.loads(out.read_text(encoding="utf-8"))
        (scene,) = figures["scenes"]
        assert scene["write_share"] is None
        assert [way["name"][:3] for way in figures["stock"]] == ["(a)", "(a)", "(b)"]


class TestStock:
    def test_outpainting_keeps_what_it_made_and_leaves_no_gap(self, inpainting: Path) -> None:
        card = read_card(inpainting)
        pipeline = stock.from_folder(inpainting, card, torch.float32)
        one = StockPipeline(pipeline, card, CPU, WindowRequest("a lake", 17, 4.0))
        size = 110
        scenes = [scene.copy() for scene in one.outpaint("euler", 1, size)]
        assert len(scenes) == one.windows_needed(size, outpainting=True) == 4
        assert (scenes[0][64:] == 128).all()
        for before, after in zip(scenes, scenes[1:], strict=False):
            known = (before != 128).any(-1)
            assert np.array_equal(before[known], after[known])
        assert (scenes[-1] != 128).any(-1).mean() > 0.9
        assert one.windows_needed(65, outpainting=False) == 4

    def test_the_level_reaches_the_conditional_half(self, tiny: Path) -> None:
        card = read_card(tiny)
        pipeline = stock.from_folder(tiny, card, torch.float32)
        seen: list[Any] = []
        one = StockPipeline(pipeline, card, CPU, WindowRequest("a lake", 17, 4.0))
        pipeline.unet.register_forward_pre_hook(
            lambda _unet, _args, named: seen.append(named["class_labels"].tolist()), with_kwargs=True
        )
        one.window("dpm++2m", 2)
        assert seen == [[0.0, 17.0]] * 2


class TestMeter:
    def test_spans_and_modules_are_counted(self) -> None:
        meter = Meter(CPU)
        layer = torch.nn.Linear(2, 2)
        with meter.watching({"layer": layer}):
            layer(torch.zeros(3, 2))
            layer(torch.zeros(5, 2))
        layer(torch.zeros(7, 2))
        assert (meter.spent("layer").calls, meter.spent("layer").samples) == (2, 8)
        with meter.span("sum", 4):
            torch.zeros(10).sum()
        assert meter.spent("sum").seconds > 0
        assert meter.spent("nothing").calls == 0

    def test_the_machine(self) -> None:
        memory = Memory(CPU)
        clock = timed(CPU, lambda: torch.zeros(2**25).add_(1).sum())
        assert clock.cpu_seconds > 0
        peak = memory.peak()
        assert peak is None or peak > 2**27
        assert matmul_peak(CPU, torch.float32)["tflops"] > 0
