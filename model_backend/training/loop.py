"""What all training stages share: budget, learning rate, moving average, checkpoints, progress, sheets.

Knows torch modules and files; does not know what is trained.
"""

from __future__ import annotations

import copy
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from PIL import Image
from torch import Tensor, nn


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

    def rate(self, warmup: int = 200, fall: float = 0.35, floor: float = 0.03) -> float:
        """Return the learning-rate factor: linear warm-up, plateau, cosine over the last ``fall``."""
        end = max(0.0, (self.progress() - (1 - fall)) / fall)
        return min(1.0, (self.step + 1) / warmup) * (
            floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * end))
        )


class Team:
    """The processes that train together, one thread each (on a CPU), or one process alone.

    Gradients are averaged after each step. Two processes of one thread use two busy CPU cores 1.5 to 5 times
    better than one process of two threads, whose threads wait for each other in every operator.
    """

    def __init__(self, rank: int = 0, size: int = 1, meeting: Path | None = None) -> None:
        self.rank, self.size = rank, size
        self._meeting = meeting
        self._shared: Tensor | None = None
        if size > 1:
            os.environ["GLOO_SOCKET_IFNAME"] = "lo"
            torch.set_num_threads(1)
            dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)

    def reduce(self, parameters: Sequence[nn.Parameter], value: float) -> float:
        """Replace gradients by their mean over the team; return the mean of ``value``.

        All write to one memory-mapped file and read the mean: a fifth of the work of sending them around.
        Raises SystemExit if the process that began the training is gone: a new run may want its folder.
        """
        if self.size == 1:
            return value
        if (parent := multiprocessing.parent_process()) and not parent.is_alive():
            raise SystemExit("The process that began this training is gone.")
        grads = [p.grad for p in parameters if p.grad is not None]
        sizes = [grad.numel() for grad in grads]
        if self._shared is None:
            numbers = self.size * (sum(sizes) + 1)
            self._shared = torch.from_file(f"{self._meeting}.gradients", shared=True, size=numbers)
            self._shared = self._shared.view(self.size, -1)
        torch.cat([grad.flatten() for grad in grads] + [torch.tensor([value])], out=self._shared[self.rank])
        dist.barrier()
        mean = self._shared.mean(0)
        dist.barrier()
        for grad, part in zip(grads, torch.split(mean[:-1], sizes), strict=True):
            grad.copy_(part.view_as(grad))
        return float(mean[-1])

    def wait(self) -> None:
        """Return when all have come here."""
        if self.size > 1:
            dist.barrier()

    def seed(self, seed: int, step: int) -> np.random.Generator:
        """Seed torch and return numpy's generator for a step, the same in a resumed run."""
        key = [seed, self.rank, step]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
        return np.random.default_rng(key)


class Average:
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


class Learner:
    """Modules that learn together: their optimiser, moving average and checkpoint."""

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        optimizer: Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer],
        decay: float,
        budget: Budget,
        team: Team,
    ) -> None:
        self.modules, self.average = modules, Average(modules, decay)
        self._budget, self._team = budget, team
        self._parameters = [p for module in modules.values() for p in module.parameters()]
        self.optimizer = optimizer(self._parameters)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one."""
        state = restore(path)
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
        save(path, {**state, "average": average, "optimizer": self.optimizer.state_dict(), **spent})

    def step(self, loss: Callable[[], Tensor]) -> Tensor:
        """Take one step of the optimiser, at the budget's share of its rate; return the loss."""
        begun = time.monotonic()
        for group in self.optimizer.param_groups:
            group["lr"] = self.optimizer.defaults["lr"] * self._budget.rate()
        value = loss()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        self._budget.seconds += self._team.reduce(self._parameters, time.monotonic() - begun)
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self.optimizer.step()
        self._budget.step += 1
        self.average.update(self.modules, self._budget.step)
        return value.detach()


def device() -> torch.device:
    """Return the device to train on: the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(where: torch.device) -> torch.autocast:
    """Return the autocast context of training: bf16 on GPUs and on CPUs that compute in it, else none."""
    native = where.type == "cuda" or (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
    return torch.autocast(where.type, torch.bfloat16, enabled=native)


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint so that an interruption leaves the old one or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(dict(state), part)
    os.replace(part, path)


def restore(path: Path) -> dict[str, Any] | None:
    """Return the checkpoint at ``path`` (our own file, tensors and plain values only), or None."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


class Interval:
    """Says now and then that so many seconds are over, and begins them anew."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._since = seconds, time.monotonic()

    def over(self) -> bool:
        """Say whether they are."""
        over = time.monotonic() - self._since > self._seconds
        if over:
            self._since = time.monotonic()
        return over


class Progress:
    """Prints a line now and then: time, steps, samples per second, mean losses since the last line."""

    def __init__(self, log: Path, every: float = 20.0) -> None:
        self._log, self._every = log, every
        self._sums: dict[str, float] = {}
        self._steps, self._samples, self._since = 0, 0, time.monotonic()

    def add(self, budget: Budget, samples: int, losses: Mapping[str, Tensor]) -> None:
        """Count one step of ``samples`` samples with these ``losses``."""
        self._steps += 1
        self._samples += samples
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
        spent = time.monotonic() - self._since
        if spent < self._every:
            return
        means = "  ".join(f"{name} {total / self._steps:.4f}" for name, total in self._sums.items())
        line = (
            f"{time.strftime('%H:%M:%S')}  {100 * budget.progress():5.1f} %  step {budget.step}  "
            f"{self._samples / spent:.0f}/s  {means}"
        )
        print(line, flush=True)
        with self._log.open("a") as out:
            out.write(line + "\n")
        self._sums.clear()
        self._steps, self._samples, self._since = 0, 0, time.monotonic()


def sheet(path: Path, images: Tensor, columns: int, zoom: int = 1) -> None:
    """Write images (n, 3, h, w) in [-1, 1] as one PNG of ``columns`` columns, every pixel ``zoom`` wide."""
    pixels = to_bytes(images)
    count, height, width, _ = pixels.shape
    rows = -(-count // columns)
    canvas = np.full((rows * (height + 2), columns * (width + 2), 3), 255, np.uint8)
    for index, image in enumerate(pixels):
        row, col = divmod(index, columns)
        top, left = row * (height + 2), col * (width + 2)
        canvas[top : top + height, left : left + width] = image
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(canvas)
    picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST).save(path)


def to_bytes(images: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return images (n, 3, h, w) in [-1, 1] as (n, h, w, 3) uint8, rounded."""
    scaled = (images.detach().float().clamp(-1, 1) + 1) * 127.5
    return scaled.round().byte().permute(0, 2, 3, 1).cpu().numpy()


def to_tensor(pixels: np.ndarray[Any, np.dtype[np.uint8]], where: torch.device) -> Tensor:
    """Return bytes (n, 3, h, w) as float32 in [-1, 1] on a device."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).to(where).float() / 127.5 - 1
