"""What every training stage does with its networks: optimiser steps, averaged weights, checkpoints, a budget.

Knows torch modules and files; does not know what is trained.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model_backend.training.process_group import ProcessGroup


@dataclass
class Budget:
    """How long to train: ``minutes`` of training time over all resumes, or a number of ``steps``."""

    minutes: float | None
    steps: int | None = None
    seconds: float = 0.0
    step: int = 0

    def progress(self) -> float:
        """Return the spent share, 0..1."""
        if self.steps is not None:
            return min(1.0, self.step / self.steps)
        return min(1.0, self.seconds / (60 * (self.minutes or 1.0)))

    def rate(self, warmup: int = 200) -> float:
        """Return the learning-rate factor: linear warm-up, plateau, cosine over the last 35 % down to 3 %."""
        end = max(0.0, (self.progress() - 0.65) / 0.35)
        fall = 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * end))
        return min(1.0, (self.step + 1) / warmup) * fall


class MovingAverage:
    """Exponential moving average of modules' weights; it warms up, so early exports are usable."""

    def __init__(self, modules: Mapping[str, nn.Module], decay: float) -> None:
        self.modules = {
            name: copy.deepcopy(module).eval().requires_grad_(False) for name, module in modules.items()
        }
        self._decay = decay

    @torch.no_grad()
    def update(self, modules: Mapping[str, nn.Module], step: int) -> None:
        """Move towards the weights after ``step`` steps."""
        keep = min(self._decay, (1 + step) / (10 + step))
        for name, module in modules.items():
            mine: list[Tensor] = list(self.modules[name].parameters())
            torch._foreach_lerp_(mine, [p.detach() for p in module.parameters()], 1 - keep)


class Trainer:
    """Modules that learn together: their optimiser, moving average and checkpoint."""

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        optimizer: Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer],
        decay: float,
        budget: Budget,
        group: ProcessGroup,
    ) -> None:
        self.modules, self.average = modules, MovingAverage(modules, decay)
        self._budget, self._group = budget, group
        self._parameters = [p for module in modules.values() for p in module.parameters()]
        self.optimizer = optimizer(self._parameters)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one."""
        state = load_checkpoint(path)
        if state is None:
            return
        for name, module in self.modules.items():
            module.load_state_dict(state[name])
            self.average.modules[name].load_state_dict(state["average"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self._budget.step, self._budget.seconds = state["step"], state["seconds"]

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        state = {name: module.state_dict() for name, module in self.modules.items()}
        average = {name: module.state_dict() for name, module in self.average.modules.items()}
        spent = {"step": self._budget.step, "seconds": self._budget.seconds}
        save_checkpoint(
            path, {**state, "average": average, "optimizer": self.optimizer.state_dict(), **spent}
        )

    def step(self, loss: Callable[[], Tensor]) -> Tensor:
        """Take one step of the optimiser, at the budget's share of its rate; return the loss."""
        begun = time.monotonic()
        for group in self.optimizer.param_groups:
            group["lr"] = self.optimizer.defaults["lr"] * self._budget.rate()
        value = loss()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        self._budget.seconds += self._group.reduce(self._parameters, time.monotonic() - begun)
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self.optimizer.step()
        self._budget.step += 1
        self.average.update(self.modules, self._budget.step)
        return value.detach()


def training_device() -> torch.device:
    """Return the device to train on: the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(where: torch.device) -> torch.autocast:
    """Return the autocast context of training: bf16 on GPUs and on CPUs that compute in it, else none."""
    native = where.type == "cuda" or (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
    return torch.autocast(where.type, torch.bfloat16, enabled=native)


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint so that an interruption leaves the old one or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(dict(state), part)
    os.replace(part, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return the checkpoint at ``path`` (our own file, tensors and plain values only), or None."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
