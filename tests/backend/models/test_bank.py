"""Banks of example images: what is read is what was written, at any pixel size; broken ones say so."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model_backend.errors import ModelUnavailable
from model_backend.models.banks import resampling
from model_backend.models.banks.bank import Bank, unturned

pytestmark = pytest.mark.fast

FAMILY = {"id": "near", "title": "near", "gsd": 0.5, "finest": 0.4, "coarsest": 2, "kinds": ["water", "sand"]}
FAR = FAMILY | {"id": "far", "gsd": 10, "finest": 1, "coarsest": 20, "kinds": ["water"]}
CHIP = {
    "id": "shore",
    "family": "near",
    "gsd": 0.5,
    "kinds": ["water", "sand"],
    "words": ["beach"],
    "source": "drawn",
    "licence": "public domain",
    "image": "shore.png",
    "labels": "shore.labels.png",
}


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def shore() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (48, 60, 3)).astype(np.uint8)


def write(folder: Path, files: dict[str, bytes] | None = None, **changes: Any) -> Path:
    """A bank of one image; ``changes`` are of its chip, or of the whole index."""
    labels = np.zeros((48, 60))
    labels[:, 30:] = 1
    images = {"shore.png": png(shore()), "shore.labels.png": png(labels)} | (files or {})
    chip = {
        name: value
        for name, value in changes.items()
        if name in CHIP or name in ("nir", "tone", "kind", "turn")
    }
    index = {"kinds": ["water", "sand"], "families": [FAMILY, FAR], "chips": [CHIP | chip]}
    index |= {name: value for name, value in changes.items() if name in index}
    (folder / "chips.json").write_text(json.dumps(index), encoding="utf-8")
    with zipfile.ZipFile(folder / "chips.zip", "w") as out:
        for name, data in images.items():
            out.writestr(name, data)
    return folder


def test_what_is_read_is_what_was_written(tmp_path):
    bank = Bank.read(write(tmp_path))
    found = bank.pixels(bank.chips[0])
    assert np.array_equal(found.rgb, shore())
    assert np.unique(found.labels[:, :30]).tolist() == [0]
    assert np.unique(found.labels[:, 30:]).tolist() == [1]
    assert found.nir is None


def test_a_chip_of_one_kind_needs_no_labels(tmp_path):
    bank = Bank.read(
        write(
            tmp_path,
            labels=None,
            kind="sand",
            nir="shore.nir.png",
            files={"shore.nir.png": png(shore()[..., 0])},
        )
    )
    found = bank.pixels(bank.chips[0])
    assert (found.labels == 1).all()
    assert np.array_equal(found.nir, shore()[..., 0])


def test_a_tone_is_gain_and_offset_in_whole_numbers(tmp_path):
    bank = Bank.read(write(tmp_path, tone=[[256, 0], [512, 0], [128, 2560]]))
    found, old = bank.pixels(bank.chips[0]).rgb, shore().astype(int)
    assert np.array_equal(found[..., 0], old[..., 0])
    assert np.array_equal(found[..., 1], (2 * old[..., 1]).clip(0, 255))
    assert np.array_equal(found[..., 2], (old[..., 2] + 1) // 2 + 10)


def test_the_family_nearest_to_a_pixel_size_is_found(tmp_path):
    bank = Bank.read(write(tmp_path))
    assert [getattr(bank.family_for(gsd, ()), "id", None) for gsd in (0.3, 0.5, 1.2, 2, 10, 30)] == [
        None, "near", "near", "near", "far", None,
    ]  # fmt: skip
    assert bank.available(10) == bank.family("far").kinds
    assert getattr(bank.family_for(10, ["sand"]), "id", None) == "far"  # though it shows none
    assert bank.of("near", "sand") == bank.chips
    assert bank.of("far") == bank.of("near", "forest") == ()


def test_coarser_pixels_are_means_of_exactly_their_area(tmp_path):
    bank = Bank.read(write(tmp_path))
    halved = bank.at(bank.chips[0], 1.0)
    blocks = shore().reshape(24, 2, 30, 2, 3).astype(int).sum((1, 3))
    assert np.array_equal(halved.rgb, (blocks + 2) // 4)
    assert np.array_equal(halved.labels, np.repeat([[0] * 15 + [1] * 15], 24, 0))
    odd = bank.at(bank.chips[0], 0.73)
    assert odd.rgb.shape == (32, 41, 3)
    weights = np.zeros((32, 48))
    for row in range(32):
        for old in range(48):
            weights[row, old] = max(0, min((row + 1) * 1.46, old + 1) - max(row * 1.46, old))
    across = np.zeros((41, 60))
    for col in range(41):
        for old in range(60):
            across[col, old] = max(0, min((col + 1) * 1.46, old + 1) - max(col * 1.46, old))
    means = np.einsum("ij,jkb,lk->ilb", weights, shore().astype(float), across) / 1.46**2
    assert np.abs(odd.rgb - means).max() < 0.6


def test_finer_pixels_lie_on_straight_lines(tmp_path):
    ramp = np.repeat(np.arange(0, 240, 4)[None, :, None], 48, 0).repeat(3, 2)
    bank = Bank.read(write(tmp_path, files={"shore.png": png(ramp)}))
    finer = bank.at(bank.chips[0], 0.4).rgb
    assert finer.shape == (60, 75, 3)
    places = ((np.arange(75) + 0.5) * 0.8 - 0.5).clip(0, 59)
    assert np.abs(finer[30, :, 0] - 4 * places).max() < 0.6


@pytest.mark.parametrize(("ratio", "digest"), [(1.37, "b23935e6235f1d49"), (0.71, "bf8d496d5d23bcb7")])
def test_resampling_gives_the_same_bytes_everywhere(ratio, digest):
    step = resampling.step_of(ratio)
    made = (
        resampling.averages(shore(), step).tobytes()
        + resampling.majority(shore()[..., 0] // 64, step).tobytes()
    )
    assert hashlib.sha256(made).hexdigest()[:16] == digest


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image": "other.png"}, "names what the bank lacks"),
        ({"family": "none"}, "names what the bank lacks"),
        ({"kinds": ["castle"]}, "kinds that are not known here"),
        ({"gsd": -1}, "chips.0.gsd"),
        ({"tone": [[256, 0]]}, "tone of 1 bands"),
        ({"labels": None}, "neither labels nor a kind"),
        ({"chips": []}, "no images"),
    ],
)
def test_a_bank_that_contradicts_itself_is_refused(tmp_path, changes, sentence):
    with pytest.raises(ModelUnavailable, match=sentence):
        Bank.read(write(tmp_path, **changes))


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"shore.png": b"no picture"}, "damaged"),
        ({"shore.png": png(shore())[:200]}, "damaged"),
        ({"shore.png": png(np.zeros((8, 1100, 3)))}, "more pixels than a chip may"),
        ({"shore.labels.png": png(np.full((48, 60), 9))}, "kinds that the bank"),
        ({"shore.labels.png": png(np.zeros((48, 59)))}, "differ in size"),
        ({"shore.labels.png": png(np.zeros((48, 60, 3)))}, "no grey image"),
    ],
)
def test_damaged_images_are_refused_when_they_are_asked_for(tmp_path, files, sentence):
    bank = Bank.read(write(tmp_path, files=files))
    with pytest.raises(ModelUnavailable, match=sentence):
        bank.pixels(bank.chips[0])


def test_a_folder_that_is_no_bank_is_refused(tmp_path):
    with pytest.raises(ModelUnavailable, match="is not a bank"):
        Bank.read(tmp_path)
    write(tmp_path)
    (tmp_path / "chips.zip").write_bytes(b"PK nothing")
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        Bank.read(tmp_path)
    (tmp_path / "chips.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelUnavailable, match="is not valid: kinds"):
        Bank.read(tmp_path)


def test_turned_images_turn_with_their_labels(tmp_path):
    bank = Bank.read(write(tmp_path, turn=5))
    found = bank.pixels(bank.chips[0])
    assert np.array_equal(found.rgb, np.rot90(shore())[:, ::-1])
    assert (found.labels[:30] == 1).all()


@pytest.mark.parametrize("turn", range(8))
def test_a_turned_pixel_is_found_in_its_file(tmp_path: Path, turn: int) -> None:
    bank = Bank.read(write(tmp_path, turn=turn))
    found = bank.pixels(bank.chips[0])
    places = np.indices(found.labels.shape).reshape(2, -1)
    rows, cols = unturned(*places, turn, found.size)
    assert found.size == (48, 60)
    assert np.array_equal(found.rgb[tuple(places)], shore()[rows, cols])
