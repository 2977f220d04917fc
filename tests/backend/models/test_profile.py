"""The profile: what bits depend on, and the slot test that checks it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from model_backend.errors import ModelUnavailable
from model_backend.models import profile as profiles
from model_backend.models.card import card_from_folder, read_card
from model_backend.models.loader import Model, load
from model_backend.models.profile import SlotTest, try_slots
from model_backend.models.registry import BUNDLED, KNOWN
from tests.support.backend.tiny_models import build_tiny, load_tiny, tiny_card

pytestmark = pytest.mark.fast

SAMPLES = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def test_slots_that_agree():
    calls: list[torch.Tensor] = []

    def run(x: torch.Tensor) -> torch.Tensor:
        calls.append(x.clone())
        return torch.tanh(x)

    assert try_slots(run, SAMPLES).agree
    assert len(calls) == 2
    assert (calls[0] == SAMPLES[-1]).all()  # the sample in every slot
    assert torch.equal(calls[1], SAMPLES)  # and in the last one among strangers


def test_one_bit_in_one_slot_is_seen():
    def run(x: torch.Tensor) -> torch.Tensor:
        out = torch.tanh(x)
        out[3, 0, 0, 0] = torch.nextafter(out[3, 0, 0, 0], torch.tensor(2.0))
        return out

    assert not try_slots(run, SAMPLES).agree


def test_a_bit_that_depends_on_the_neighbours_is_seen():
    assert not try_slots(lambda x: torch.tanh(x) + 1e-7 * x.mean(), SAMPLES).agree


def test_a_model_whose_slots_differ_is_marked_approximate(tiny: Path):
    model = load_tiny(tiny)
    assert not model.profile.approximate
    assert model.profile.seconds_per_evaluation > 0

    def disturb(_module: object, args: tuple[torch.Tensor, ...]) -> torch.Tensor:
        x = args[0].clone()
        x[-1] += 1e-3
        return x

    hook = model._unet.conv_in.register_forward_pre_hook(disturb)
    assert model.profile_for(3, (8, 3)).approximate  # 8 agreed before
    hook.remove()


def test_the_digest_names_what_bits_depend_on(tiny: Path):
    one = load_tiny(tiny).profile
    assert (one.dtype, one.layout, one.batch, one.threads) == ("float32", "contiguous", 4, 1)
    assert one.versions["torch"].startswith(torch.__version__.split("+")[0])
    assert one.digest == load_tiny(tiny).profile.digest  # though the measured speed differs
    for change in ({"dtype": "bfloat16"}, {"threads": 2}, {"batch": 5}, {"isa": "AVX2"}, {"weights": "x"}):
        assert dataclasses.replace(one, **change).digest != one.digest
    assert json.loads(json.dumps(one.to_dict()))["digest"] == one.digest
    assert load_tiny(tiny).profile_for(2, (4,)).batch == 2


def test_the_digest_names_how_the_model_is_used(tiny: Path):
    """Two cards of the same weights: their scenes differ, so they must not be mixed."""
    one = load_tiny(tiny)
    params = one.card.engine
    for change in ({"guidance_cutoff": 130.0}, {"boundaries": (500.0,)}, {"stride": 5}):
        other = load_tiny(tiny, engine=params.model_copy(update=change))
        assert other.card.weights_hash == one.card.weights_hash
        assert other.profile.digest != one.profile.digest


def test_both_sizes_of_calls_are_tried_where_guidance_stops(tiny: Path):
    model = load_tiny(tiny)
    assert set(model._tried) == {8}
    assert set(
        load_tiny(tiny, engine=model.card.engine.model_copy(update={"guidance_cutoff": 9}))._tried
    ) == {4, 8}


def test_bfloat16_only_where_a_processor_multiplies_it(monkeypatch: pytest.MonkeyPatch):
    cpu = torch.device("cpu")
    for amx, avx512, expected in (
        (True, False, torch.bfloat16),
        (False, True, torch.bfloat16),
        (False, False, torch.float32),
    ):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda yes=amx: yes)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda yes=avx512: yes)
        assert profiles.choose_dtype(cpu) == expected
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert profiles.choose_dtype(cpu) == torch.float32


def test_the_number_format_is_that_of_the_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    cuda, cpu, mps = (torch.device(kind) for kind in ("cuda", "cpu", "mps"))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    published = [card for card in KNOWN if card.repo]
    assert len(published) == 2
    for card in (*published, card_from_folder(build_tiny(tmp_path / "model", card=None))):
        assert profiles.choose_dtype(cuda, card.dtype) == torch.float16
        assert (
            profiles.choose_dtype(cpu, card.dtype) == profiles.choose_dtype(mps, card.dtype) == torch.float32
        )
    assert all(read_card(index.parent).dtype == {} for index in BUNDLED[0].glob("*/model_index.json"))
    folder = build_tiny(tmp_path / "half", card=tiny_card(dtype={"cpu": "bfloat16"}))
    assert load(folder, read_card(folder), "cpu", 1).profile.dtype == "bfloat16"


def test_devices():
    assert profiles.choose_device("cpu") == torch.device("cpu")
    assert profiles.choose_device("auto").type in ("cpu", "cuda", "mps")
    for absent in ("cuda:99", "tpu", ""):
        with pytest.raises(ModelUnavailable, match="does not exist here"):
            profiles.choose_device(absent)


def test_a_gpu_in_words_and_numbers(monkeypatch: pytest.MonkeyPatch):
    gpu = torch.device("cuda")
    for capability, isa, dtype in (((9, 0), "sm_90", torch.bfloat16), ((7, 5), "sm_75", torch.float16)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        assert (profiles.isa_of(gpu), profiles.choose_dtype(gpu)) == (isa, dtype)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert profiles.choose_device("auto") == torch.device("cuda", 0)
    assert profiles.choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(ModelUnavailable, match="does not exist here"):
        profiles.choose_device("cuda:2")


def test_a_gpu_is_made_to_repeat_itself():
    switches: list[tuple[Any, str, bool]] = [
        (torch.backends.cudnn, "benchmark", False),
        (torch.backends.cudnn, "deterministic", True),
        (torch.backends.cudnn, "allow_tf32", False),
        (torch.backends.cuda.matmul, "allow_tf32", False),
    ]
    before = [getattr(owner, name) for owner, name, _ in switches]
    try:
        for owner, name, wanted in switches:
            setattr(owner, name, not wanted)
        profiles.make_deterministic(torch.device("cpu"))
        assert all(getattr(owner, name) is not wanted for owner, name, wanted in switches)
        profiles.make_deterministic(torch.device("cuda"))
        assert all(getattr(owner, name) is wanted for owner, name, wanted in switches)
    finally:
        for (owner, name, _), value in zip(switches, before, strict=True):
            setattr(owner, name, value)


@pytest.mark.parametrize("agree", [True, False])
def test_a_layout_is_kept_where_slots_agree_in_it(tiny: Path, agree: bool, monkeypatch: pytest.MonkeyPatch):
    """As on a GPU, where channels last comes first."""
    assert profiles.layouts(torch.device("cuda")) == (torch.channels_last, torch.contiguous_format)
    assert profiles.layouts(torch.device("cpu")) == (torch.contiguous_format,)
    tried: list[bool] = []
    try_slots = Model._try_slots

    def judged(self: Model, samples: int) -> SlotTest:
        tried.append(self._unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last))
        return dataclasses.replace(try_slots(self, samples), agree=agree or not tried[-1])

    monkeypatch.setattr(profiles, "layouts", lambda _: (torch.channels_last, torch.contiguous_format))
    monkeypatch.setattr(Model, "_try_slots", judged)
    model = load_tiny(tiny)
    assert model.profile.layout == ("channels_last" if agree else "contiguous")
    assert not model.profile.approximate
    assert tried == ([True] if agree else [True, False])
