"""The builder of banks: the same bytes every time, labels from outlines, masks and codes, one tone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model_backend.models.banks.bank import Bank
from model_backend.training.bank import build, labels, sheets, tone
from model_backend.training.bank.choice import Choice, FamilyChoice, Group, LeftOut
from model_backend.training.bank.originals import Original
from model_backend.training.bank.streets import streets

NEAR = FamilyChoice("aerial", "near", 0.5, 0.3, 2.0, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
WIDE = FamilyChoice("plains", "wide", 30.0, 15.0, 130.0, (1.2, 1.2, 1.2), (4.0, 4.0, 4.0), nir=True)
RIVERS = Group(
    "aerial",
    "ucmerced_0m50",
    "river/river{}.tif",
    "water",
    ("river",),
    "37 10",
    draws=("water",),
    turns=(0, 4),
)
HOUSES = Group("aerial", "ucmerced_0m50", "house/house{}.tif", "houses", ("houses",), "1 2")
PLAINS = Group("plains", "landsat_cdl_30m", "l8_{}.tif", "farmland", ("plains",), "*", most=2)


def webp(seed: int, side: int, tint: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 90, (side, side, 3)) + tint
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "WEBP", quality=90)
    return out.getvalue()


def png(codes: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(codes.astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def codes(seed: int) -> np.ndarray:
    """Soy fields, with a lake in the second one and grass in the third, and a road across."""
    made = np.full((64, 64), 5)
    if seed:
        made[20:50, 10:60] = 111 if seed == 1 else 176
    made[8] = 121
    return made


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    near = [(f"river/river{id}.tif", 20 * n) for n, id in enumerate(("10", "37", "99"))]
    near += [(f"house/house{id}.tif", 60 * id) for id in (1, 2)]
    rows = [
        {"file": file, "label": file.split("/")[0], "gsd_m": 0.5, "image": webp(n, 156, tint)}
        for n, (file, tint) in enumerate(near)
    ]
    pq.write_table(pa.Table.from_pylist(rows[::-1]), folder / "ucmerced_0m50.parquet")
    rows = [
        {
            "file": f"l8_{n}.tif",
            "gsd_m": 30.0,
            "image": webp(n, 64, 50),
            "nir": webp(n, 64, 99),
            "cdl": png(codes(n)),
        }
        for n in range(3)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "landsat_cdl_30m.parquet")
    return folder


CHOICE = Choice((NEAR, WIDE), (RIVERS, HOUSES, PLAINS), (LeftOut("blurred", "river/river{}.tif", "99"),))


@pytest.fixture(scope="module")
def bank(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    build.build(data, folder, CHOICE)
    return folder


def test_the_same_bytes_every_time(data, bank, tmp_path):
    build.build(data, tmp_path, CHOICE)
    for name in ("chips.json", "chips.zip", "ATTRIBUTION.md"):
        assert (tmp_path / name).read_bytes() == (bank / name).read_bytes()


def test_what_is_built_can_be_read(bank):
    found = Bank.read(bank)
    assert [one.id for one in found.families] == ["aerial", "plains"]
    assert [one.id for one in found.of("aerial", "water")] == [
        f"aerial/river{one}" for one in ("10", "10-4", "37", "37-4")
    ]
    assert found.of("aerial", "forest") == ()  # is around the rivers, but not to be drawn
    assert found.of("aerial", "water")[0].around == ("forest",)
    for chip in found.chips:
        assert found.pixels(chip).rgb.ndim == 3
    straight, mirrored = (found.pixels(one) for one in found.of("aerial", "water")[:2])
    assert np.array_equal(straight.rgb[:, ::-1], mirrored.rgb)
    assert np.array_equal(straight.labels[:, ::-1], mirrored.labels)
    houses = found.of("aerial", "houses")
    means = [found.pixels(one).rgb.mean() for one in houses]
    assert abs(means[0] - means[1]) < 30  # 60 in the originals
    assert "UC Merced" in (bank / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "NAIP" not in (bank / "ATTRIBUTION.md").read_text(encoding="utf-8")


def test_of_all_images_those_that_show_rare_land_are_taken(bank):
    plains = Bank.read(bank).of("plains")
    assert [one.id for one in plains] == ["plains/l8_1", "plains/l8_2"]
    assert "lake" in plains[0].words
    assert plains[0].nir is not None
    assert plains[0].kinds == ("farmland", "water")


def test_roads_and_specks_of_a_crop_map_join_what_is_around_them():
    speck = codes(1)
    speck[60, 60] = 190
    original = Original("landsat_cdl_30m", "l8_9.tif", 30.0, webp(1, 64, 9), None, png(speck), None, None)
    found = labels.label(original, PLAINS, None)
    assert set(np.unique(found).tolist()) == {labels.number("farmland"), labels.number("water")}


def test_outlines_are_drawn_over_the_rest():
    original = Original("ucmerced_0m50", "a/b.tif", 0.5, webp(1, 64, 9), None, None, None, None)
    shapes = {"rest": "sand", "edge": ["bare", 8], "water": [[0, 32, 64, 32, 64, 64, 0, 64]]}
    found = labels.label(original, HOUSES, shapes)
    assert (found[:27] == labels.number("sand")).all()
    assert (found[30:34] == labels.number("bare")).all()
    assert (found[38:] == labels.number("water")).all()


def test_a_choice_does_not_take_what_it_leaves_out(tmp_path):
    path = tmp_path / "choice.json"
    path.write_text(
        '{"families": [], "left_out": [{"why": "haze", "files": "a{}.tif", "ids": "7"}], "groups": '
        '[{"family": "f", "table": "t", "files": "a{}.tif", "kind": "sand", "words": [], "ids": "5 7"}]}',
        encoding="utf-8",
    )
    with pytest.raises(ValueError, match="a7.tif is taken, and left out: haze"):
        Choice.read(path)


def test_an_original_that_is_not_there_is_named(data, tmp_path):
    missing = Group("aerial", "ucmerced_0m50", "house/house{}.tif", "houses", (), "1 3")
    with pytest.raises(ValueError, match=r"lacks \['3'\]"):
        build.build(data, tmp_path, Choice((NEAR,), (missing,), ()))


def test_the_shipped_choice_is_consistent():
    choice = Choice.read()
    for group in choice.groups:
        assert labels.number(group.kind) < 255
        assert group.family in {one.id for one in choice.families}
    for name, shapes in labels.outlines().items():
        for kind in set(shapes) - {"rest", "edge", ""} | {shapes["rest"]}:
            assert labels.number(kind) < 255, (name, kind)


def test_images_move_to_the_tone_of_their_kind():
    one, other = (tone.measure(np.full((9, 9, 3), value, np.uint8)) for value in (100, 140))
    made = tone.tones([one, other], [1.0, 1.0], (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    assert made == [((256, 20 * 256),) * 3, ((256, -20 * 256),) * 3]


def test_sheets_show_every_image_with_its_labels(bank, tmp_path):
    sheets.write(Bank.read(bank), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"aerial-water.png", "aerial-houses.png"}
    with Image.open(tmp_path / "aerial-houses.png") as opened:
        assert opened.size == (6 * 260, 140)


def test_streets_are_long_and_grey_and_roofs_are_not():
    rgb, nir = np.full((120, 120, 3), (60, 110, 50), np.uint8), np.full((120, 120), 160, np.uint8)
    for rows, cols in ((slice(20, 32), slice(0, 120)), (slice(60, 90), slice(40, 70))):
        rgb[rows, cols], nir[rows, cols] = 110, 100
    found, _ = streets(rgb, nir)
    assert found[24:28, 10:110].all()
    assert not found[34:].any()
