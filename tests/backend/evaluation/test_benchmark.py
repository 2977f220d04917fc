"""The benchmark counts what really runs, runs on a bare machine, and reports on scenes know their lattice."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model_backend.__main__ import main
from model_backend.benchmark import random_weights, stock
from model_backend.benchmark.meter import Memory, Meter, matmul_peak, timed
from model_backend.benchmark.stock import StockPipeline, WindowRequest
from model_backend.engine.diffusion.prompt_field import Prompt, PromptField
from model_backend.engine.diffusion.sampler import Lengths
from model_backend.engine.lattice import Layout
from model_backend.engine.progress import SilentListener
from model_backend.engine.scene import Scene
from model_backend.evaluation import lattice_lines
from model_backend.evaluation.metrics.lines import AXES, Lines, seam_ratio
from model_backend.models.card import EngineParameters, read_card
from model_backend.raster.files.provenance import Provenance
from model_backend.schemas import Box
from model_backend.settings import Settings
from tests.support.backend.planning import planned
from tests.support.backend.scene_files import write_pixels
from tests.support.backend.tiny_models import build_tiny

CPU = torch.device("cpu")
SCENE = Path(__file__).parents[3] / "resources" / "demo" / "scene.tif"
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


class TestPlace:
    def test_lines_lie_where_the_engine_puts_windows(self) -> None:
        engine = EngineParameters(
            window=8, stride=6, decode_window=26, decode_core=16, decode_halo=5, decode_fade=2
        )
        canvas = Box(col=-40, row=24, width=(8 + 6 * 9) * 8, height=(8 + 6 * 4) * 8)
        layout = Layout.of(engine, 8, canvas)
        corner = (50, 7)  # of a picture inside of the canvas
        place = lattice_lines.LatticePosition(engine, 8, corner)
        size = (150, 300)
        found = {(name, part, axis): lines for name, part, axis, lines in place.lines(size)}
        for axis, lattice, tiles, length, origin in (
            ("rows", layout.rows, layout.tile_rows, size[0], corner[0] + canvas.row),
            ("cols", layout.cols, layout.tile_cols, size[1], corner[1] + canvas.col),
        ):
            for name, one, unit in (("windows", lattice, 8), ("decode", tiles, 1)):
                assert one.pieces is not None
                assert one.bounds is not None
                # Cells of a tile begin with its halo; pieces are numbered from the canvas's edge, which is
                # no line.
                starts = [
                    one.bounds.start * unit + piece * one.stride * unit for piece in range(1, one.pieces)
                ]
                if name == "windows":
                    assert starts == [one.cells(piece).start * unit for piece in range(1, one.pieces)]
                for part, shift in (("begin", 0), ("middle", one.ramp * unit // 2), ("end", one.ramp * unit)):
                    lines = set((found[name, part, axis].within(length) + origin - shift).tolist())
                    inside = {line for line in lines if starts[0] <= line <= starts[-1]}
                    assert inside == {start for start in starts if origin < start + shift < origin + length}
                    assert inside

    def test_one_decode_window_has_no_tiles(self) -> None:
        lines = list(lattice_lines.LatticePosition(EngineParameters(), 8).lines((800, 832)))
        assert {name for name, *_ in lines} == {"windows"}
        assert lines[0] == ("windows", "begin", "rows", Lines(192, 0))


class TestFusion:
    def test_windows_of_a_scene_meet_without_a_seam_and_windows_made_alone_do_not(self) -> None:
        model, _ = random_weights.build("tiny", CPU, torch.float32)
        side, count = 64, 5
        whole = Box(col=0, row=0, width=side + 6 * 8 * count, height=side + 6 * 8 * count)

        def pixels(box: Box, seed: int) -> NDArray[np.uint8]:
            recipe = model.card.recipe("a lake", 17, seed, box).model_copy(update={"steps": 8})
            return Scene(model, recipe).pixels(box, SilentListener())

        scene = pixels(whole, 1)
        alone = np.block(
            [
                [
                    pixels(Box(col=side * j, row=side * i, width=side, height=side), 9 * i + j)
                    for j in range(count)
                ]
                for i in range(count)
            ]
        )
        for axis in AXES:
            assert seam_ratio(alone, axis, Lines(side), 8).z > 3
            for offset in (0, 8, 16):
                assert abs(seam_ratio(scene, axis, Lines(48, offset), 8).z) < 3


class TestReport:
    def test_a_scene_of_ours_knows_its_lattice(self, tiny: Path, tmp_path: Path) -> None:
        settings = Settings(data_dir=tmp_path, model=str(tiny))
        extent = {"bbox": [500003, 5200001, 500203, 5200151], "crs": "EPSG:32632"}
        inputs = {"prompt": "a lake", "extent": extent, "gsd": 1.0, "seed": 1}
        plan = planned("generate", inputs, settings)
        grid, canvas = plan.recipe.grid, plan.recipe.canvas
        assert isinstance(canvas, Box)
        made = Provenance("Tiny", "none", "", "profile", False, datetime(2026, 1, 2, tzinfo=UTC))
        pixels = np.random.default_rng(0).integers(0, 256, (3, grid.height, grid.width), np.uint8)
        write_pixels(tmp_path / "scene.tif", pixels, plan, plan.recipe, made)
        out = tmp_path / "report.json"
        assert main(["metrics", str(tmp_path / "scene.tif"), "--card", str(tiny), "--out", str(out)]) == 0
        report = json.loads(out.read_text(encoding="utf-8"))
        assert report["lattice"]["origin"] == [grid.row - canvas.row, grid.col - canvas.col]
        assert report["lattice"]["origin"] != [0, 0]
        assert report["lattice"]["engine"]["stride"] == 6
        assert report["summary"]["beyond_z"] <= 1

    def test_real_land_is_the_null(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "report.json"
        lattice = ("--window", "16", "--stride", "12", "--factor", "4")
        assert main(["metrics", str(SCENE), *lattice, "--singles", str(SCENE), "--out", str(out)]) == 0
        report = json.loads(out.read_text(encoding="utf-8"))
        assert report["summary"]["comparisons"] == 36
        assert report["summary"]["beyond_z"] == 0
        assert report["summary"]["outside_band"] <= 6
        assert report["contrast"]["std"] == pytest.approx(1)
        text = capsys.readouterr().out
        assert "scene.tif: 448 x 384 pixels" in text
        assert "repetition" in text

    def test_a_picture_with_seams(self, tmp_path: Path) -> None:
        with Image.open(SCENE) as picture:
            image = np.asarray(picture)[..., :3].copy()
        for row in range(0, 384, 48):
            for col in range(0, 448, 48):
                tile = image[row : row + 48, col : col + 48]
                image[row : row + 48, col : col + 48] = tile[::-1, ::-1]
        Image.fromarray(image).save(tmp_path / "turned.png")
        out = tmp_path / "report.json"
        lattice = ("--window", "16", "--stride", "12", "--factor", "4", "--out", str(out))
        assert main(["metrics", str(tmp_path / "turned.png"), *lattice]) == 0
        rows = json.loads(out.read_text(encoding="utf-8"))["lattices"]
        windows = {row["part"]: row["seam"] for row in rows if row["lattice"] == "windows"}
        assert windows["begin"]["z"] > 3
        assert not windows["begin"]["passed"]
        assert windows["middle"]["z"] < 3

    def test_refusals_are_sentences(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["metrics", str(SCENE)]) == 1
        assert "--card" in capsys.readouterr().err
        assert main(["metrics", str(tmp_path / "none.png"), "--stride", "24"]) == 1
        assert "none.png" in capsys.readouterr().err
