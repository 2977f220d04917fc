"""Where the time goes on a device: spans of named work, counted and added up; and what the device can do.

Knows torch devices and their clocks; does not know what the work is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

_MATMUL_REPEATS = 10


@dataclass(frozen=True)
class Spent:
    """Seconds, calls and samples (length of the batches, added up) of one kind of work."""

    seconds: float = 0.0
    calls: int = 0
    samples: int = 0


class Mark(Protocol):
    """A moment on a device's clock."""

    def elapsed_time(self, later: Any) -> float:
        """Return the milliseconds until a later mark."""


class _Moment:
    def __init__(self) -> None:
        self._at = time.perf_counter()

    def elapsed_time(self, later: _Moment) -> float:
        return 1000 * (later._at - self._at)


class Meter:
    """Spans of work on one device. Spans do not nest.

    On CUDA the marks are events in the stream, so that measuring does not make host and device wait for each
    other; elsewhere the device is waited for.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._spans: list[tuple[str, int, Mark, Mark]] = []

    @contextmanager
    def span(self, name: str, samples: int) -> Iterator[None]:
        """Count what happens inside as one call of ``name``."""
        begin = self._mark()
        yield
        self._spans.append((name, samples, begin, self._mark()))

    @contextmanager
    def watching(self, modules: dict[str, nn.Module]) -> Iterator[None]:
        """Count every forward call of these modules; the batch is the first argument's length."""
        begun: dict[str, Mark] = {}

        def before(name: str) -> Callable[..., None]:
            def hook(*_: Any) -> None:
                begun[name] = self._mark()

            return hook

        def after(name: str) -> Callable[..., None]:
            def hook(_module: nn.Module, arguments: tuple[Any, ...], _output: Any) -> None:
                self._spans.append((name, len(arguments[0]), begun[name], self._mark()))

            return hook

        handles = [module.register_forward_pre_hook(before(name)) for name, module in modules.items()]
        handles += [module.register_forward_hook(after(name)) for name, module in modules.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def spent(self, name: str) -> Spent:
        """Add up the calls of a kind of work so far."""
        synchronize(self._device)
        spans = [span for span in self._spans if span[0] == name]
        seconds = sum(begin.elapsed_time(end) for _, _, begin, end in spans) / 1000
        return Spent(seconds, len(spans), sum(samples for _, samples, _, _ in spans))

    def _mark(self) -> Mark:
        if self._device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            torch.cuda.current_stream(self._device).record_event(event)
            marked: Mark = event
            return marked
        synchronize(self._device)
        return _Moment()


@dataclass(frozen=True)
class Clock:
    """Wall seconds, and seconds of this process's CPU time, of a piece of work."""

    seconds: float
    cpu_seconds: float


def timed(device: torch.device, work: Callable[[], object]) -> Clock:
    """Run work to its end on the device."""
    synchronize(device)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    synchronize(device)
    return Clock(time.perf_counter() - wall, time.process_time() - cpu)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def matmul_peak(device: torch.device, dtype: torch.dtype) -> dict[str, float | int]:
    """Return size and TFLOP/s of square products of random matrices: the best of ten, and the median."""
    size = 8192 if device.type == "cuda" else 2048
    left, right = (torch.randn(size, size, device=device, dtype=torch.float32).to(dtype) for _ in range(2))
    _product(left, right)
    seconds = [timed(device, lambda: _product(left, right)).seconds for _ in range(_MATMUL_REPEATS)]
    work = 2 * size**3 / 1e12
    return {"size": size, "tflops": work / min(seconds), "median_tflops": work / statistics.median(seconds)}


def _product(left: Tensor, right: Tensor) -> Tensor:
    return left @ right


class Memory:
    """The most memory that was in use since this object was made, in bytes.

    On CUDA what torch had allocated; elsewhere the resident memory of the process where Linux tells it, all
    imports included, else None.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        elif _CLEAR.exists():
            _CLEAR.write_text("5", encoding="ascii")  # proc(5): resets the peak resident size

    def peak(self) -> int | None:
        """Return the peak."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        if not _STATUS.exists():
            return None
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
        return found[0] if found else None


_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
