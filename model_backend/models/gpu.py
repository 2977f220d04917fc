"""Whether a GPU can be expected here. Asked without torch, so that listing models stays quick."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from model_backend.settings import NO_DEVICE


def gpu_expected(device: str) -> bool:
    """Say whether work on a device, as the setting names it, will probably run on a GPU."""
    if device != "auto":
        return not device.startswith(("cpu", NO_DEVICE))
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return apple or any(Path(driver).exists() for driver in _DRIVERS)


# What the drivers of NVIDIA and AMD bring: on Linux, in WSL, on Windows.
_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", r"C:\Windows\System32\nvcuda.dll")
