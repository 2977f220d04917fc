"""The registry: which models there are, and sentences about those there are not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from model_backend.errors import ModelUnavailable
from model_backend.models import registry as registries
from model_backend.models.card import EngineParameters, ModelCard, checksums, read_card
from model_backend.models.registry import Registry
from model_backend.settings import Settings
from tests.support.backend.tiny_models import tiny_card

pytestmark = pytest.mark.fast


@pytest.fixture(autouse=True)
def nothing_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    monkeypatch.setattr(registries, "BUNDLED", (bundled,))
    return bundled


def registry(tmp_path: Path, model: str = "text2earth-mini") -> Registry:
    return Registry(Settings(data_dir=tmp_path / "data", model=model))


def test_known_models_say_how_to_get_them(tmp_path: Path):
    known = registry(tmp_path)
    ids = [entry.card.id for entry in known.all()]
    assert ids == ["text2earth", "text2earth-inpainting", "text2earth-mini"]
    for model in ("text2earth", "text2earth-inpainting"):
        with pytest.raises(
            ModelUnavailable, match=f"not installed. .* python -m model_backend models pull {model}"
        ):
            known.get(model).require()
        card = known.get(model).card
        assert card.non_commercial
        assert "Open RAIL++-M" in card.notice
        assert "not legal advice" in card.notice
    with pytest.raises(ModelUnavailable, match="text2earth-mini is not installed"):
        _ = known.default().schedule
    with pytest.raises(ModelUnavailable, match="no model 'nonsense' here. Known models: text2earth, "):
        known.get("nonsense")
    with pytest.raises(ModelUnavailable, match="no model"):
        known.get("../../etc")


def test_installed_and_bundled_models_are_found(tiny: Path, tmp_path: Path, nothing_bundled: Path):
    shutil.copytree(tiny, tmp_path / "data" / "models" / "text2earth-mini")
    shutil.copytree(tiny, nothing_bundled / "other")
    (tmp_path / "data" / "models" / ".pull-unfinished").mkdir()
    found = registry(tmp_path)
    assert found.default().folder == tmp_path / "data" / "models" / "text2earth-mini"
    assert found.default().card.id == "text2earth-mini"  # the folder's name, whatever the card says
    assert found.get("other").require() == nothing_bundled / "other"
    assert found.default().schedule.steps_offset == 1


def test_a_model_that_comes_changes_or_goes_is_noticed(tiny: Path, tmp_path: Path):
    known = registry(tmp_path)
    with pytest.raises(ModelUnavailable, match="no model 'pulled'"):
        known.get("pulled")
    folder = Path(shutil.copytree(tiny, tmp_path / "data" / "models" / "pulled"))
    entry = known.get("pulled")
    assert entry.folder == folder
    assert known.get("pulled") is entry, "nothing is read anew where nothing changed"
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    assert known.get("pulled").card.revision_or_hash != entry.card.revision_or_hash
    shutil.rmtree(folder)
    with pytest.raises(ModelUnavailable, match="no model 'pulled'"):
        known.get("pulled")


def test_a_folder_can_be_the_default_model(tiny: Path, tmp_path: Path):
    entry = registry(tmp_path, str(tiny)).default()
    assert (entry.card.id, entry.folder) == ("tiny", tiny)
    with pytest.raises(ModelUnavailable, match="is not a model folder: it has no model_index.json"):
        registry(tmp_path, str(tmp_path))


def test_a_broken_card_is_reported_when_it_is_asked_for(tiny: Path, tmp_path: Path):
    broken = Path(shutil.copytree(tiny, tmp_path / "data" / "models" / "broken"))
    (broken / "text2earth.json").write_text('{"id": "broken", "title": "t", "gsd": [2, 1]}', encoding="utf-8")
    found = registry(tmp_path)
    assert "broken" not in [entry.card.id for entry in found.all()]
    with pytest.raises(ModelUnavailable, match="card of broken is not valid: .*gsd must be"):
        found.get("broken")


def test_broken_files_are_sentences(tiny: Path, tmp_path: Path):
    folder = Path(shutil.copytree(tiny, tmp_path / "data" / "models" / "broken"))
    (folder / "scheduler" / "scheduler_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelUnavailable, match="scheduler file of broken cannot be read"):
        _ = registry(tmp_path).get("broken").schedule
    (folder / "text2earth.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelUnavailable, match="card of broken is not valid"):
        registry(tmp_path).get("broken")
    (folder / "text2earth.json").unlink()
    (folder / "unet" / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelUnavailable, match="unet/config.json cannot be read"):
        registry(tmp_path).get("broken")


def test_the_revision_follows_the_weights(tiny: Path, tmp_path: Path):
    copy = Path(shutil.copytree(tiny, tmp_path / "copy"))
    before = read_card(copy).revision_or_hash
    assert before == read_card(tiny).revision_or_hash
    assert before.startswith("sha256:")
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    assert read_card(copy).revision_or_hash != before
    assert "text2earth.json" not in checksums(copy)
    pinned = tiny_card(revision="a" * 40)
    pinned.write(copy)
    assert read_card(copy).revision_or_hash == "a" * 40


def test_a_card_survives_the_file(tmp_path: Path):
    card = tiny_card(words=["lake"], files={"unet/x.safetensors": {"sha256": "0" * 64, "size": 3}})
    card.write(tmp_path)
    assert ModelCard.model_validate_json((tmp_path / "text2earth.json").read_bytes()) == card


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stride": 3}, "stride must lie between half a window and a window"),
        ({"boundaries": (100, 200)}, "boundaries must descend"),
        ({"decode_core": 20}, "decode_window must be decode_core"),
        ({"decode_fade": 3}, "decode_fade must be even"),
    ],
)
def test_engine_parameters_must_fit_together(changes: dict, sentence: str):
    members = tiny_card().engine.model_dump() | changes
    with pytest.raises(ValidationError, match=sentence):
        EngineParameters.model_validate(members)


def test_what_is_no_model_folder_says_what_to_set(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "weights.safetensors").write_bytes(b"")
    cached = tmp_path / "models--somebody--model"
    shutil.copytree(tiny, cached / "snapshots" / "0123")
    (tmp_path / "empty").mkdir()
    for model, sentence in (
        (str(tmp_path / "nowhere"), "Set the model to a folder that exists, or to an id of `models"),
        (
            "lcybuaa/Text2Earth",
            "It is text2earth here: pull it .models pull text2earth. and set the",
        ),
        ("somebody/model", "If it is a model on a hub, download its folder first"),
        (str(tmp_path / "weights.safetensors"), r"is a file; .*from_single_file\(FILE\).save_pretrained"),
        (str(tmp_path / "empty"), "has no model_index.json. Set the model to a folder that has one"),
        (str(cached), "has no model_index.json. Did you mean .*models--somebody--model/snapshots/0123"),
        (
            "text2erth",
            "There is no model 'text2erth' here. Known models: text2earth, text2earth-inp",
        ),
    ):
        with pytest.raises(ModelUnavailable, match=sentence):
            Registry(Settings(data_dir=tmp_path / "data", model=model))
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(tiny, tmp_path / "mine")
    registry = Registry(Settings(data_dir=tmp_path / "data", model="~/mine"))
    assert registry.default().folder == tmp_path / "mine"


def test_the_command_line_says_so_too(tmp_path: Path):
    for command in (["serve", "--port", "0", "--model", "somebody/model"], ["models", "list"]):
        done = subprocess.run(
            [sys.executable, "-m", "model_backend", *command, "--data-dir", str(tmp_path)],
            capture_output=True,
            text=True,
            env=os.environ | {"TEXT2EARTH_MODEL": "somebody/model"},
            timeout=200,
        )
        assert done.returncode == 1
        assert "If it is a model on a hub, download its folder first" in done.stderr
        assert "Traceback" not in done.stderr
