"""Land by example measured: copies are found, real land is its own null, and the whole report is written."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from model_backend.evaluation.by_example import command, copies, fills, held_out, spectral, telling_apart
from model_backend.evaluation.by_example.fills import Fill
from model_backend.evaluation.by_example.held_out import Photograph, Windows
from model_backend.evaluation.by_example.realism import Amounts
from model_backend.evaluation.by_example.scenes import Maker, cut
from model_backend.evaluation.by_example.sets import SETS, LandSet
from model_backend.evaluation.metrics.image_sets import precision_recall
from model_backend.models.banks.bank import Bank
from tests.support.backend.tiny_bank import build_bank, picture

SIDE = 96


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return Bank.read(build_bank(tmp_path_factory.mktemp("banks")))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables like those of the training data: two classes of chips, and a place in near infrared."""
    folder = tmp_path_factory.mktemp("tables")
    kinds = {"agricultural": "farmland", "forest": "forest"}
    chips = [
        row(f"{label}/{label}{number}.tif", picture(kind, number)) | {"label": label}
        for label, kind in kinds.items()
        for number in range(24)
    ]
    write(folder / "ucmerced_0m50.parquet", chips)
    write(folder / "landscapes.parquet", [row(one["file"], picture("forest", 3)) for one in chips])
    small = [
        row(f"{label}/{number}.jpg", picture(kind, number)[:64, :64]) | {"label": label}
        for label, kind in (("AnnualCrop", "farmland"), ("Forest", "forest"))
        for number in range(60)
    ]
    write(folder / "eurosat_rgb.parquet", small)
    towns = []
    for number, (name, west) in enumerate(
        (("00", 0.0), ("beside", 90.0), ("far", 200.0), ("farther", 500.0))
    ):
        place = {"epsg": 26911, "west": west, "north": 100.0, "gsd_m": 1.0}
        near = {"nir": webp(picture("grassland", number)[..., 1])}
        towns.append(row(f"{name}.tif", picture("grassland", number)) | place | near)
    write(folder / "naip_towns_0m60.parquet", towns)
    return folder


def row(file: str, pixels: np.ndarray) -> dict[str, Any]:
    return {"file": file, "image": webp(pixels)}


def webp(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def identity(height: int, width: int) -> np.ndarray:
    return np.stack(np.indices((height, width)), -1).astype(np.int32)


class TestHeldOut:
    def test_what_the_bank_holds_and_its_ground_are_left_out(self, data: Path, bank: Bank) -> None:
        found = held_out.read(data, "naip_towns_0m60", bank)  # the bank has an image 00
        assert [one.file for one in found] == ["far.tif", "farther.tif"]
        assert found[0].nir is not None
        assert len(held_out.read(data, "naip_towns_0m60", None)) == 4

    def test_thirds_do_not_depend_on_what_else_is_there(self, data: Path) -> None:
        every = held_out.read(data, "ucmerced_0m50", None)
        forests = held_out.read(data, "ucmerced_0m50", None, only=["forest"])
        parts, fewer = held_out.thirds(every), held_out.thirds(forests)
        assert sum(map(len, parts)) == 48
        for part, some in zip(parts, fewer, strict=True):
            assert {one.file for one in some} == {one.file for one in part if one.label == "forest"}

    def test_windows_say_which_image_they_are_from(self) -> None:
        photographs = [Photograph(str(i), np.full((80, 100, 3), i, np.uint8), "x") for i in range(3)]
        found = held_out.windows(photographs, 7, seed=1)
        assert found.pixels.shape == (7, 64, 64, 3)
        assert (found.pixels[:, 0, 0, 0] == found.origins).all()
        both = Windows.joined([found, found])
        assert not set(both.origins[:7]) & set(both.origins[7:])


class TestCopies:
    def test_one_copy_is_one_piece_and_never_repeated(self) -> None:
        sources = identity(30, 40)
        assert (copies.piece_sizes(sources) == np.sqrt(1200)).all()
        assert not copies.repeated(sources).any()

    def test_pieces_that_only_touch_at_corners_are_apart(self) -> None:
        sources = identity(20, 20)
        sources[:10, 10:] += 500
        sources[10:, :10] += 500
        sizes = copies.piece_sizes(sources).reshape(20, 20)
        assert (sizes == 10).all()

    def test_a_second_copy_nearby_is_a_repeat(self) -> None:
        sources = identity(32, 64)
        sources[:, 32:] = sources[:, :32]
        assert copies.repeated(sources).all()
        assert not copies.repeated(sources, near=20).any()
        wide = identity(8, 400)
        wide[:, -8:] = wide[:, :8]
        assert not copies.repeated(wide).any()


class TestTellingApart:
    def windows(self, level: float, seed: int) -> Windows:
        rng = np.random.default_rng(seed)
        pixels = rng.normal(level, 20, (60, 64, 64, 3)).clip(0, 255).astype(np.uint8)
        return Windows(pixels, np.arange(60) // 2, ("land",) * 60)

    @pytest.mark.slow
    def test_sets_that_differ_are_told_apart_and_others_are_not(self) -> None:
        dark, bright, same = self.windows(80, 1), self.windows(170, 2), self.windows(80, 3)
        assert telling_apart.accuracy(dark, bright, 50, 0) > 0.9
        assert telling_apart.accuracy(dark, same, 50, 0) < 0.75

    def test_pattern_alone_has_neither_tone_nor_contrast(self) -> None:
        for level in (80, 170):
            alike = telling_apart.pattern_alone(self.windows(level, 1).pixels)
            assert alike.mean() == pytest.approx(128, abs=1)
            assert alike.std() == pytest.approx(40, abs=3)

    def test_precision_and_recall(self) -> None:
        one = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
        assert precision_recall(one, one) == (1, 1)
        assert precision_recall(one, one + 100) == (0, 0)
        narrow = one[:1] + one / 100
        precision, recall = precision_recall(narrow, one)
        assert precision > 0.9
        assert recall < 0.3


class TestFills:
    def land(self, seed: int, kind: str = "grassland") -> np.ndarray:
        return picture(kind, seed).transpose(2, 0, 1)

    def test_real_land_is_its_own_null(self) -> None:
        land = self.land(1)
        mask = fills.outline(SIDE, 30, np.random.default_rng(0), "blob")
        figures = fills.measure([Fill(land, mask, land, land)] * 2)
        for name in ("border", "tone step", "gradient energy inside"):
            assert figures[f"{name}: filled / unedited"]["ratio"] == 1
        assert figures["masks with another pixel changed"] == 0

    @pytest.mark.parametrize("shape", ["blob", "box", "stroke", "star"])
    def test_outlines_are_as_large_as_asked_for(self, shape: str) -> None:
        mask = fills.outline(SIDE, 40, np.random.default_rng(0), shape)
        across = max(int(mask.any(axis).sum()) for axis in (0, 1))
        assert abs(across - 40) <= 2

    def test_fills_change_the_mask_alone(self) -> None:
        found = list(fills.made([self.land(1), self.land(2)], 2, 0))
        figures = fills.measure(found)
        assert figures["masks with another pixel changed"] == 0
        assert all((one.filled != one.land)[:, one.mask].any() for one in found)

    def test_opencv_fills_the_same_masks_where_it_is_installed(self, capsys: Any) -> None:
        land = self.land(1)
        mask = fills.outline(SIDE, 30, np.random.default_rng(0), "blob")
        made = fills.inpainted([Fill(land, mask, land, land)])
        if not made:
            assert "pip install opencv-python-headless" in capsys.readouterr().out
        for one in (one for some in made.values() for one in some):
            assert (one.filled != land)[:, mask].any()
            assert np.array_equal(one.filled[:, ~mask], land[:, ~mask])

    def test_vegetation_stays_vegetation_in_any_bands(self) -> None:
        photograph = Photograph("x", picture("forest", 1), "land", picture("forest", 2)[..., 1] * 2)
        four, ten = spectral.four_bands(photograph), spectral.ten_bands(photograph)
        assert ten.shape == (10, SIDE, SIDE)
        assert np.corrcoef(spectral.index(four).ravel(), spectral.index(ten).ravel())[0, 1] > 0.99
        for raster in (four, ten):
            figures = spectral.measure(list(fills.made([raster], 2, 1)))
            assert figures["masks whose middle lies within"] == 2
            assert figures["type"] == str(raster.dtype)


class TestScenes:
    def test_windows_of_a_scene_lie_side_by_side(self, bank: Bank) -> None:
        scene = Maker(bank).picture("forest", 1.0, 128, 1)
        found = cut([scene, scene], ["one", "other"], 3, 0)
        assert found.pixels.shape == (6, 64, 64, 3)
        assert found.names == ("one",) * 3 + ("other",) * 3
        tiles = [scene[i : i + 64, j : j + 64] for i in (0, 64) for j in (0, 64)]
        assert all(any(np.array_equal(window, tile) for tile in tiles) for window in found.pixels)

    def test_prompts_of_the_sets_show_what_they_name(self) -> None:
        for land in SETS:
            assert len(land.asked()) >= 16
            assert not land.labels or len(land.labels) == len(land.prompts)


@pytest.mark.slow
def test_the_whole_report(data: Path, bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = (("fields", 5), ("a forest", 5))
    land = LandSet("small", "Chips", "landscapes", 1.0, "small", "ucmerced", prompts, (), 128, 2)
    monkeypatch.setattr(command, "SETS", (land, replace(land, id="again", judge="eurosat")))
    work = command.Work(data, Maker(bank), tmp_path, None, None, Amounts(0.5, 3, 1), 5, 4, 64, (64,))
    command.run(work, "0")
    report = json.loads((tmp_path / "by-example.json").read_text("utf-8"))
    assert report["speed"][0]["CPU s"] > 0
    assert report["copies"]["summary"]["lively kinds"]["kinds"] > 0
    assert report["fills"]["all"]["masks"] == 4
    assert set(report["realism"]["small"]["two-sample accuracy %"]) >= {"scenes | real", "real | other real"}
    assert len(report["realism"]["key of the sheet"]) == 2
    for name in ("pairs", "fills"):
        with Image.open(tmp_path / f"by-example-{name}.jpg") as sheet:
            assert sheet.width > 600
