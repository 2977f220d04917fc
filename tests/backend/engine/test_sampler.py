"""The samplers as tables against diffusers' schedulers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler

from model_backend.engine.diffusion.sampler import advance, clean, trajectory, trajectory_of
from model_backend.errors import ModelUnavailable
from model_backend.models.card import EngineParameters
from model_backend.models.schedule import Schedule, read_schedule
from tests.support.backend.tiny_models import SCHEDULER

pytestmark = pytest.mark.fast

SD2 = Schedule(1000, 0.00085, 0.012, "scaled_linear", steps_offset=1)
NOISE = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))


def denoiser(schedule: Schedule, x: torch.Tensor, t: float) -> torch.Tensor:
    """The exact answer for Gaussian data of deviation 0.7, bent, so that latents stay of order one."""
    sigma = float(torch.as_tensor(schedule.sigmas)[int(round(float(t)))])
    a = 1 / (1 + sigma**2) ** 0.5
    s = sigma * a
    x0 = 0.49 * a * x / (0.49 * a**2 + s**2) + 0.2 * torch.tanh(3 * x)
    eps = (x - a * x0) / max(s, 1e-3)
    return eps if schedule.prediction == "epsilon" else a * eps - s * x0


def by_diffusers(scheduler: Any, schedule: Schedule, steps: int) -> tuple[torch.Tensor, list[float]]:
    scheduler.set_timesteps(steps)
    x = NOISE * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        output = denoiser(schedule, scheduler.scale_model_input(x, t), float(t))
        x = scheduler.step(output, t, x, return_dict=False)[0]
    return x, [float(t) for t in scheduler.timesteps]


def by_table(
    schedule: Schedule, sampler: Any, steps: int, boundaries: tuple[float, ...] = ()
) -> torch.Tensor:
    path = trajectory(schedule, sampler, steps, boundaries)
    x, before = NOISE * path.start, None
    for phase in path.phases:
        for step in phase:
            x0 = clean(x, denoiser(schedule, x, step.timestep), step, schedule.prediction)
            x, before = advance(x, x0, before, step), x0
    return x


@pytest.mark.parametrize("steps", [1, 2, 7, 14, 15, 20, 50])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("spacing", ["linspace", "leading", "trailing"])
def test_tables_equal_diffusers_schedulers(spacing: Any, prediction: Any, steps: int):
    schedule = Schedule(1000, 0.00085, 0.012, "scaled_linear", prediction, spacing, 1)
    config = SCHEDULER | {"prediction_type": prediction, "timestep_spacing": spacing}
    karras = {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": True}
    for name, scheduler in (
        ("dpm++2m", DPMSolverMultistepScheduler.from_config(config, **karras)),
        ("euler", EulerDiscreteScheduler.from_config(config)),
    ):
        expected, timesteps = by_diffusers(scheduler, schedule, steps)
        path = trajectory(schedule, name, steps)
        assert [step.timestep for step in path.phases[0]] == pytest.approx(timesteps, abs=1e-3)
        torch.testing.assert_close(by_table(schedule, name, steps), expected, atol=1e-5, rtol=1e-5)


def test_phases_follow_the_boundaries():
    boundaries = (840, 680, 480)

    def lengths(sampler: Any, steps: int) -> tuple[int, ...]:
        path = trajectory(SD2, sampler, steps, boundaries)
        assert all(plain == 0 for _, plain in path.lengths)
        return tuple(guided for guided, _ in path.lengths)

    assert lengths("euler", 50) == (8, 8, 10, 24)
    assert lengths("dpm++2m", 20) == (4, 3, 2, 11)
    assert lengths("dpm++2m", 1) == (1,)
    for sampler in ("euler", "dpm++2m"):
        for steps in range(1, 60):
            assert sum(lengths(sampler, steps)) == steps


def test_guidance_stops_at_a_noise_level():
    """The same for every sampler and number of steps, and no number of a row but that changes."""
    for sampler, steps, expected in (
        ("dpm++2m", 20, (13, 7)),
        ("dpm++2m", 4, (3, 1)),
        ("euler", 50, (43, 7)),
    ):
        whole, cut = (trajectory(SD2, sampler, steps, (680,), cutoff=cutoff) for cutoff in (0, 130))
        assert tuple(map(sum, zip(*cut.lengths, strict=True))) == expected
        assert cut.lengths[0].plain == 0
        rows = [row for phase in cut.phases for row in phase]
        assert [row.guided for row in rows] == [row.timestep >= 130 for row in rows]
        assert [replace(row, guided=True) for row in rows] == [row for phase in whole.phases for row in phase]


def test_without_guidance_every_step_is_plain():
    @dataclass(frozen=True)
    class Wish:
        sampler: Any
        steps: int
        guidance: float
        start: None = None

    params = EngineParameters(boundaries=(500,), guidance_cutoff=130)
    for guidance, expected in ((1.0, [0, 8]), (4.0, [5, 3])):
        path = trajectory_of(Wish("dpm++2m", 8, guidance), SD2, params)
        assert list(map(sum, zip(*path.lengths, strict=True))) == expected


def test_history_is_forgotten_at_the_start_of_a_phase():
    for phase in trajectory(SD2, "dpm++2m", 20, (840, 680, 480)).phases:
        assert phase[0].before == 0
        assert all(step.before != 0 for step in phase[1:] if step is not phase[-1])
    assert all(step.before == 0 for phase in trajectory(SD2, "euler", 20).phases for step in phase)


def test_cutting_euler_into_phases_changes_no_bit():
    assert torch.equal(by_table(SD2, "euler", 20, (840, 680, 480)), by_table(SD2, "euler", 20))


def test_the_last_step_lands_on_the_clean_latents():
    for sampler in ("euler", "dpm++2m"):
        last = trajectory(SD2, sampler, 20).phases[-1][-1]
        assert (last.keep, last.now, last.before) == (0, 1, 0)


def test_schedule_is_read_like_diffusers_reads_it(tiny, tmp_path):
    assert read_schedule(tiny) == SD2
    euler = EulerDiscreteScheduler.from_pretrained(tiny, subfolder="scheduler")
    abar = 1 / (1 + SD2.sigmas**2)
    assert torch.allclose(euler.alphas_cumprod.double(), torch.as_tensor(abar), rtol=1e-5)
    (tmp_path / "scheduler").mkdir()
    path = tmp_path / "scheduler" / "scheduler_config.json"
    path.write_text('{"beta_schedule": "squaredcos_cap_v2"}', encoding="utf-8")
    with pytest.raises(ModelUnavailable, match="sets beta_schedule to 'squaredcos_cap_v2'"):
        read_schedule(tmp_path)
    path.write_text('{"rescale_betas_zero_snr": true}', encoding="utf-8")
    with pytest.raises(ModelUnavailable, match="rescale_betas_zero_snr to True, which is not supported"):
        read_schedule(tmp_path)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            '{"_class_name": "FlowMatchEulerDiscreteScheduler"}',
            "for FlowMatchEulerDiscreteScheduler, another",
        ),
        ('{"_class_name": "LCMScheduler", "beta_schedule": "scaled_linear"}', "was trained for LCMScheduler"),
        ('{"_class_name": "EDMEulerScheduler", "sigma_max": 80}', "was trained for EDMEulerScheduler"),
        ('{"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": true}', "use_flow_sigmas to True"),
        (
            '{"prediction_type": "flow_prediction"}',
            "prediction_type to 'flow_prediction'; supported: e",
        ),
        ('{"num_train_timesteps": "many"}', "num_train_timesteps to 'many'"),
        ('{"beta_end": null}', "beta_end to None"),
        ("[]", "holds no settings"),
        ("{", "cannot be read"),
        (None, "has no scheduler/scheduler_config.json, .* Get the model anew"),
    ],
)
def test_a_schedule_for_other_noise_is_refused(tmp_path: Path, config: str | None, sentence: str):
    (tmp_path / "scheduler").mkdir()
    if config is not None:
        (tmp_path / "scheduler" / "scheduler_config.json").write_text(config, encoding="utf-8")
    with pytest.raises(ModelUnavailable, match=sentence):
        read_schedule(tmp_path)
