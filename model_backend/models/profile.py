"""The profile: all that two computations of a scene must share to give the same bits.

Bits depend on more than the recipe: on the processor's instructions, the number format, how tensors lie in
memory, the batch, the threads, the libraries, the weights and the card's engine parameters. The profile
names them; its digest goes into every file. That a sample comes out the same in every slot of a batch is not
assumed but tried (`try_slots`): where it does not, the profile is ``approximate`` and says so. Imports torch;
knows no diffusers.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from model_backend.errors import ModelUnavailable
from model_backend.models.card import DeviceKind, DType
from model_backend.models.identity import digest

_LIBRARIES = ("torch", "diffusers", "transformers", "numpy")


@dataclass(frozen=True)
class Profile:
    """What bit-identity is conditional on (all up to ``parameters``), and what was measured on it."""

    device: str
    isa: str
    dtype: str
    decode: str
    layout: str
    batch: int
    threads: int
    versions: dict[str, str]
    weights: str
    parameters: dict[str, Any]
    approximate: bool
    seconds_per_evaluation: float
    memory: int | None = None  # bytes of a device that has its own

    @property
    def digest(self) -> str:
        """SHA-256 over the members that bits depend on."""
        return digest(asdict(self))

    def to_dict(self) -> dict[str, Any]:
        """Return all members and the digest, ready for JSON."""
        return asdict(self) | {"digest": self.digest}


@dataclass(frozen=True)
class SlotTest:
    """Whether a sample came out the same in every slot, and the seconds a sample took."""

    agree: bool
    seconds: float


def try_slots(run: Callable[[torch.Tensor], torch.Tensor], samples: torch.Tensor) -> SlotTest:
    """Run one sample in every slot of a batch, then in the last slot among strangers; two calls of ``run``.

    ``samples`` (batch, ...) are distinct; the last one is the sample. The second call is timed: the first one
    also pays for memory and kernels that are made once.
    """
    alone = run(samples[-1:].expand_as(samples).contiguous())
    began = time.perf_counter()
    among = run(samples)
    seconds = (time.perf_counter() - began) / len(samples)
    agree = bool((alone == alone[:1]).all()) and torch.equal(among[-1], alone[-1])
    return SlotTest(agree, seconds)


def choose_device(device: str) -> torch.device:
    """Return the device called auto, cpu, cuda, cuda:N or mps; ModelUnavailable if it is not there."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = device.partition(":")
    number = int(index) if index.isdecimal() else 0 if device == "cuda" else sys.maxsize
    if kind == "cuda" and torch.cuda.is_available() and number < torch.cuda.device_count():
        return torch.device("cuda", number)
    if device == "cpu" or (device == "mps" and torch.backends.mps.is_available()):
        return torch.device(device)
    raise ModelUnavailable(f"The device {device!r} does not exist here; use auto, cpu, cuda, cuda:N or mps.")


def choose_dtype(device: torch.device, published: Mapping[DeviceKind, DType] | None = None) -> torch.dtype:
    """Return the UNet's number format: as ``published``, else bfloat16 where the hardware has it, or float32.

    Without such instructions bfloat16 is 2 to 13 times slower than float32 on a processor.
    """
    formats = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    for kind, name in (published or {}).items():
        if kind == device.type:
            return formats[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type == "cpu" and (_cpu_has("amx_tile") or _cpu_has("avx512_bf16")):
        return torch.bfloat16
    return torch.float32


def layouts(device: torch.device) -> tuple[torch.memory_format, ...]:
    """Return the memory layouts of the UNet's tensors, the fastest first: channels last suits GPUs only."""
    return (*((torch.channels_last,) if device.type == "cuda" else ()), torch.contiguous_format)


def isa_of(device: torch.device) -> str:
    """Return the instruction set, as far as it changes bits: ``AVX512+AMX``, ``sm_90``, ..."""
    if device.type == "cuda":
        return "sm_{}{}".format(*torch.cuda.get_device_capability(device))
    if device.type == "mps":
        return platform.machine()
    extras = [name for name in ("amx_tile", "avx512_bf16") if _cpu_has(name)]
    return "+".join([torch.backends.cpu.get_cpu_capability(), *extras])


def name_of(device: torch.device) -> str:
    """Return the model name of the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory_of(device: torch.device) -> int | None:
    """Return the bytes of memory of a device that has its own, None of one that shares the computer's."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None


def versions() -> dict[str, str]:
    """Return the versions of the libraries that compute."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def make_deterministic(device: torch.device) -> None:
    """Switch off what makes a GPU choose kernels by timing, or round products to 10 bits. Process-wide."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False


def _cpu_has(feature: str) -> bool:
    # Not public in torch, but there from 2.11 to 2.13; where it is missing we compute in float32.
    probe = getattr(torch.cpu, f"_is_{feature}_supported", None)
    return bool(probe and probe())
