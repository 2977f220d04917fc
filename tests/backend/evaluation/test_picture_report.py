"""The command `metrics`: what it reports of scenes of ours, of real land, and of pictures with seams."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_backend.__main__ import main
from model_backend.raster.files.provenance import Provenance
from model_backend.schemas import Box
from model_backend.settings import Settings
from tests.support.backend.planning import planned
from tests.support.backend.scene_files import write_pixels

SCENE = Path(__file__).parents[3] / "resources" / "demo" / "scene.tif"


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
