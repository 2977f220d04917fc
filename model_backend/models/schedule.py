"""The noise schedule a checkpoint was trained with.

Read from ``scheduler/scheduler_config.json`` of a model folder, as ``EulerDiscreteScheduler.from_pretrained``
and ``DPMSolverMultistepScheduler.from_pretrained`` would read it. Knows no sampler and needs no torch, so
that the API process can count the steps of a plan.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from model_backend.arrays import Float64Array
from model_backend.errors import ModelUnavailable

Prediction = Literal["epsilon", "v_prediction"]
Spacing = Literal["linspace", "leading", "trailing"]
BetaSchedule = Literal["linear", "scaled_linear"]

# Schedulers for noise that a table of betas adds. Others are for other noise (flow matching, EDM), or for
# models that were taught to take few steps (LCM, TCD), and would paint something strange here.
_CLASSES = {
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSDEScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
}

# Members that would change the trajectory and that we do not implement, with the one value that means "off".
_UNSUPPORTED = {
    "trained_betas": None,
    "rescale_betas_zero_snr": False,
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "use_flow_sigmas": False,
    "use_dynamic_shifting": False,
    "thresholding": False,
    "interpolation_type": "linear",
    "timestep_type": "discrete",
    "final_sigmas_type": "zero",
}


@dataclass(frozen=True)
class Schedule:
    """Training noise: ``x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps`` for t = 0 .. ``timesteps`` - 1.

    The defaults of the fields are those of diffusers' schedulers, because a folder may leave them out.
    """

    timesteps: int = 1000
    beta_start: float = 0.0001
    beta_end: float = 0.02
    beta_schedule: BetaSchedule = "linear"
    prediction: Prediction = "epsilon"
    spacing: Spacing = "linspace"
    steps_offset: int = 0

    @cached_property
    def sigmas(self) -> Float64Array:
        """Noise-to-signal ratio sqrt((1 - abar_t) / abar_t) of every training timestep, ascending."""
        if self.beta_schedule == "linear":
            betas = np.linspace(self.beta_start, self.beta_end, self.timesteps)
        else:
            betas = np.linspace(self.beta_start**0.5, self.beta_end**0.5, self.timesteps) ** 2
        abar = np.cumprod(1.0 - betas)
        sigmas: Float64Array = np.sqrt((1.0 - abar) / abar)
        return sigmas


def read_schedule(folder: Path) -> Schedule:
    """Return the schedule of a model folder.

    Which class the file names does not matter as long as it is one for this kind of noise: Text2Earth's index
    declares PNDM, its scheduler file DDIM, and its README swaps in Euler. Raises ModelUnavailable where the
    file cannot be read, or asks for a schedule that this engine does not implement.
    """
    config = _read(folder)
    named = config.get("_class_name", "DDIMScheduler")
    if named not in _CLASSES:
        raise ModelUnavailable(
            f"The model {folder.name} was trained for {named}, another kind of noise than this engine makes. "
            "Use a model for one of Stable Diffusion's schedulers, such as DDIM, PNDM or Euler."
        )
    for member, off in _UNSUPPORTED.items():
        if config.get(member, off) not in (off, None):
            raise ModelUnavailable(
                f"The scheduler of {folder.name} sets {member} to {config[member]!r}, which is not supported."
            )
    return Schedule(
        timesteps=int(_number(config, "num_train_timesteps", 1000, folder)),
        beta_start=_number(config, "beta_start", 0.0001, folder),
        beta_end=_number(config, "beta_end", 0.02, folder),
        beta_schedule=_one_of(BetaSchedule, config, "beta_schedule", "linear", folder),
        prediction=_one_of(Prediction, config, "prediction_type", "epsilon", folder),
        spacing=_one_of(Spacing, config, "timestep_spacing", "linspace", folder),
        steps_offset=int(_number(config, "steps_offset", 0, folder)),
    )


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "scheduler" / "scheduler_config.json"
    if not path.is_file():
        raise ModelUnavailable(
            f"The model folder {folder.name} has no scheduler/scheduler_config.json, which says what noise it"
            " was trained with. Get the model anew, or that file from where it was published."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"The scheduler file of {folder.name} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ModelUnavailable(f"The scheduler file of {folder.name} holds no settings. Get the model anew.")
    return config


def _number(config: dict[str, Any], member: str, default: float, folder: Path) -> float:
    value = config.get(member, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise ModelUnavailable(f"The scheduler of {folder.name} sets {member} to {value!r}, which is no use.")
    return float(value)


def _one_of(choices: Any, config: dict[str, Any], member: str, default: str, folder: Path) -> Any:
    value = config.get(member, default)
    if value not in get_args(choices):
        supported = ", ".join(get_args(choices))
        raise ModelUnavailable(
            f"The scheduler of {folder.name} sets {member} to {value!r}; supported: {supported}."
        )
    return value
