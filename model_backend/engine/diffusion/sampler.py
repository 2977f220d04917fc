"""The samplers, as tables of numbers.

Every deterministic solver used here moves the noisy latents by a linear rule,

    x0 = the clean latents that the UNet's output implies at this step
    x  = keep * x + now * x0 + before * (x0 of the step before)

so a sampler is a table with a row per step, and one `advance` serves all of them. Latents are always in the
scale the UNet was trained on, ``x = alpha x0 + sigma eps`` with ``alpha^2 + sigma^2 = 1`` (diffusers' Euler
keeps ``x / alpha`` instead; the trajectories are the same). No noise is added on the way (eta = 0).

A trajectory is cut into phases where windows are blended. The step before is forgotten at the start of a
phase: what it predicted belongs to windows that no longer exist.

Guidance decides what is drawn, early on; the last steps only sharpen it. So a card may say from which
timestep on steps are *plain*: the UNet then predicts with the prompt alone, at half the cost.

Knows the noise schedule; does not know windows, models or torch: `advance` works on any array type.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from model_backend.arrays import Float64Array
from model_backend.models.card import EngineParameters
from model_backend.models.schedule import Prediction, Schedule
from model_backend.schemas import Recipe, Sampler

_KARRAS_RHO = 7.0  # Karras et al. 2022 (arXiv 2206.00364), eq. 5


@dataclass(frozen=True)
class Step:
    """One row: the timestep the UNet is given, where x stands (alpha, sigma), and the linear rule.

    ``guided`` says whether the UNet is also asked what it would paint without the prompt.
    """

    timestep: float
    alpha: float
    sigma: float
    keep: float
    now: float
    before: float
    guided: bool


class Lengths(NamedTuple):
    """Steps of a phase: guided ones, and the plain ones that follow."""

    guided: int
    plain: int


@dataclass(frozen=True)
class Trajectory:
    """From noise to clean latents: unit noise is multiplied by ``start``, then the phases follow in order."""

    start: float
    phases: tuple[tuple[Step, ...], ...]

    @property
    def lengths(self) -> tuple[Lengths, ...]:
        """Steps of each phase."""
        guided = [sum(step.guided for step in phase) for phase in self.phases]
        return tuple(Lengths(n, len(phase) - n) for n, phase in zip(guided, self.phases, strict=True))


def trajectory_of(
    recipe: Recipe, schedule: Schedule, params: EngineParameters, strength: float = 1.0
) -> Trajectory:
    """Return the rows that a recipe takes on a model; it is guided where its ``guidance`` is above 1.

    A recipe with a start has a strength of its own.
    """
    if recipe.start is not None:
        strength = recipe.start.strength
    cutoff = params.guidance_cutoff if recipe.guidance > 1 else math.inf
    return trajectory(schedule, recipe.sampler, recipe.steps, params.boundaries, strength, cutoff)


def trajectory(
    schedule: Schedule,
    sampler: Sampler,
    steps: int,
    boundaries: Sequence[float] = (),
    strength: float = 1.0,
    cutoff: float = 0.0,
) -> Trajectory:
    """Return the rows of a sampler, cut into phases at the training timesteps ``boundaries``.

    ``euler`` is ``EulerDiscreteScheduler`` on the checkpoint's own grid; ``dpm++2m`` is
    ``DPMSolverMultistepScheduler(algorithm_type="dpmsolver++", solver_order=2, use_karras_sigmas=True)``
    (Lu et al. 2022, arXiv 2211.01095), restarted at each phase. A phase that no step falls into is left out,
    and so are the steps above ``strength``, a share of the training timesteps, of which the last one stays.
    Steps at timesteps below ``cutoff`` are plain.
    """
    if sampler == "euler":
        timesteps, noise = _own_grid(schedule, steps)
        first_order = True
        # diffusers scales unit noise by sigma_max here, not by sqrt(1 + sigma_max^2), unless spacing is
        # "leading".
        start = 1.0 if schedule.spacing == "leading" else noise[0] / np.hypot(1.0, noise[0])
    else:
        timesteps, noise = _karras_grid(schedule, steps)
        first_order = False
        start = 1.0
    noise = np.append(noise, 0.0)
    phase_of = [sum(t < boundary for boundary in boundaries) for t in timesteps]
    phases: dict[int, list[Step]] = {}
    late = [i for i, t in enumerate(timesteps) if strength == 1 or t <= strength * schedule.timesteps]
    for i in late or [len(timesteps) - 1]:
        rows = phases.setdefault(phase_of[i], [])
        # To sigma = 0 the second order has no meaning (its step in log sigma is infinite).
        multistep = rows and not first_order and i < len(timesteps) - 1
        before = noise[i - 1] if multistep else None
        rows.append(_row(float(timesteps[i]), before, noise[i], noise[i + 1], bool(timesteps[i] >= cutoff)))
    return Trajectory(float(start), tuple(tuple(rows) for rows in phases.values()))


def clean(x: Any, output: Any, step: Step, prediction: Prediction) -> Any:
    """Return the clean latents x0 that the UNet's output implies for the noisy latents x."""
    if prediction == "epsilon":
        return (x - step.sigma * output) / step.alpha
    return step.alpha * x - step.sigma * output


def advance(x: Any, x0: Any, x0_before: Any, step: Step) -> Any:
    """Return the latents after a step; ``x0_before`` is not looked at in the first step of a phase."""
    moved = step.keep * x + step.now * x0
    return moved + step.before * x0_before if step.before else moved


def _row(timestep: float, before: float | None, here: float, there: float, guided: bool) -> Step:
    """DPM-Solver++ 2M midpoint from noise level ``here`` to ``there``, both sigma / alpha.

    Without a level ``before`` it is first order, and that is Euler's rule too: the two solvers differ only in
    their second order and in the grid.
    """
    alpha, sigma = 1 / np.hypot(1.0, here), here / np.hypot(1.0, here)
    alpha_to, sigma_to = 1 / np.hypot(1.0, there), there / np.hypot(1.0, there)
    # With lambda = log(alpha / sigma) and h = lambda_to - lambda: exp(-h) = there / here.
    now = alpha_to * (1 - there / here)
    lean = 0.0
    if before is not None:
        h, h_before = np.log(here / there), np.log(before / here)
        lean = 0.5 * now * h / h_before
    return Step(
        timestep, float(alpha), float(sigma), float(sigma_to / sigma), float(now + lean), float(-lean), guided
    )


def _own_grid(schedule: Schedule, steps: int) -> tuple[Float64Array, Float64Array]:
    """Timesteps (descending) and noise levels as the checkpoint's scheduler file spaces them."""
    timesteps: Float64Array
    if schedule.spacing == "linspace":
        # float32, because that is what diffusers tells the UNet
        spaced = np.linspace(0, schedule.timesteps - 1, steps, dtype=np.float32)
        timesteps = spaced[::-1].astype(np.float64)
    elif schedule.spacing == "leading":
        spaced = np.arange(steps, dtype=np.float32) * (schedule.timesteps // steps)
        timesteps = spaced[::-1].astype(np.float64) + schedule.steps_offset
    else:
        timesteps = np.arange(schedule.timesteps, 0, -schedule.timesteps / steps).round() - 1
    noise = np.interp(timesteps, np.arange(schedule.timesteps), schedule.sigmas)
    return timesteps, noise


def _karras_grid(schedule: Schedule, steps: int) -> tuple[Float64Array, Float64Array]:
    """Timesteps (descending, whole) and noise levels spaced evenly in sigma^(1/7)."""
    low, high = schedule.sigmas[0] ** (1 / _KARRAS_RHO), schedule.sigmas[-1] ** (1 / _KARRAS_RHO)
    noise = (high + np.linspace(0, 1, steps) * (low - high)) ** _KARRAS_RHO
    timesteps = np.interp(np.log(noise), np.log(schedule.sigmas), np.arange(schedule.timesteps)).round()
    return timesteps, noise
