"""Numbers about sets of images, and evaluations of a model that was trained for a few steps."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from model_backend.evaluation import judge, model_quality, parameter_sweep, scene_seams
from model_backend.evaluation.chip_images import central_windows
from model_backend.evaluation.metrics.image_sets import (
    frechet_distance,
    nearest_distances,
    outline_gradient,
    shrunken_windows,
)
from model_backend.training import export
from model_backend.training.data_sets import land_cover
from model_backend.training.image_tensors import to_tensor

pytestmark = pytest.mark.usefixtures("one_thread")


def test_frechet_distance_of_gaussians():
    rng = torch.Generator().manual_seed(0)
    some = torch.randn(4000, 4, generator=rng)
    assert frechet_distance(some, some) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(some, some + 2) == pytest.approx(16, rel=1e-3)
    assert frechet_distance(some, 3 * some) == pytest.approx(4 * 4, rel=0.05)


def test_a_turned_copy_of_a_training_window_is_found():
    pixels = np.random.default_rng(0).integers(0, 255, (3, 80, 80, 3), dtype=np.uint8)
    library = shrunken_windows(pixels, 8)
    assert len(library) == 3 * 9
    copy = land_cover.turn(pixels[1, 8:72, 16:80], 5).transpose(2, 0, 1)[None]
    found = nearest_distances(to_tensor(copy, torch.device("cpu")), library)
    assert found[0] == pytest.approx(0, abs=0.1)
    other = torch.rand(1, 3, 64, 64) * 2 - 1
    assert nearest_distances(other, library)[0] > 1


def test_outline_gradient_sees_a_seam():
    image = np.zeros((64, 64, 3), np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 1
    image[mask == 1] = 40
    assert outline_gradient(image, mask) == 40
    assert outline_gradient(image, np.roll(mask, 5, 1)) < 20


def test_an_evaluation_writes_every_figure_beside_its_ceiling(chips, trained, tmp_path):
    export.write(trained, tmp_path / "model", chips)
    amounts = model_quality.Amounts(fine=2, coarse=2, levels=2, masks=4, judge_steps=12, student_steps=3)
    figures = model_quality.run(tmp_path / "model", chips, tmp_path, tmp_path / "out", amounts)
    assert json.loads((tmp_path / "out" / "text2earth-mini.json").read_text()) == json.loads(
        json.dumps(figures)
    )
    for level in ("level 14", "level 18"):
        assert 0 <= figures[level]["prompt accuracy %"] <= 100
        assert "ceiling: held-out chips %" in figures[level]
        assert figures[level]["Frechet distance"] >= 0
    assert figures["inpainting"]["masks"] == 4
    assert {path.name for path in (tmp_path / "out").glob("*.*g")} == {
        "text2earth-mini-level14.jpg",
        "text2earth-mini-level18.jpg",
        "text2earth-mini-inpainting.png",
    }


def test_the_table_of_lattices_tells_ghosts_from_agreement(chips, trained, tmp_path, monkeypatch):
    export.write(trained, tmp_path / "model", chips)
    monkeypatch.setattr(
        parameter_sweep,
        "SETTINGS",
        (parameter_sweep.Setting((), 12, steps=2), parameter_sweep.Setting((480,), 12, steps=4)),
    )
    monkeypatch.setattr(parameter_sweep, "_ALONE", 2)
    table = parameter_sweep.run(tmp_path / "model", tmp_path / "table.json", size=112)
    assert [len(row["disagreement (noise left)"]) for row in table] == [1, 2]
    assert all(row["disagreement (noise left)"][-1][1] == 0 for row in table)
    assert all(row["contrast"] > 0 for row in table)
    assert all(row["seam gradient ratio"] > 0 for row in table)


def test_every_lattice_of_a_scene_is_looked_at(chips, trained, tmp_path, monkeypatch):
    export.write(trained, tmp_path / "model", chips)
    monkeypatch.setattr(scene_seams, "_OTHERS", 2)
    monkeypatch.setattr(scene_seams, "PROMPTS", scene_seams.PROMPTS[:1])
    (report,) = scene_seams.run(tmp_path / "model", tmp_path, 256)
    assert [row["lattice"] for row in report["rows"]] == ["windows", "decode", "blocks"]
    assert [row["comparisons"] for row in report["rows"]] == [18, 0, 6]  # decoded whole
    gaps = report["disagreement (noise left)"]
    assert [left > 0 for _, left in gaps] == [True, True, False]
    assert all(gap > 0 for gap, _ in gaps)
    assert np.asarray(Image.open(tmp_path / "model-seams-sea.png")).shape == (256, 256, 3)


def test_the_judge_learns_to_tell_colours(chips):
    trained = judge.train(chips, judge.labels_of(chips), judge.JudgeOptions(40, batch=24))
    held = central_windows(chips[14])
    seen = trained.classes_of(held.pixels, 14)
    assert np.mean([a == b for a, b in zip(seen, held.names, strict=True)]) > 0.6
