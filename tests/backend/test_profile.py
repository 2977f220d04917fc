"""The profile: what bits depend on, and the slot test that checks it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from model_backend.errors import ModelUnavailable
from model_backend.models import profile as profiles
from model_backend.models.profile import try_slots
from tests.tiny import load_tiny

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


def test_devices():
    assert profiles.choose_device("cpu") == torch.device("cpu")
    assert profiles.choose_device("auto").type in ("cpu", "cuda", "mps")
    for absent in ("cuda:99", "tpu", ""):
        with pytest.raises(ModelUnavailable, match="does not exist here"):
            profiles.choose_device(absent)
