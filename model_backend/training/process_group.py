"""Several processes that train one model together, or one process alone.

Knows torch's process groups; does not know what is trained.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn


class ProcessGroup:
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
        """Replace gradients by their mean over the group; return the mean of ``value``.

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
