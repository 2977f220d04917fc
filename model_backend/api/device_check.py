"""Whether the devices that an administrator named are there: asked in a child, for we import no torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from model_backend.settings import AUTOMATIC, NO_DEVICE


def missing(devices: Sequence[str]) -> str | None:
    """Return a sentence about the first of these devices that is not there; None: they all are."""
    named = [device for device in devices if device not in (AUTOMATIC, "cpu", NO_DEVICE)]
    if not named:
        return None
    command = [sys.executable, "-m", "model_backend.models.devices", *named]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    return done.stdout.strip() or "The devices cannot be looked at. Is torch installed?"
